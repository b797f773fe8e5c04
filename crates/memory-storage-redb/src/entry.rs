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
    current_at: Option<Instant>,
    weight: u64,
    uses: AtomicU32,
}

impl Entry {
    /// What the database was seen to hold at `seen`.
    pub(crate) fn seen(episode: Option<Arc<Episode>>, seen: Instant) -> Self {
        Entry { current_at: Some(seen), ..Entry::held(episode, seen) }
    }

    /// What this cache holds; as current as the feed says.
    pub(crate) fn held(episode: Option<Arc<Episode>>, since: Instant) -> Self {
        let weight = episode.as_ref().map_or(weight::ABSENT_BYTES, |e| weight::in_memory(e));
        Entry { episode, since, current_at: None, weight, uses: AtomicU32::new(1) }
    }

    /// `None`: there is no such episode.
    pub fn episode(&self) -> Option<&Arc<Episode>> {
        self.episode.as_ref()
    }

    /// The episode's version; 0 when there is none.
    pub fn version(&self) -> u64 {
        self.episode.as_ref().map_or(0, |e| e.version)
    }

    /// When this was last known to be current, given when the feed was last read to its end.
    pub fn current_at(&self, confirmed: Option<Instant>) -> Option<Instant> {
        confirmed.max(self.current_at)
    }

    /// How long after it was last known to be current this may be served.
    pub fn budget(&self, ttl: Ttl, current_at: Instant) -> Duration {
        let state = match &self.episode {
            None => State::Absent,
            Some(episode) if episode.is_running() => State::Running,
            Some(_) => State::Completed,
        };
        ttl.budget(state, current_at.saturating_duration_since(self.since))
    }

    /// The same in memory of its own.
    pub(crate) fn moved(&self) -> Self {
        let episode = self.episode.as_ref().map(|episode| Arc::new(Episode::clone(episode)));
        let uses = AtomicU32::new(self.uses.load(Ordering::Relaxed));
        Entry { episode, uses, ..*self }
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
