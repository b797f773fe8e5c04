//! Files and directories that are not what they should be.

use std::path::Path;

use memory_core::Error;
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::story::{get, project, running, save};

use super::support::{database, engine, open};

async fn refusal(path: &Path) -> String {
    match TursoStore::open(TursoConfig::at(path)).await.unwrap_err() {
        e @ (Error::Refused { .. } | Error::Corrupt { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn directory_that_cannot_be_made_is_refused() {
    let (directory, path) = database();
    std::fs::write(&path, "").unwrap();
    let told = refusal(&path.join("below").join("memory.db")).await;
    assert!(told.contains("cannot be created") && told.contains("memory.db/below"), "{told}");
    let told = refusal(directory.path()).await;
    assert!(told.contains("is a directory"), "{told}");
}

/// The superuser may write anything, so there it is only checked that the file opens.
#[cfg(unix)]
#[tokio::test]
async fn file_that_may_only_be_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path) = database();
    open(&path).await.close().await;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    if std::fs::File::options().append(true).open(&path).is_ok() {
        println!("skipped: the superuser may write a file that is read-only");
        return;
    }
    let told = refusal(&path).await;
    assert!(told.contains("readonly") && told.contains("make the database file"), "{told}");
}

#[tokio::test]
async fn file_that_is_no_database_is_refused_and_untouched() {
    let (_directory, path) = database();
    for content in ["x", "just a note to myself, longer than any header could be"] {
        std::fs::write(&path, content).unwrap();
        let told = refusal(&path).await;
        assert!(told.contains("is not a database"), "{told}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    // It begins like one.
    std::fs::write(&path, [b"SQLite format 3\0".as_slice(), &[0xA5; 5000]].concat()).unwrap();
    refusal(&path).await;
}

#[tokio::test]
async fn database_of_another_program_is_refused() {
    for table in ["CREATE TABLE bookmarks (url TEXT)", "CREATE TABLE migrations (id TEXT)"] {
        let (_directory, path) = database();
        engine(&path).await.execute(table, ()).await.unwrap();
        let told = refusal(&path).await;
        assert!(told.contains("database of another program"), "{told}");
    }
}

#[tokio::test]
async fn newer_and_altered_schemas_are_refused() {
    let (_directory, path) = database();
    open(&path).await.close().await;
    let connection = engine(&path).await;
    let newer = "INSERT INTO migrations (n, name, checksum) VALUES (7, 'later', 'abc')";
    connection.execute(newer, ()).await.unwrap();
    let told = refusal(&path).await;
    assert!(told.contains("has schema 7, this build knows up to 3"), "{told}");
    assert!(told.contains("upgrade memory-mcp"), "{told}");

    connection.execute("DELETE FROM migrations WHERE n = 7", ()).await.unwrap();
    connection.execute("UPDATE migrations SET checksum = 'abc'", ()).await.unwrap();
    let told = refusal(&path).await;
    assert!(told.contains("another version of schema step 1"), "{told}");
}

#[tokio::test]
async fn closed_file_opens_again_with_everything() {
    let (_directory, path) = database();
    let e = running(&project("again"), "still there");
    let first = open(&path).await;
    save(&first, &e, 0).await.unwrap();
    first.close().await;
    assert_eq!(*get(&open(&path).await, &e).await.unwrap(), e);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, _) = database();
    let path = directory.path().join("data").join("memory.db");
    let store = open(&path).await;
    save(&store, &running("p", "private"), 0).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for name in ["memory.db", "memory.db-wal", "memory.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let (_directory, path) = database();
    let at = || TursoConfig::at(&path);
    for (config, name) in [
        (TursoConfig { readers: 0, ..at() }, "readers"),
        (TursoConfig { queue: 0, ..at() }, "queue"),
        (TursoConfig { statement_cache: 10_001, ..at() }, "statement_cache"),
    ] {
        let error = TursoStore::open(config).await.unwrap_err();
        assert!(error.to_string().starts_with(name), "{error}");
    }
}
