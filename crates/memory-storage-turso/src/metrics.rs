//! What the store did, as counters that anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::latency::Latencies;

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }
}

/// What is told apart when operations are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// The method of [`EpisodeStore`](memory_core::EpisodeStore).
    pub operation: &'static str,
    /// The [kind](memory_core::Error::kind) of its error, if it failed.
    pub error: Option<&'static str>,
}

/// How connections are used at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// In use.
    pub in_use: u64,
    /// Open and free; to a server: reads that may begin at once.
    pub idle: u64,
    /// As many may be in use at a time.
    pub limit: u64,
    /// Calls that wait for one.
    pub waiting: u64,
}

/// Counters of one store since it was opened.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Operations of the port that reached the database, with all their round trips and retries.
    pub operations: Latencies<Operation>,
    /// What reads of a file waited for a connection.
    pub pool_wait: Latencies<()>,
    /// Batches run, reads and writes: round trips, where the database is remote.
    pub batches: Counter,
    /// Statements run.
    pub statements: Counter,
    /// Statements that had to be prepared.
    pub prepared: Counter,
    /// Statements that were found prepared in a connection's cache.
    pub reused: Counter,
    /// Connections opened.
    pub connections: Counter,
    /// Commits of the writer: one fsync each, for one or many write batches.
    pub commits: Counter,
    /// Write batches committed. More than `commits` when group commit saves fsyncs.
    pub committed_batches: Counter,
    /// Write groups that failed and were run again one batch at a time.
    pub split_groups: Counter,
    /// Waits for another process's write to end.
    pub busy_retries: Counter,
    /// Calls refused early because too much was waiting.
    pub overloaded: Counter,
    /// Times the writer reopened its connection after a failure it could not trust.
    pub reopened: Counter,
    /// Feed polls answered without a query because the file had not changed.
    pub feed_shortcuts: Counter,
}
