//! What the cache did, as counters.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since start. Cheap enough for the hit path.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Reads answered from memory.
    pub hits: AtomicU64,
    /// Reads that had to ask the database.
    pub misses: AtomicU64,
    /// Misses that joined a fetch already under way.
    pub joined: AtomicU64,
    /// Entries dropped because somebody changed the episode.
    pub invalidations: AtomicU64,
    /// Fetched values that were not kept because a change overtook the fetch.
    pub refused_fills: AtomicU64,
    /// Reads of the change feed.
    pub feed_reads: AtomicU64,
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}
