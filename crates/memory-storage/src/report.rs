//! What the cache was good for, by tier: a small file beside each cache file, so that one process can
//! tell of all of them and a restart loses nothing of it.

use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::store::EpisodeStore;
use memory_storage_redb::{cache_files, metrics::TierMetrics};
use serde::{Deserialize, Serialize};

use crate::shared::Shared;

/// One tier, or one table of it. Counters are sums over all runs on a cache file, levels are of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TierReport {
    /// Reads it answered.
    pub hits: u64,
    /// Reads it could not answer.
    pub misses: u64,
    /// Entries taken in.
    pub admissions: u64,
    /// Entries that made room for others.
    pub evictions: u64,
    /// Entries held.
    pub entries: u64,
    /// Bytes held: of memory, or of allocated pages.
    pub bytes: u64,
}

/// The whole cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheReport {
    /// Decoded episodes in memory.
    pub memory: TierReport,
    /// Episodes in the cache file.
    pub file: TierReport,
    /// Knowledge that an id does not exist.
    pub absent: TierReport,
    /// Results of queries.
    pub queries: TierReport,
    /// Answers that could not be confirmed because the database was out of reach.
    pub stale_serves: u64,
    /// Stored values that were not what was written.
    pub checksum_failures: u64,
    /// Cached episodes that differed from the database, and were dropped.
    pub repairs: u64,
    /// Cache files set aside because of damage or an unknown format.
    pub quarantines: u64,
    /// Entries dropped because the episode changed.
    pub invalidations: u64,
    /// Fetched values that were not kept because a change overtook the fetch.
    pub refused_fills: u64,
    /// Reads of the change feed that were requests of their own.
    pub feed_reads: u64,
    /// Episodes that warm-ups took from the file.
    pub warmed_from_file: u64,
    /// Episodes that warm-ups fetched.
    pub warmed_from_database: u64,
}

impl TierReport {
    fn of(metrics: &TierMetrics) -> Self {
        TierReport {
            hits: metrics.hits.get(),
            misses: metrics.misses.get(),
            admissions: metrics.admissions.get(),
            evictions: metrics.evictions.get(),
            entries: metrics.entries.get(),
            bytes: metrics.bytes.get(),
        }
    }

    fn add(&mut self, other: &TierReport) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.admissions += other.admissions;
        self.evictions += other.evictions;
        self.entries += other.entries;
        self.bytes += other.bytes;
    }

    fn without_levels(self) -> Self {
        TierReport { entries: 0, bytes: 0, ..self }
    }
}

impl CacheReport {
    /// What was told of all cache files of a directory. Running processes tell once a minute.
    pub fn of_directory(dir: &Path) -> Self {
        let mut sum = CacheReport::default();
        for file in cache_files(dir) {
            sum.add(&Self::read(&beside(&file)));
        }
        sum
    }

    /// Nothing, where there is none or one that cannot be read: it is told for information.
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// In one piece or not at all.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let written = path.with_extension("json.new");
        memory_storage_redb::private::write(&written, &serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&written, path)
    }

    fn add(&mut self, other: &CacheReport) {
        self.memory.add(&other.memory);
        self.file.add(&other.file);
        self.absent.add(&other.absent);
        self.queries.add(&other.queries);
        self.stale_serves += other.stale_serves;
        self.checksum_failures += other.checksum_failures;
        self.repairs += other.repairs;
        self.quarantines += other.quarantines;
        self.invalidations += other.invalidations;
        self.refused_fills += other.refused_fills;
        self.feed_reads += other.feed_reads;
        self.warmed_from_file += other.warmed_from_file;
        self.warmed_from_database += other.warmed_from_database;
    }

    /// As it stands once its process is gone.
    fn without_memory(self) -> Self {
        CacheReport {
            memory: self.memory.without_levels(),
            absent: self.absent.without_levels(),
            queries: self.queries.without_levels(),
            ..self
        }
    }

    /// The sums that a new process on the same file goes on from.
    fn carried_over(self) -> Self {
        CacheReport { file: self.file.without_levels(), ..self.without_memory() }
    }
}

fn beside(cache_file: &Path) -> PathBuf {
    cache_file.with_extension("json")
}

/// What earlier runs told of a cache file.
pub(crate) fn of_earlier_runs(cache_file: Option<&Path>) -> CacheReport {
    cache_file
        .map_or_else(CacheReport::default, |file| CacheReport::read(&beside(file)).carried_over())
}

impl<D: EpisodeStore> Shared<D> {
    /// What this process's cache did, and earlier runs on the same cache file.
    pub(crate) fn report(&self) -> CacheReport {
        let (tiers, own) = (self.cache.metrics(), &self.metrics);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut report = CacheReport {
            memory: TierReport::of(&tiers.memory),
            file: TierReport::of(&tiers.disk),
            absent: TierReport::of(&tiers.absent),
            queries: TierReport {
                hits: count(&own.query_hits),
                misses: count(&own.query_misses),
                ..self.queries.report()
            },
            stale_serves: count(&own.stale_serves),
            checksum_failures: tiers.checksum_failures.get(),
            repairs: count(&own.repairs),
            quarantines: tiers.quarantines.get(),
            invalidations: tiers.invalidations.get(),
            refused_fills: tiers.refused_fills.get(),
            feed_reads: count(&own.feed_reads),
            warmed_from_file: count(&own.warmed_from_file),
            warmed_from_database: count(&own.warmed_from_database),
        };
        report.add(&self.earlier);
        report
    }

    /// Tells of it beside the cache file, if there is one.
    pub(crate) fn save_report(&self, ended: bool) {
        let Some(file) = self.cache.file() else { return };
        let report = self.report();
        let report = if ended { report.without_memory() } else { report };
        if let Err(e) = report.write(&beside(file)) {
            tracing::debug!("no report beside {}: {e}", file.display());
        }
    }
}

/// Tells of the cache a last time when its storage is dropped.
pub(crate) struct LastReport<D: EpisodeStore>(pub(crate) Weak<Shared<D>>);

impl<D: EpisodeStore> Drop for LastReport<D> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.save_report(true);
        }
    }
}
