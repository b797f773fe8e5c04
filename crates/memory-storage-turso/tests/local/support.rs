//! What several tests need.

use std::path::{Path, PathBuf};

use memory_storage_turso::{TursoConfig, TursoStore};
use tempfile::TempDir;

/// A directory that goes away with the test, and the database file in it.
pub(crate) fn database() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    (directory, path)
}

/// Waits until something has happened, and fails when it does not.
pub(crate) async fn until(mut happened: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if happened() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("what the test waits for did not happen");
}

pub(crate) async fn open(path: &Path) -> TursoStore {
    TursoStore::open(TursoConfig::at(path)).await.unwrap()
}

/// The engine itself, past the store.
pub(crate) async fn engine(path: &Path) -> libsql::Connection {
    let database = libsql::Builder::new_local(path).build().await.unwrap();
    database.connect().unwrap()
}

/// The first column of the first row, as text.
pub(crate) async fn ask(path: &Path, sql: &str) -> String {
    let connection = engine(path).await;
    let row = connection.query(sql, ()).await.unwrap().next().await.unwrap().unwrap();
    match row.get_value(0).unwrap() {
        libsql::Value::Text(text) => text,
        libsql::Value::Integer(n) => n.to_string(),
        other => format!("{other:?}"),
    }
}

/// File, text index, and the tables against each other.
pub(crate) async fn assert_sound(path: &Path) {
    assert_eq!(ask(path, "PRAGMA integrity_check").await, "ok");
    let connection = engine(path).await;
    let check = "INSERT INTO episode_text (episode_text) VALUES ('integrity-check')";
    connection.execute(check, ()).await.unwrap();
    for (sql, what) in [
        (
            "SELECT count(*) FROM episodes WHERE rid NOT IN (SELECT id FROM episode_text_docsize)",
            "text",
        ),
        (
            "SELECT count(*) FROM episode_text_docsize WHERE id NOT IN (SELECT rid FROM episodes)",
            "episode",
        ),
        (
            "SELECT count(*) FROM episodes e WHERE NOT EXISTS \
             (SELECT 1 FROM changes c WHERE c.id = e.id AND c.version = e.version)",
            "change record",
        ),
        (
            "SELECT count(*) FROM steps s WHERE NOT EXISTS \
             (SELECT 1 FROM episodes e WHERE e.rid = s.episode AND e.outcome = 'running')",
            "running episode of a step",
        ),
        (
            "SELECT count(*) FROM episode_metadata WHERE episode NOT IN (SELECT rid FROM episodes)",
            "episode of a metadata row",
        ),
    ] {
        assert_eq!(ask(path, sql).await, "0", "rows without their {what}");
    }
}
