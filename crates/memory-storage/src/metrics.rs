//! What the cache did, as counters.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since start, beside those of the tiers. Cheap enough for the hit path.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Reads by id answered from the cache, from memory or from the file.
    pub hits: AtomicU64,
    /// Reads by id that had to ask the database.
    pub misses: AtomicU64,
    /// Misses that joined a fetch already under way.
    pub joined: AtomicU64,
    /// Queries answered from the cache.
    pub query_hits: AtomicU64,
    /// Queries that had to ask the database.
    pub query_misses: AtomicU64,
    /// Reads of the change feed.
    pub feed_reads: AtomicU64,
    /// Those of them that nobody waited for.
    pub background_feed_reads: AtomicU64,
    /// Answers from the cache although the database could not be reached to confirm them.
    pub stale_serves: AtomicU64,
    /// Cached episodes that a check found to differ from the database, and dropped.
    pub repairs: AtomicU64,
    /// Episodes that the warm-up took from the cache file.
    pub warmed_from_file: AtomicU64,
    /// Episodes that the warm-up fetched, all with one request.
    pub warmed_from_database: AtomicU64,
    /// Times the cache gave memory back because the machine was short of it.
    pub pressure_shrinks: AtomicU64,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}
