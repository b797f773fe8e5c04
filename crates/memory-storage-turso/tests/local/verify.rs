//! A database that was tampered with: every kind of damage is found, told by name, and repaired where
//! nothing is lost by it.

use std::path::Path;

use memory_core::store::{Filter, ListQuery, Scope, SearchQuery, SearchResult, Write};
use memory_core::{EpisodeId, EpisodeStore};
use memory_storage_turso::TursoStore;
use memory_storage_turso::verify::{Part, Remedy, Verification};
use memory_testkit::story::saving::full_episode;
use memory_testkit::story::{forget_of, project, running, save, steps_of, write};

use super::support::{assert_sound, database, engine, open};

/// Completed episodes with metadata, one that runs, one forgotten, one that somebody spoke about.
async fn filled(path: &Path, name: &str) -> TursoStore {
    let store = open(path).await;
    let p = project(name);
    for _ in 0..3 {
        save(&store, &full_episode(&p), 0).await.unwrap();
    }
    let open_one = running(&p, "repair the login");
    save(&store, &open_one, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&open_one, &["look", "think"]))).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&open_one, &["act"]))).await.unwrap();
    let gone = full_episode(&p);
    save(&store, &gone, 0).await.unwrap();
    write(&store, Write::Forget(forget_of(&gone))).await.unwrap();
    store
}

async fn verify(store: &TursoStore, repair: bool) -> Verification {
    store.verify(repair, |_| {}).await.unwrap()
}

async fn tamper(path: &Path, sql: &str) {
    let connection = engine(path).await;
    connection.execute_batch(sql).await.unwrap();
}

#[tokio::test]
async fn a_sound_database_has_no_findings() {
    let (_directory, path) = database();
    let store = filled(&path, "sound").await;
    let mut told = Vec::new();
    let report = store.verify(true, |done| told.push(done)).await.unwrap();
    assert_eq!((report.found, report.episodes), (0, 4), "{report:?}");
    assert_eq!(told, [4]);
    assert!(!report.engine_refused);
}

#[tokio::test]
async fn what_is_drawn_from_payloads_is_found_wrong_and_drawn_again() {
    for (part, sql) in [
        (Part::Columns, "UPDATE episodes SET task_type = 'x' WHERE rid = 1"),
        (Part::Columns, "UPDATE episodes SET project = 'stranger' WHERE rid = 2"),
        (Part::Columns, "UPDATE episodes SET reward = 0.125, outcome = 'failure' WHERE rid = 1"),
        (
            Part::Columns,
            "UPDATE episodes SET step_count = step_count + 1 WHERE outcome = 'running'",
        ),
        (Part::Columns, "UPDATE episodes SET ended_at = NULL, text_bytes = 1 WHERE rid = 3"),
        (Part::Metadata, "DELETE FROM episode_metadata WHERE episode = 1"),
        (Part::Metadata, "UPDATE episode_metadata SET value = 'x' WHERE episode = 2"),
        (Part::Metadata, "UPDATE episode_metadata SET started_at = 1 WHERE episode = 2"),
        (Part::Metadata, "INSERT INTO episode_metadata VALUES (3, 'strange', 'x', 'p', 1)"),
        (Part::Metadata, "INSERT INTO episode_metadata VALUES (99, 'left', 'over', 'p', 1)"),
        (Part::Text, "DELETE FROM episode_text WHERE rowid = 2"),
        (Part::Text, "INSERT INTO episode_text (rowid, task) VALUES (99, 'left over')"),
        (Part::Text, "UPDATE episode_text_data SET block = x'0011' WHERE id > 10"),
        (Part::Changes, "DELETE FROM changes WHERE id = (SELECT id FROM episodes WHERE rid = 2)"),
        (Part::Changes, "UPDATE changes SET version = 7 WHERE seq = 2"),
        (Part::Changes, "DELETE FROM meta WHERE key = 'database'"),
        (Part::Tombstones, "DELETE FROM changes WHERE version IS NULL AND kind = 'episode'"),
    ] {
        let (_directory, path) = database();
        let store = filled(&path, "drawn").await;
        let before = export(&store).await;
        tamper(&path, sql).await;

        let found = verify(&store, false).await;
        assert!(found.parts.contains_key(&part), "{sql}: {found:?}");
        assert_eq!((found.repaired, found.repairable), (0, found.found), "{sql}: {found:?}");
        assert!(found.findings.iter().all(|f| f.part == part), "{sql}: {found:?}");
        assert_eq!(verify(&store, false).await.found, found.found, "looking changed something");

        let repaired = verify(&store, true).await;
        assert_eq!((repaired.found, repaired.repaired), (found.found, found.found), "{sql}");
        assert_eq!(verify(&store, false).await.found, 0, "{sql}");
        assert_sound(&path).await;
        assert_eq!(export(&store).await, before, "{sql}: the repair changed an episode");
    }
}

/// What cannot be drawn from anything.
#[tokio::test]
async fn what_is_lost_is_told_and_left_alone() {
    for (part, sql) in [
        (Part::Payload, "UPDATE episodes SET payload = zeroblob(length(payload)) WHERE rid = 1"),
        (
            Part::Payload,
            "UPDATE episodes SET payload = (SELECT payload FROM episodes WHERE rid = 2) \
            WHERE rid = 1",
        ),
        (Part::Steps, "UPDATE steps SET payload = x'c1' WHERE n = 1"),
        (Part::Steps, "DELETE FROM steps WHERE n = 1"),
        (Part::Steps, "INSERT INTO steps VALUES (1, 9, 1, x'c1')"),
        (Part::Steps, "INSERT INTO steps VALUES (99, 1, 1, x'c1')"),
        (
            Part::Changes,
            "DELETE FROM episodes WHERE rid = 3; DELETE FROM episode_text WHERE rowid = 3; \
            DELETE FROM episode_metadata WHERE episode = 3",
        ),
        (
            Part::Tombstones,
            "INSERT INTO tombstones SELECT id, project, version, 5 FROM episodes \
            WHERE rid = 2",
        ),
        (
            Part::Lessons,
            "INSERT INTO lesson_evidence SELECT randomblob(16), id, 1, 1 FROM episodes \
            WHERE rid = 2",
        ),
    ] {
        let (_directory, path) = database();
        let store = filled(&path, "lost").await;
        tamper(&path, sql).await;
        for repair in [false, true, true] {
            let found = verify(&store, repair).await;
            assert_eq!(
                (found.found, found.repaired, found.repairable),
                (1, 0, 0),
                "{sql}: {found:?}"
            );
            assert_eq!((found.findings[0].part, found.findings[0].remedy), (part, Remedy::ByHand));
        }
    }
}

#[tokio::test]
async fn an_index_that_lacks_rows_is_built_anew() {
    let (_directory, path) = database();
    let store = filled(&path, "index").await;
    store.close().await;
    // The engine forgets the index, a row comes, and the index is back without it.
    tamper(
        &path,
        "PRAGMA writable_schema = ON; CREATE TABLE kept AS SELECT * FROM sqlite_schema \
         WHERE name = 'relations_by_target'; \
         DELETE FROM sqlite_schema WHERE name = 'relations_by_target'",
    )
    .await;
    tamper(&path, "INSERT INTO relations VALUES (x'01', 'parent', x'02', 'p', 1)").await;
    tamper(
        &path,
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept; DROP TABLE kept",
    )
    .await;
    let store = open(&path).await;
    let found = verify(&store, false).await;
    assert!(found.found > 0 && found.parts.keys().all(|part| *part == Part::Engine), "{found:?}");
    let repaired = verify(&store, true).await;
    assert_eq!((repaired.found, repaired.repaired), (found.found, found.found), "{repaired:?}");
    assert_eq!(verify(&store, false).await.found, 0);
}

#[tokio::test]
async fn an_episode_that_cannot_be_read_does_not_hide_the_others() {
    let (_directory, path) = database();
    let store = filled(&path, "unreadable").await;
    // Text that is not UTF-8: the engine cannot give it out.
    tamper(
        &path,
        "UPDATE episodes SET domain = CAST(x'ff' AS TEXT) WHERE rid = 2; \
         DELETE FROM episode_text WHERE rowid = 3",
    )
    .await;
    let found = verify(&store, false).await;
    assert_eq!((found.found, found.repairable, found.episodes), (2, 1, 3), "{found:?}");
    assert_eq!(verify(&store, true).await.repaired, 1);
}

#[tokio::test]
async fn a_repaired_text_index_finds_again_what_it_held() {
    let (_directory, path) = database();
    let store = filled(&path, "found again").await;
    let query = SearchQuery {
        scope: Scope::All,
        terms: memory_core::recall::text::query_terms("login"),
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit: 5,
    };
    let ids = |found: SearchResult| found.hits.iter().map(|hit| hit.id).collect::<Vec<_>>();
    let before = ids(store.search(&query).await.unwrap());
    assert_eq!(before.len(), 4);
    tamper(&path, "INSERT INTO episode_text (episode_text) VALUES ('delete-all')").await;
    assert!(store.search(&query).await.unwrap().hits.is_empty());
    assert_eq!(verify(&store, true).await.repaired, 4);
    assert_eq!(ids(store.search(&query).await.unwrap()), before);
}

async fn export(store: &TursoStore) -> Vec<(EpisodeId, String)> {
    let query = ListQuery {
        scope: Scope::All,
        filter: Filter { include_archived: true, ..Filter::default() },
        after: None,
        limit: 100,
    };
    let page = store.list(&query).await.unwrap();
    page.episodes.iter().map(|e| (e.id, format!("{e:?}"))).collect()
}
