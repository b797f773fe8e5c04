//! What goes out comes back, while others are at work.

use memory_core::Condition;
use memory_core::store::{EpisodeStore, Filter, Write};
use memory_testkit::generate;
use memory_testkit::story::{forget_of, found, listed, running, save, steps_of, write};

use super::support::*;

#[tokio::test]
async fn a_restored_backup_is_the_same_to_the_byte_under_another_id() {
    let (directory, path) = directory();
    filled(&path, 1, 60).await;
    let store = open(&path).await;
    let open_one = running("default", "still running");
    save(&store, &open_one, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&open_one, &["one", "two"]))).await.unwrap();
    write(&store, Write::Forget(forget_of(&generate::episode(1, 7, 2_000)))).await.unwrap();
    let (before, id) = (export(&store).await, store.changes(None).await.unwrap().watermark);
    store.close().await;
    let backup = directory.path().join("one.backup");
    let sealed = back_up(&path, &backup).await.unwrap();
    assert_eq!(sealed.sha256.len(), 64);

    let elsewhere = directory.path().join("elsewhere").join("memory.db");
    std::fs::create_dir(elsewhere.parent().unwrap()).unwrap();
    restore(&backup, &elsewhere).await.unwrap();
    assert_eq!(export_of(&elsewhere).await, before);
    let store = open(&elsewhere).await;
    let changes = store.changes(Some(&id)).await.unwrap();
    assert!(changes.jumped, "what was cached of one is not taken for the other's");
    assert_ne!(changes.watermark.database, id.database);
    assert!(!found(&store, "default", "billing service").await.is_empty(), "it can be searched");
    // Life goes on in it.
    write(&store, Write::AppendSteps(steps_of(&open_one, &["three"]))).await.unwrap();
    save(&store, &generate::episode(2, 1, 2_000), 0).await.unwrap();
    store.close().await;
    // A backup opens like any other database.
    assert_eq!(export_of(&backup).await, before);
}

/// The other store stands for another process: it has the file open before and after.
#[tokio::test]
async fn whoever_has_the_file_open_goes_on_with_what_was_restored() {
    let (directory, path) = directory();
    filled(&path, 1, 20).await;
    let backup = directory.path().join("one.backup");
    back_up(&path, &backup).await.unwrap();
    let before = export_of(&path).await;

    let other = open(&path).await;
    let later = running("default", "recorded after the backup, about walruses");
    save(&other, &later, 0).await.unwrap();
    assert_eq!(found(&other, "default", "walruses").await, [later.id]);
    let seen = other.changes(None).await.unwrap().watermark;
    restore(&backup, &path).await.unwrap();
    assert!(other.changes(Some(&seen)).await.unwrap().jumped);
    assert_eq!(export(&other).await, before);
    assert!(found(&other, "default", "walruses").await.is_empty());
    save(&other, &running("default", "recorded after restoring, about walruses"), 0).await.unwrap();
    assert_eq!(found(&other, "default", "walruses").await.len(), 1);
    assert_eq!(listed(&other, "default", Filter::default()).await.len(), 21);
    other.close().await;
}

/// Every episode is saved twice in one transaction's reach: a backup that tore a write apart would
/// hold an episode without its metadata, its text or its change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_others_write_is_one_moment() {
    let (directory, path) = directory();
    filled(&path, 1, 30).await;
    let store = std::sync::Arc::new(open(&path).await);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (store.clone(), stop.clone());
        async move {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                save(&*store, &generate::episode(2, n, 2_000), 0).await.unwrap();
                n += 1;
            }
            n
        }
    });
    let mut sizes = Vec::new();
    for n in 0..5 {
        let backup = directory.path().join(format!("{n}.backup"));
        back_up(&path, &backup).await.unwrap();
        let unpacked = unpacked(&backup, directory.path()).await.unwrap();
        let copy = open(&unpacked.path()).await;
        let ids = listed(&copy, "default", Filter::default()).await;
        let found = copy.get(&memory_core::store::Scope::All, &ids).await.unwrap();
        for episode in found.into_iter().flatten() {
            let value = match &episode.metadata["ticket"] {
                memory_core::MetadataValue::Integer(n) => *n,
                other => panic!("{other:?}"),
            };
            let metadata = Some(Condition::equals("ticket", value));
            let filter = Filter { metadata, ..Filter::default() };
            assert!(listed(&copy, "default", filter).await.contains(&episode.id));
        }
        sizes.push(unpacked.episodes);
        copy.close().await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = writer.await.unwrap();
    println!("{written} episodes were written meanwhile; the backups hold {sizes:?}");
    assert!(sizes.is_sorted() && sizes[0] >= 30, "{sizes:?}");
    store.close().await;
}

#[tokio::test]
async fn a_backup_replaces_nothing_and_leaves_nothing_unfinished() {
    let (directory, path) = directory();
    filled(&path, 1, 3).await;
    let there = directory.path().join("there");
    std::fs::write(&there, "precious").unwrap();
    let told = back_up(&path, &there).await.unwrap_err().to_string();
    assert!(told.contains("is there already"), "{told}");
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "precious");
    let nowhere = directory.path().join("nowhere").join("x.backup");
    let told = back_up(&path, &nowhere).await.unwrap_err().to_string();
    assert!(told.contains("x.backup cannot be written"), "{told}");
    let told = back_up(&directory.path().join("none.db"), &nowhere).await.unwrap_err();
    assert!(told.to_string().contains("there is no database file"), "{told}");
    assert_eq!(names(directory.path()), ["memory.db", "there"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path) = directory();
    filled(&path, 1, 3).await;
    let backup = directory.path().join("one.backup");
    back_up(&path, &backup).await.unwrap();
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}
