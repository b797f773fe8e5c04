//! What this process measured, for operators: as text for Prometheus, to an OpenTelemetry collector, and
//! as what the dashboard shows.
//!
//! Names are OpenTelemetry's where it has one for a thing. Counters live where the work is done;
//! nothing is counted twice, and reading them costs the work nothing.
//!
//! - `metric`: a metric as it is read
//! - `sources`: every metric there is
//! - `process`: what the system knows of this process
//! - `prometheus`, `otlp`: the two forms in which they leave

mod metric;
mod otlp;
mod process;
mod prometheus;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::latency::{Latencies, Latency};
use memory_core::{Memory, Timestamp};
use memory_storage::HybridStorage;

pub use metric::{Labels, Metric, Point, Points};
pub use otlp::{Exporter, OtelConfig};
pub(crate) use process::Process;

/// Files whose sizes are told.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The database, unless it is on a server.
    pub database: Option<PathBuf>,
    /// Writes that a server does not have yet.
    pub pending: Option<PathBuf>,
}

impl Files {
    /// Each file with what it is called, whether it exists or not.
    pub(crate) fn named(&self, cache: Option<&Path>) -> Vec<(&'static str, PathBuf)> {
        let mut files = Vec::new();
        if let Some(database) = &self.database {
            let mut log = database.clone().into_os_string();
            log.push("-wal");
            files.extend([("database", database.clone()), ("write_ahead_log", log.into())]);
        }
        files.extend(self.pending.clone().map(|path| ("pending", path)));
        files.extend(cache.map(|path| ("cache", path.to_owned())));
        files
    }
}

/// What is told apart when calls of tools are measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// The name of the tool; one that does not exist is `unknown`.
    pub(crate) tool: String,
    /// How it failed, if it did.
    pub(crate) error: Option<&'static str>,
}

/// What is told apart when HTTP requests are measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// The route as it was declared, never a path with ids in it.
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// Calls of tools that this process answered, over any transport.
pub(crate) static CALLS: Latencies<Call> = Latencies::new();

/// HTTP requests that this process answered.
pub(crate) static EXCHANGES: Latencies<Exchange> = Latencies::new();

/// Reads what was measured.
pub struct Telemetry {
    memory: Arc<Memory<HybridStorage>>,
    files: Files,
    started: Timestamp,
}

impl Telemetry {
    /// Of this process and its memory.
    pub fn new(memory: Arc<Memory<HybridStorage>>, files: Files) -> Self {
        let started = memory.now();
        Telemetry { memory, files, started }
    }

    /// Every metric as it stands.
    pub async fn gather(&self) -> Vec<Metric> {
        sources::gather(self).await
    }

    /// Every metric in Prometheus' text format.
    pub async fn prometheus(&self) -> String {
        prometheus::text(&self.gather().await)
    }

    pub(crate) fn memory(&self) -> &Memory<HybridStorage> {
        &self.memory
    }

    pub(crate) fn started(&self) -> Timestamp {
        self.started
    }

    /// Each file that exists, with its size in bytes.
    pub(crate) fn file_sizes(&self) -> Vec<(&'static str, u64)> {
        let files = self.files.named(self.memory.store().cache_file());
        let size = |path: PathBuf| std::fs::metadata(path).ok().map(|m| m.len());
        files.into_iter().filter_map(|(name, path)| Some((name, size(path)?))).collect()
    }
}

/// All operations of one kind together, those that failed too: how many of them failed, and how long
/// they took.
pub(crate) fn merged<L, K: Ord>(
    measured: Vec<(L, Latency)>,
    kind: impl Fn(&L) -> (K, bool),
) -> Vec<(K, Merged)> {
    let mut all: std::collections::BTreeMap<K, Merged> = std::collections::BTreeMap::new();
    for (label, latency) in measured {
        let (key, failed) = kind(&label);
        let errors = if failed { latency.count() } else { 0 };
        match all.get_mut(&key) {
            Some(merged) => {
                merged.latency.add(&latency);
                merged.errors += errors;
            }
            None => {
                all.insert(key, Merged { latency, errors });
            }
        }
    }
    all.into_iter().collect()
}

/// See [`merged`].
pub(crate) struct Merged {
    pub(crate) latency: Latency,
    pub(crate) errors: u64,
}
