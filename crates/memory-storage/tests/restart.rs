//! What a restart costs: the first reads of a process that finds what the last one left, against one
//! that finds nothing. On fixed traces, so the figures are the same everywhere.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{Episode, EpisodeId, WriteId};
use memory_storage::{CacheConfig, HybridStorage, Place, Synchronous, TursoConfig};
use memory_storage_turso::TursoStore;
use memory_testkit::generate;
use memory_testkit::trace::{Trace, synthetic};

const EPISODES: u64 = 2_000;

/// Reads of the process before.
const BEFORE: usize = 10_000;

/// Reads of the process after.
const FIRST: usize = 1_000;

/// Episodes that somebody else changed in between.
const CHANGED: u64 = 60;

fn episode(n: u64, version: u64) -> Arc<Episode> {
    Arc::new(Episode { version, ..generate::episode(5, n, 1_500) })
}

fn id(key: u64) -> EpisodeId {
    generate::episode(5, key % EPISODES, 100).id
}

async fn save(store: &TursoStore, numbers: impl Iterator<Item = u64>, base: u64) {
    let writes = numbers.map(|n| {
        let episode = episode(n, base + 1);
        let write_id = WriteId::derive(&[episode.id.as_bytes(), &base.to_le_bytes()]);
        Write::Save(Save { episode, base, write_id, lessons: Vec::new() })
    });
    for written in store.write(writes.collect()).await.unwrap() {
        written.unwrap();
    }
}

/// The database is a file here, treated as if it were far away: a batch is a round trip.
async fn start(database: &Path, cache: &Path) -> HybridStorage<TursoStore> {
    let config = TursoConfig { synchronous: Synchronous::Normal, ..TursoConfig::at(database) };
    let turso = TursoStore::open(config).await.unwrap();
    let cache = CacheConfig { dir: Some(cache.to_owned()), ..CacheConfig::default() };
    HybridStorage::new(turso, Place::Remote, &cache)
}

fn round_trips(storage: &HybridStorage<TursoStore>) -> u64 {
    storage.durable().metrics().batches.get()
}

/// Waits until the work of the start is over.
async fn settled(storage: &HybridStorage<TursoStore>) {
    let warmed = || {
        let metrics = storage.metrics();
        let counters = [&metrics.warmed_from_file, &metrics.warmed_from_database];
        counters.map(|counter| counter.load(Ordering::Relaxed)).iter().sum::<u64>()
            + round_trips(storage)
    };
    let (mut before, mut since) = (warmed(), Instant::now());
    while since.elapsed() < Duration::from_millis(700) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if warmed() != before {
            (before, since) = (warmed(), Instant::now());
        }
    }
}

async fn read(storage: &HybridStorage<TursoStore>, keys: &[u64]) {
    for key in keys {
        let found = storage.get(&Scope::All, &[id(*key)]).await.unwrap().remove(0);
        assert!(found.is_some());
    }
}

struct First {
    hit_percent: f64,
    /// Of the reads themselves.
    round_trips: u64,
    /// Of the start, in the background.
    warm_up: u64,
}

/// The first reads of a process.
async fn first_reads(database: &Path, cache: &Path, keys: &[u64]) -> First {
    let storage = start(database, cache).await;
    settled(&storage).await;
    let warm_up = round_trips(&storage);
    read(&storage, keys).await;
    let round_trips = round_trips(&storage) - warm_up;
    let hits = storage.metrics().hits.load(Ordering::Relaxed);
    storage.close().await;
    First { hit_percent: hits as f64 * 100.0 / keys.len() as f64, round_trips, warm_up }
}

async fn compare(trace: &Trace) -> [First; 2] {
    let directory = tempfile::tempdir().unwrap();
    let (database, cache) = (directory.path().join("memory.db"), directory.path().join("cache"));
    let (before, first) = trace.keys.split_at(BEFORE);
    let storage = start(&database, &directory.path().join("nobody")).await;
    let store = storage.close().await.unwrap();
    save(&store, 0..EPISODES, 0).await;
    store.close().await;
    let storage = start(&database, &cache).await;
    settled(&storage).await;
    read(&storage, before).await;
    let store = storage.close().await.unwrap();
    save(&store, 0..CHANGED, 1).await;
    store.close().await;
    let with = first_reads(&database, &cache, first).await;
    let without = first_reads(&database, &directory.path().join("another"), first).await;
    [with, without]
}

#[tokio::test(flavor = "multi_thread")]
async fn first_reads_after_a_restart_are_mostly_hits_and_cost_two_round_trips_to_prepare() {
    println!("first {FIRST} reads after a restart, {CHANGED} episodes changed in between");
    println!("{:<20}{:>14}{:>14}{:>24}", "", "with warm-up", "without", "round trips");
    for trace in [
        synthetic::zipf("zipf 1.0", 3, 1.0, BEFORE + FIRST),
        synthetic::agent_sessions(3, BEFORE + FIRST),
        synthetic::agent_fresh_work(3, BEFORE + FIRST),
    ] {
        let [with, without] = compare(&trace).await;
        println!(
            "{:<20}{:>12.1} %{:>12.1} %{:>12} + {} against {} + {}",
            trace.name,
            with.hit_percent,
            without.hit_percent,
            with.round_trips,
            with.warm_up,
            without.round_trips,
            without.warm_up,
        );
        // Migrations are looked at once, the feed is read, and what changed comes with one request.
        assert!(with.warm_up <= without.warm_up + 1, "{} round trips", with.warm_up);
        assert!(with.hit_percent >= without.hit_percent + 5.0);
        assert!(with.round_trips * 10 <= without.round_trips * 9);
    }
}
