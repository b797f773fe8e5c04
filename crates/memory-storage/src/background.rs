//! What goes on while nobody waits: the warm-up, idle polls of the feed, memory pressure, history,
//! samples compared with the database, upkeep of the database.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use memory_core::EpisodeId;
use memory_core::store::{EpisodeStore, Scope};

use crate::metrics::Metrics;
use crate::pressure;
use crate::shared::Shared;

/// The shortest and the longest time between two polls of an idle feed.
const FIRST_POLL: Duration = Duration::from_secs(1);
const LAST_POLL: Duration = Duration::from_secs(60);

/// How often the machine's memory is looked at.
const LOOK_AT_MEMORY: Duration = Duration::from_secs(10);

/// How often the access history is stored: what a crash may lose of it.
const SAVE_HISTORY: Duration = Duration::from_secs(60);

/// Episodes that the warm-up takes from the cache file, at most.
const WARM_FROM_FILE: usize = 1024;

/// Episodes that the warm-up fetches: one request, with an answer of ordinary size.
const WARM_FROM_DATABASE: usize = 128;

/// Runs until the storage is gone.
pub(crate) async fn run<D: EpisodeStore>(storage: Weak<Shared<D>>) {
    if let Some(shared) = storage.upgrade() {
        // Unreachable: then the next poll or the first read will tell.
        let _ = shared.confirm(Instant::now()).await;
        warm_up(&shared).await;
    }
    let mut served = 0;
    let (mut share, mut looked_at, mut saved_at) = (1.0, Instant::now(), Instant::now());
    let mut poll = FIRST_POLL;
    let mut seen = None;
    loop {
        tokio::time::sleep(poll.min(LOOK_AT_MEMORY)).await;
        let Some(shared) = storage.upgrade() else { return };
        if shared.remote {
            poll_feed(&shared, &mut poll, &mut seen).await;
        } else {
            poll = LAST_POLL;
        }
        if let Err(e) = shared.durable.maintain().await {
            tracing::debug!("the database is not maintained: {e}");
        }
        if looked_at.elapsed() >= LOOK_AT_MEMORY {
            looked_at = Instant::now();
            share = follow_pressure(&shared, share, &pressure::FILES);
        }
        if saved_at.elapsed() >= SAVE_HISTORY {
            saved_at = Instant::now();
            shared.cache.save_history();
            shared.save_report(false);
            sample_if_used(&shared, &mut served).await;
        }
    }
}

/// Reads the feed if nobody did for the time of a poll. Polls back off while nothing happens.
async fn poll_feed<D: EpisodeStore>(
    shared: &Arc<Shared<D>>,
    poll: &mut Duration,
    seen: &mut Option<crate::feed::Version>,
) {
    let due = shared.feed.confirmed_at().is_none_or(|at| at.elapsed() >= *poll);
    if !due {
        return;
    }
    Metrics::add(&shared.metrics.background_feed_reads, 1);
    let read = shared.confirm(Instant::now()).await;
    let version = shared.feed.version();
    let quiet = read.is_err() || version == *seen;
    *poll = if quiet { (*poll * 2).min(LAST_POLL) } else { FIRST_POLL };
    *seen = version;
}

/// Compares a few entries with the database, if any were served since the last time.
async fn sample_if_used<D: EpisodeStore>(shared: &Arc<Shared<D>>, served: &mut u64) {
    let hits = shared.metrics.hits.load(Ordering::Relaxed);
    if std::mem::replace(served, hits) == hits {
        return;
    }
    let turn = usize::try_from(hits).unwrap_or(0);
    if let Err(e) = shared.sample(turn).await {
        tracing::debug!("the cache was not compared with the database: {e}");
    }
}

fn follow_pressure<D: EpisodeStore>(shared: &Arc<Shared<D>>, share: f64, files: &[&str]) -> f64 {
    let next = pressure::next_share(share, files);
    if next != share {
        shared.cache.set_memory_share(next);
        if next < share {
            Metrics::add(&shared.metrics.pressure_shrinks, 1);
            tracing::info!("short of memory: the cache goes down to {:.0} %", next * 100.0);
        }
    }
    next
}

/// Brings what earlier runs used most into memory: from the cache file, and what it lacks from the
/// database with one request.
pub(crate) async fn warm_up<D: EpisodeStore>(shared: &Arc<Shared<D>>) {
    let mut missing: Vec<EpisodeId> = Vec::new();
    for (id, in_file) in shared.cache.wanted(WARM_FROM_FILE) {
        if shared.cache.is_full() {
            break;
        }
        if in_file && shared.cache.read_file(id, Instant::now()).is_some() {
            Metrics::add(&shared.metrics.warmed_from_file, 1);
            tokio::task::yield_now().await;
        } else if missing.len() < WARM_FROM_DATABASE {
            missing.push(id);
        }
    }
    if missing.is_empty() {
        return;
    }
    let mark = shared.cache.mark(Instant::now());
    match shared.durable.get(&Scope::All, &missing).await {
        Ok(found) => {
            for (id, episode) in missing.iter().zip(&found) {
                if episode.is_some() && shared.cache.fill(mark, *id, episode.as_ref()) {
                    Metrics::add(&shared.metrics.warmed_from_database, 1);
                }
            }
        }
        Err(e) => tracing::debug!("the cache is not warmed up: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use memory_storage_redb::{Cache, CacheConfig, Policy, Ttl};
    use memory_storage_turso::{TursoConfig, TursoStore};
    use memory_testkit::generate;

    use super::*;
    use crate::queries::Queries;

    #[tokio::test]
    async fn under_pressure_the_cache_gives_memory_back_and_takes_it_again_in_calm() {
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig { memory_bytes: 1 << 20, ..CacheConfig::default() };
        let shared = Arc::new(Shared::new(
            TursoStore::open(TursoConfig::at(dir.path().join("m.db"))).await.unwrap(),
            false,
            Cache::open(&config, false),
            Queries::new(Policy::default(), 1 << 16),
            Ttl::ByState,
            Duration::from_secs(60),
            Arc::default(),
        ));
        let fill = || {
            for n in 0..400 {
                shared.cache.put(&Arc::new(generate::episode(5, n, 4_000)), Instant::now());
            }
            shared.cache.metrics().memory.bytes.get()
        };
        let file = dir.path().join("memory.pressure");
        let files = ["/nowhere/memory.pressure", file.to_str().unwrap()];
        let said = |average: &str| {
            std::fs::write(&file, format!("some avg10={average} avg60=0.00 total=1\n")).unwrap();
        };
        let full = fill();
        assert!(full > 640 << 10, "{full}");

        said("40.00");
        let share = follow_pressure(&shared, 1.0, &files);
        assert_eq!(share, 0.5);
        assert!(shared.cache.metrics().memory.bytes.get() <= 512 << 10);
        let share = follow_pressure(&shared, share, &files);
        assert!(fill() <= 256 << 10, "what is read next does not fill it again");
        assert_eq!(shared.metrics.pressure_shrinks.load(Ordering::Relaxed), 2);

        said("0.00");
        let mut calm = share;
        for _ in 0..7 {
            calm = follow_pressure(&shared, calm, &files);
        }
        assert_eq!(calm, 1.0);
        assert!(fill() > 640 << 10);
        assert_eq!(follow_pressure(&shared, 0.5, &["/nowhere"]), 0.5);
    }
}
