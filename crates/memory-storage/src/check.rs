//! Comparing what is cached with the database: a sample now and then, or everything on request.

use std::sync::Arc;
use std::time::Instant;

use memory_core::store::{EpisodeStore, Scope};
use memory_core::{EpisodeId, Result};

use crate::metrics::Metrics;
use crate::shared::Shared;

/// Episodes compared with one request.
const CHUNK: usize = 64;

/// Episodes of a sample: one small request.
const SAMPLE: usize = 16;

/// What a check of the cache found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCheck {
    /// Cached episodes that were compared with the database.
    pub checked: usize,
    /// Those that differed although nothing was known to have changed. They were dropped.
    pub wrong: usize,
}

impl<D: EpisodeStore> Shared<D> {
    /// Compares everything cached with the database; tells `progress` how many of how many are done.
    pub(crate) async fn check(
        self: &Arc<Self>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<CacheCheck> {
        let ids = self.cache.held_ids();
        let (mut total, mut done) = (CacheCheck::default(), 0);
        for chunk in ids.chunks(CHUNK) {
            let found = self.compare(chunk).await?;
            total.checked += found.checked;
            total.wrong += found.wrong;
            done += chunk.len();
            progress(done, ids.len());
        }
        Ok(total)
    }

    /// Compares some of what is cached; others with every `turn`.
    pub(crate) async fn sample(self: &Arc<Self>, turn: usize) -> Result<CacheCheck> {
        let ids = self.cache.held_ids();
        let every = (ids.len() / SAMPLE).max(1);
        let sample: Vec<EpisodeId> =
            ids.into_iter().skip(turn % every).step_by(every).take(SAMPLE).collect();
        if sample.is_empty() { Ok(CacheCheck::default()) } else { self.compare(&sample).await }
    }

    async fn compare(self: &Arc<Self>, ids: &[EpisodeId]) -> Result<CacheCheck> {
        let stored = self.durable.get(&Scope::All, ids).await?;
        // What changed before the database was read is known after this, and dropped.
        self.confirm(Instant::now()).await?;
        let mut found = CacheCheck::default();
        for (id, stored) in ids.iter().zip(&stored) {
            let in_file = || self.cache.read_file(*id, Instant::now());
            let Some(entry) = self.cache.peek(id).or_else(in_file) else { continue };
            let newer = stored.as_ref().is_some_and(|stored| entry.version() > stored.version);
            found.checked += 1;
            // A newer one may have been written between the two readings.
            if entry.episode() == stored.as_ref() || newer {
                continue;
            }
            found.wrong += 1;
            Metrics::add(&self.metrics.repairs, 1);
            tracing::warn!("episode {id} was not in the cache as it is in the database");
            self.cache.invalidate(*id);
        }
        Ok(found)
    }
}
