//! A database of every schema there was, and what is in it: each is brought up to date and holds what
//! it held.
//!
//! `tests/fixtures/schema-0002.db` is a database of schema 2, `schema-0002.jsonl` what an export of it
//! says. They are made once and never again: what reads them has to stay able to. When a schema is new:
//!
//! ```sh
//! cargo test -p memory-storage-turso --test whole fixtures -- --ignored
//! git add crates/memory-storage-turso/tests/fixtures
//! ```
//!
//! That makes the newest, and what is missing of those before it, as far as there is a way back to them.

use std::path::{Path, PathBuf};

use memory_core::envelope::Compression;
use memory_core::learning::{Evidence, Lesson, LessonKind};
use memory_core::record::Record;
use memory_core::store::{Feedback, FeedbackVerdict, Relation, RelationKind, Save, Write};
use memory_core::{EpisodeStore, Outcome, OutcomeKind};
use memory_storage_turso::{Maintenance, PayloadConfig, TursoConfig, TursoStore};
use memory_testkit::story::saving::full_episode;
use memory_testkit::story::{
    NOW, completed, forget_of, found, running, save, save_of, steps_of, write,
};

use super::support::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

/// Bytes of a page: the smallest there is, because most tables hold a row or two.
const PAGE: &str = "PRAGMA page_size = 512";

fn fixture(schema: usize, extension: &str) -> PathBuf {
    Path::new(FIXTURES).join(format!("schema-{schema:04}.{extension}"))
}

async fn latest(path: &Path) -> usize {
    let database = Maintenance::open(TursoConfig::at(path)).await.unwrap();
    let latest = database.steps().await.unwrap().len();
    database.close().await;
    latest
}

#[tokio::test]
async fn a_database_of_every_schema_opens_with_all_it_held() {
    let (directory, new) = directory();
    open(&new).await.close().await;
    let latest = latest(&new).await;
    for schema in 1..=latest {
        let (database, expected) = (fixture(schema, "db"), fixture(schema, "jsonl"));
        assert!(
            database.exists(),
            "there is none of schema {schema}; this file says how to make it"
        );
        assert!(std::fs::metadata(&database).unwrap().len() < 100_000);
        let path = directory.path().join(format!("{schema}.db"));
        std::fs::copy(&database, &path).unwrap();
        let store = open(&path).await;
        let expected = in_words_of_today(&std::fs::read_to_string(expected).unwrap());
        assert_eq!(export(&store).await, expected, "schema {schema}");
        assert_eq!(found(&store, "fixture", "lighthouse").await.len(), 1, "schema {schema}");
        store.close().await;
        let kept = names(directory.path()).contains(&format!("{schema}.db.schema-{schema}.backup"));
        assert_eq!(kept, schema < latest, "the old state is kept where there is a newer one");
        if kept {
            let old = directory.path().join(format!("{schema}.db.schema-{schema}.backup"));
            restore(&old, &path).await.unwrap();
            assert_eq!(export_of(&path).await, expected, "schema {schema}, restored");
        }
    }
}

/// An export may say more by now than it did.
fn in_words_of_today(export: &str) -> String {
    export.lines().map(|line| Record::parse(line).unwrap().to_line().unwrap() + "\n").collect()
}

#[tokio::test]
#[ignore = "makes files to be committed; to be run when a schema is new"]
async fn make_the_fixtures_that_are_missing() {
    std::fs::create_dir_all(FIXTURES).unwrap();
    let (_directory, path) = directory();
    let newest = latest_of(&path, PayloadConfig::default()).await;
    keep(&path, latest(&path).await, &newest).await;
    // There is a way back for payloads that need no dictionary.
    let (_directory, path) = directory();
    let compression = Compression::None;
    let lines = latest_of(&path, PayloadConfig { compression, ..PayloadConfig::default() }).await;
    for schema in (1..latest(&path).await).rev() {
        let database = Maintenance::open(TursoConfig::at(&path)).await.unwrap();
        let went = database.migrate(Some(schema)).await;
        database.close().await;
        match went {
            Ok(_) => keep(&path, schema, &lines).await,
            Err(e) => return println!("there is no way back to schema {schema}: {e}"),
        }
    }
}

/// Unless there is one.
async fn keep(path: &Path, schema: usize, lines: &str) {
    let to = fixture(schema, "db");
    if to.exists() {
        return;
    }
    let small = path.with_extension("small");
    let database = libsql::Builder::new_local(path).build().await.unwrap();
    let connection = database.connect().unwrap();
    connection.execute("VACUUM INTO ?1", [small.to_str().unwrap()]).await.unwrap();
    std::fs::copy(&small, &to).unwrap();
    std::fs::remove_file(&small).unwrap();
    std::fs::write(fixture(schema, "jsonl"), lines).unwrap();
}

/// A database of the latest schema with something of everything. Returns its export.
async fn latest_of(path: &Path, payload: PayloadConfig) -> String {
    {
        let database = libsql::Builder::new_local(path).build().await.unwrap();
        database.connect().unwrap().execute_batch(&format!("{PAGE}; VACUUM")).await.unwrap();
    }
    let store = TursoStore::open(TursoConfig { payload, ..TursoConfig::at(path) }).await.unwrap();
    for n in 0..3 {
        let mut full = full_episode("fixture");
        full.task_description = format!("{} ({n})", full.task_description);
        save(&store, &full, 0).await.unwrap();
    }
    let mut changed = running("fixture", "repair the lighthouse");
    save(&store, &changed, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&changed, &["look", "climb"]))).await.unwrap();
    changed.version = 3;
    changed.outcome = Some(Outcome::new(OutcomeKind::Failure, "the ladder broke"));
    save(&store, &changed, 2).await.unwrap();
    let open_one = running("fixture", "paint the fence");
    save(&store, &open_one, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&open_one, &["mix", "stir"]))).await.unwrap();
    let solved = completed("fixture", "light the lamp", OutcomeKind::Success);
    let lesson = Lesson::new("fixture", LessonKind::Heuristic, "repair", "a ladder", "take stairs");
    let evidence = Evidence { episode: solved.id, success: true, at: NOW };
    let taught = Save { lessons: vec![(lesson.clone(), evidence)], ..save_of(&solved, 0) };
    write(&store, Write::Save(taught)).await.unwrap();
    let (project, at) = ("fixture".to_owned(), NOW);
    let verdict = FeedbackVerdict::Helped;
    let said =
        Feedback { subject: lesson.id, by: open_one.id, project: project.clone(), verdict, at };
    write(&store, Write::Feedback(said)).await.unwrap();
    let (from, to) = (changed.id, solved.id);
    let relation = Relation { project, from, relation: RelationKind::Follows, to, at };
    write(&store, Write::Relate(relation)).await.unwrap();
    let gone = running("fixture", "nothing to keep");
    save(&store, &gone, 0).await.unwrap();
    write(&store, Write::Forget(forget_of(&gone))).await.unwrap();
    let lines = export(&store).await;
    assert!(store.counts(&memory_core::store::Scope::All).await.unwrap().tombstones == 1);
    store.close().await;
    lines
}
