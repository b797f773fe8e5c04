//! A database of every schema there was, and what is in it: each is brought up to date and holds what
//! it held. They are made once, when a schema is new, and never again.

use std::path::{Path, PathBuf};

use memory_core::store::Write;
use memory_core::{EpisodeStore, Outcome, OutcomeKind};
use memory_storage_turso::{Maintenance, TursoConfig};
use memory_testkit::story::saving::full_episode;
use memory_testkit::story::{forget_of, found, running, save, steps_of, write};

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
        if !database.exists() {
            continue;
        }
        assert!(std::fs::metadata(&database).unwrap().len() < 100_000);
        let path = directory.path().join(format!("{schema}.db"));
        std::fs::copy(&database, &path).unwrap();
        let store = open(&path).await;
        let expected = std::fs::read_to_string(expected).unwrap();
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

/// Of the latest schema, unless it is there.
#[tokio::test]
#[ignore = "makes a file to be committed; to be run when a schema is new"]
async fn make_the_fixture_of_this_schema() {
    let (directory, path) = directory();
    {
        let database = libsql::Builder::new_local(&path).build().await.unwrap();
        database.connect().unwrap().execute_batch(&format!("{PAGE}; VACUUM")).await.unwrap();
    }
    let store = open(&path).await;
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
    let gone = running("fixture", "nothing to keep");
    save(&store, &gone, 0).await.unwrap();
    write(&store, Write::Forget(forget_of(&gone))).await.unwrap();
    let lines = export(&store).await;
    assert!(store.counts(&memory_core::store::Scope::All).await.unwrap().tombstones == 1);
    store.close().await;
    let schema = latest(&path).await;
    let to = fixture(schema, "db");
    assert!(!to.exists(), "{} is there already and stays", to.display());
    let small = directory.path().join("small.db");
    {
        let database = libsql::Builder::new_local(&path).build().await.unwrap();
        let connection = database.connect().unwrap();
        connection.execute("VACUUM INTO ?1", [small.to_str().unwrap()]).await.unwrap();
    }
    std::fs::create_dir_all(FIXTURES).unwrap();
    std::fs::copy(&small, &to).unwrap();
    std::fs::write(fixture(schema, "jsonl"), lines).unwrap();
}
