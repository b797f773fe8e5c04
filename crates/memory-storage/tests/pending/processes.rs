//! Several processes, one file.

use std::time::{Duration, Instant};

use memory_core::store::EpisodeStore;
use memory_core::{Clock, SystemClock, Timestamp};
use memory_storage::{CacheConfig, HybridStorage, PendingConfig, Place, WhenOffline};
use memory_storage_turso::pending::EntryState;

use super::child;
use super::world::{World, actions, count, drained, memory, open, scope, step, task, words};

#[tokio::test(flavor = "multi_thread")]
async fn both_processes_see_journaled_steps() {
    let Some(world) = World::new().await else { return };
    let memory = memory(world.store(WhenOffline::Refuse).await);
    let id = memory.start(task("repair the login")).await.unwrap().id;
    for action in words(0..3) {
        memory.log_steps(&scope(), id, step(&action), None).await.unwrap();
    }
    let mut reader = child::reads(&world.file(), &world.proxy.url(), id);
    let output = reader.output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("seen step 0,step 1,step 2"), "{output}");
}

/// A cache that has read the feed sees what another process journaled.
#[tokio::test(flavor = "multi_thread")]
async fn cache_above_follows_another_process() {
    let Some(world) = World::new().await else { return };
    let writer = memory(world.store(WhenOffline::Refuse).await);
    let bound = Duration::from_millis(50);
    let cache = CacheConfig { max_staleness: bound, ..CacheConfig::default() };
    let store = world.store(WhenOffline::Refuse).await;
    let reader = memory(HybridStorage::new(store, Place::Remote, &cache));
    let id = writer.start(task("repair the login")).await.unwrap().id;
    for n in 0..3 {
        tokio::time::sleep(bound * 2).await;
        assert_eq!(actions(&reader.require(&scope(), id).await.unwrap()), words(0..n));
        writer.log_steps(&scope(), id, step(&format!("step {n}")), None).await.unwrap();
    }
}

/// One process delivers at a time; when it is gone, another takes over once its lease has ended.
#[tokio::test(flavor = "multi_thread")]
async fn lease_is_honoured_and_ends() {
    let Some(world) = World::new().await else { return };
    let first = memory(world.store(WhenOffline::Refuse).await);
    let id = first.start(task("repair the login")).await.unwrap().id;
    first.log_steps(&scope(), id, step("step 0"), None).await.unwrap();

    // As if a process that is gone had taken it a while ago.
    let file = first.store().pending().unwrap();
    let target = file.entries().await.unwrap()[0].target;
    let now = SystemClock.now();
    let until = Timestamp(now.0 + 3_000_000);
    assert!(file.take_lease(target, [7; 16], now, until).await.unwrap());
    assert!(!file.take_lease(target, [8; 16], now, until).await.unwrap());
    assert!(file.take_lease(target, [7; 16], now, until).await.unwrap(), "renewed");

    let began = Instant::now();
    let config = PendingConfig { flush_after: Duration::from_millis(100), ..world.pending() };
    let second = open(&world.proxy.url(), config).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    if began.elapsed() < Duration::from_secs(2) {
        assert_eq!(count(&second, EntryState::Journaled).await, 1, "not while it is held");
    }
    drained(&second).await;
    let there = world.witness().get(&scope(), &[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(actions(&there), words(0..1));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_cache_directory_takes_nothing_along() {
    let Some(world) = World::new().await else { return };
    let directory = world.directory.path().join("cache");
    let cache = CacheConfig { dir: Some(directory.clone()), ..CacheConfig::default() };
    let store = world.store(WhenOffline::Refuse).await;
    let first = memory(HybridStorage::new(store, Place::Remote, &cache));
    let id = first.start(task("repair the login")).await.unwrap().id;
    first.log_steps(&scope(), id, step("step 0"), None).await.unwrap();
    drop(first);
    assert!(directory.exists());
    std::fs::remove_dir_all(&directory).unwrap();
    let store = world.store(WhenOffline::Refuse).await;
    let second = memory(HybridStorage::new(store, Place::Remote, &cache));
    assert_eq!(actions(&second.require(&scope(), id).await.unwrap()), words(0..1));
}
