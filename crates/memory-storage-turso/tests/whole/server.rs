//! Backups of a real server.

use std::sync::Arc;

use memory_core::store::{EpisodeStore, Write};
use memory_storage_turso::{Maintenance, RemoteConfig, TursoStore};
use memory_testkit::generate;
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story::{forget_of, found, running, save, steps_of, write};

use super::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_backed_up_in_one_moment_while_it_is_written_to() {
    let Some(server) = Server::start(Options::default()) else { return };
    let (directory, path) = directory();
    let config = || RemoteConfig { warm_connections: 0, ..RemoteConfig::at(server.url()) };
    let store = TursoStore::connect(config()).unwrap();
    let episodes: Vec<_> = (0..300).map(|n| generate::episode(1, n, 4_000)).collect();
    let saves = episodes.iter().map(|e| Write::Save(memory_testkit::story::save_of(e, 0)));
    assert!(store.write(saves.collect()).await.unwrap().iter().all(Result::is_ok));
    // One that fills an answer by itself.
    save(&store, &generate::episode(1, 1000, 900_000), 0).await.unwrap();
    let open_one = running("default", "still running");
    save(&store, &open_one, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&open_one, &["one", "two"]))).await.unwrap();
    write(&store, Write::Forget(forget_of(&episodes[7]))).await.unwrap();
    let before = export(&store).await;

    let database = Maintenance::connect(config()).unwrap();
    let backup = directory.path().join("server.backup");
    let progress = Arc::default();
    let made = database.back_up(&backup, &progress);
    let meanwhile = async {
        for n in 0..20 {
            save(&store, &generate::episode(2, n, 2_000), 0).await.unwrap();
        }
    };
    let (made, ()) = tokio::join!(made, meanwhile);
    made.unwrap();
    assert!(progress.get().0 > 300 * 2_000);
    assert_eq!(names(directory.path()), ["server.backup"]);
    restore(&backup, &path).await.unwrap();
    let restored = open(&path).await;
    let after = export(&restored).await;
    // All of the first part, and of the second what was there at that moment, none by halves.
    let all = export(&store).await;
    assert!(before.lines().all(|line| after.lines().any(|l| l == line)));
    assert!(after.lines().all(|line| all.lines().any(|l| l == line)));
    assert!(!found(&restored, "default", "billing service").await.is_empty());
    restored.close().await;

    // The schema of a server is seen and changed like a file's, without a backup.
    let steps = database.steps().await.unwrap();
    assert!(steps.iter().all(|step| step.applied));
    assert_eq!(database.migrate(None).await.unwrap().backup, None);
    let full = unpacked(&backup, directory.path()).await.unwrap();
    let told = database.begin_filling(&full).await.unwrap_err().to_string();
    assert!(told.contains("is not empty"), "{told}");
    database.close().await;
    store.close().await;
}

#[tokio::test]
async fn an_empty_server_is_marked_for_one_backup_at_a_time() {
    let Some(server) = Server::start(Options::default()) else { return };
    let (directory, path) = directory();
    let config = || RemoteConfig { warm_connections: 0, ..RemoteConfig::at(server.url()) };
    let database = Maintenance::connect(config()).unwrap();
    let told = database.back_up(&directory.path().join("x"), &Arc::default()).await.unwrap_err();
    assert!(told.to_string().contains("is empty"), "{told}");
    let mut backups = Vec::new();
    for seed in [1, 2] {
        let path = path.with_file_name(format!("{seed}.db"));
        filled(&path, seed, 3).await;
        let backup = path.with_extension("backup");
        back_up(&path, &backup).await.unwrap();
        backups.push(unpacked(&backup, directory.path()).await.unwrap());
    }
    database.begin_filling(&backups[0]).await.unwrap();
    database.begin_filling(&backups[0]).await.unwrap();
    let told = database.begin_filling(&backups[1]).await.unwrap_err().to_string();
    assert!(told.contains("half filled from another backup"), "{told}");
    let store = TursoStore::connect(config()).unwrap();
    let empty = store.changes(None).await.unwrap().watermark;
    database.end_filling(&backups[0]).await.unwrap();
    assert!(store.changes(Some(&empty)).await.unwrap().jumped);
    database.close().await;
    store.close().await;
}
