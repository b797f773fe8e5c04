//! What the cache did, as counters that anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or a level.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// One tier, or one table of it.
#[derive(Debug, Default)]
pub struct TierMetrics {
    /// Reads it answered.
    pub hits: Count,
    /// Reads it could not answer.
    pub misses: Count,
    /// Entries taken in.
    pub admissions: Count,
    /// Entries that made room for others.
    pub evictions: Count,
    /// Bytes held now: of memory, or of allocated pages.
    pub bytes: Count,
    /// Entries held now.
    pub entries: Count,
}

/// The cache since it was opened.
#[derive(Debug, Default)]
pub struct CacheMetrics {
    /// Decoded episodes in memory.
    pub memory: TierMetrics,
    /// Knowledge that an id does not exist, in memory: hits, admissions.
    pub absent: TierMetrics,
    /// Episodes in the cache file.
    pub disk: TierMetrics,
    /// Stored values that were not what was written.
    pub checksum_failures: Count,
    /// Cache files set aside because of damage or an unknown format.
    pub quarantines: Count,
    /// Cache files built anew, after a quarantine or a failure of the disk.
    pub rebuilds: Count,
    /// Times the cache file was compacted.
    pub compactions: Count,
    /// Entries dropped because the episode changed.
    pub invalidations: Count,
    /// Fetched values that were not kept because a change overtook the fetch.
    pub refused_fills: Count,
}
