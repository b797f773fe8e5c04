//! Every cache file against the database.

use std::path::PathBuf;
use std::sync::Arc;

use memory_storage::{CacheCheck, CacheMetrics};
use serde::Serialize;

use super::super::session::{LocalMemory, Session};
use super::super::{Failure, progress};

/// What the check of the cache files found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Caches {
    /// Files that were read.
    pub(super) files: usize,
    /// Files that other processes have open: they compare samples with the database themselves.
    pub(super) in_use: usize,
    /// Files that were damaged and set aside.
    pub(super) damaged: u64,
    /// Cached episodes that were compared with the database.
    pub(super) checked: usize,
    /// Those that differed, and were dropped.
    pub(super) dropped: usize,
}

impl Caches {
    pub(super) fn found(&self) -> u64 {
        self.damaged + self.dropped as u64
    }

    fn add(&mut self, check: CacheCheck, metrics: &CacheMetrics) {
        self.files += 1;
        self.damaged += metrics.quarantines.get();
        self.checked += check.checked;
        self.dropped += check.wrong;
    }
}

/// A process has one cache file, the lowest that is free. So the others are reached by opening the
/// storage again while the ones before are kept.
pub(super) async fn check(
    memory: &Arc<LocalMemory>,
    session: &Session,
    files: Vec<PathBuf>,
) -> Result<Caches, Failure> {
    let mut caches = Caches::default();
    let mut open = vec![memory.clone()];
    while let Some(last) = open.last() {
        let store = last.store();
        if !store.cache_file().is_some_and(|file| files.iter().any(|known| known == file)) {
            break;
        }
        let bar = progress::records(0);
        bar.set_message("cache");
        let checked = store.check_cache(|done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        });
        let checked = checked.await;
        bar.finish_and_clear();
        if let Some(metrics) = store.cache_metrics() {
            caches.add(checked?, metrics);
        }
        if caches.files == files.len() {
            break;
        }
        open.push(session.open().await?);
    }
    caches.in_use = files.len() - caches.files;
    for memory in open.iter().skip(1) {
        memory.store().durable().close().await;
    }
    Ok(caches)
}
