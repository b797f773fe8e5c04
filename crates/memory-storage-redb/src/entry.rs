//! What the memory tier holds for an id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use memory_core::Episode;

use crate::config::{State, Ttl};
use crate::index::Weighed;
use crate::weight;

/// A decoded episode, or the knowledge that there is none, with what decides whether it may be served.
///
/// Every reading of the change feed either drops an entry or confirms it, so that the sequence at
/// which an entry was last known to be current is the cache's watermark.
#[derive(Debug)]
pub struct Entry {
    episode: Option<Arc<Episode>>,
    since: Instant,
    weight: u64,
    uses: AtomicU32,
}

impl Entry {
    pub(crate) fn new(episode: Option<Arc<Episode>>, since: Instant) -> Self {
        let weight = episode.as_ref().map_or(weight::ABSENT_BYTES, |e| weight::in_memory(e));
        Entry { episode, since, weight, uses: AtomicU32::new(1) }
    }

    /// `None`: there is no such episode.
    pub fn episode(&self) -> Option<&Arc<Episode>> {
        self.episode.as_ref()
    }

    /// The episode's version; 0 when there is none.
    pub fn version(&self) -> u64 {
        self.episode.as_ref().map_or(0, |e| e.version)
    }

    /// How long after `confirmed`, when the database was last heard of, this counts as current.
    pub fn budget(&self, ttl: Ttl, confirmed: Instant) -> Duration {
        let state = match &self.episode {
            None => State::Absent,
            Some(episode) if episode.is_running() => State::Running,
            Some(_) => State::Completed,
        };
        ttl.budget(state, confirmed.saturating_duration_since(self.since))
    }

    pub(crate) fn count_use(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    /// Uses since the last call.
    pub(crate) fn take_uses(&self) -> u32 {
        self.uses.swap(0, Ordering::Relaxed)
    }
}

impl Weighed for Arc<Entry> {
    fn weight(&self) -> u64 {
        self.weight
    }
}
