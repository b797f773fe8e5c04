//! Decoded episodes shared in memory, weighed in bytes, coherent by version.
//!
//! A fill can lose a race: the value is read, somebody writes, the write is invalidated here, and
//! only then the old value arrives. So every invalidation is numbered, a fetch notes the number at
//! which it began, and a value older than its episode's last invalidation is not kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::{Episode, EpisodeId};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Invalidated ids that are remembered to refuse late fills; beyond it all fills under way are
/// refused, which costs a fetch and nothing else.
const REMEMBERED_INVALIDATIONS: usize = 4096;

/// Bytes of an episode beside its texts: the entry, the struct, vectors' slack.
const ENTRY_BYTES: u64 = 640;

/// Bytes of a step beside its texts.
const STEP_BYTES: u64 = 208;

#[derive(Clone)]
struct ByBytes;

impl Weighter<EpisodeId, Arc<Episode>> for ByBytes {
    fn weight(&self, _: &EpisodeId, episode: &Arc<Episode>) -> u64 {
        let steps: u64 = episode.steps.iter().map(|s| s.size_bytes() as u64 + STEP_BYTES).sum();
        ENTRY_BYTES + episode.task_description.len() as u64 + steps
    }
}

/// The number of the last invalidation that a fetch knew of when it began.
#[derive(Debug, Clone, Copy)]
pub struct FetchMark(u64);

#[derive(Default)]
struct Invalidations {
    last: u64,
    /// Marks before this one cannot be judged any more.
    floor: u64,
    by_id: HashMap<EpisodeId, u64>,
}

impl Invalidations {
    fn note(&mut self, id: EpisodeId) {
        self.last += 1;
        if self.by_id.len() >= REMEMBERED_INVALIDATIONS {
            self.by_id.clear();
            self.floor = self.last;
        }
        self.by_id.insert(id, self.last);
    }

    fn overtook(&self, mark: FetchMark, id: &EpisodeId) -> bool {
        mark.0 < self.floor || self.by_id.get(id).is_some_and(|n| *n > mark.0)
    }
}

/// The memory tier.
pub struct MemoryTier {
    cache: Cache<EpisodeId, Arc<Episode>, ByBytes>,
    /// Held by fills and invalidations, never by hits.
    invalidations: Mutex<Invalidations>,
}

impl MemoryTier {
    /// A tier that holds at most `bytes` of episodes.
    pub fn new(bytes: u64) -> Self {
        // The library sizes its tables by an estimate of how many entries there will be.
        let entries = usize::try_from(bytes / 4096).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        MemoryTier {
            cache: Cache::with_weighter(entries, bytes, ByBytes),
            invalidations: Mutex::default(),
        }
    }

    /// The entry, if it is held.
    pub fn get(&self, id: &EpisodeId) -> Option<Arc<Episode>> {
        self.cache.get(id)
    }

    /// To be taken before a fetch begins.
    pub fn mark(&self) -> FetchMark {
        FetchMark(self.lock().last)
    }

    /// Keeps a fetched value, unless its episode was invalidated since `mark`. Says whether it did.
    pub fn fill(&self, mark: FetchMark, episode: &Arc<Episode>) -> bool {
        let invalidations = self.lock();
        let fresh = !invalidations.overtook(mark, &episode.id);
        if fresh {
            self.cache.insert(episode.id, episode.clone());
        }
        fresh
    }

    /// Keeps what this process has just committed.
    pub fn put(&self, episode: &Arc<Episode>) {
        let mut invalidations = self.lock();
        invalidations.note(episode.id);
        let newer = self.cache.peek(&episode.id).is_some_and(|held| held.version > episode.version);
        if !newer {
            self.cache.insert(episode.id, episode.clone());
        }
    }

    /// Drops an entry whatever its version. Says whether there was one.
    pub fn invalidate(&self, id: EpisodeId) -> bool {
        let mut invalidations = self.lock();
        invalidations.note(id);
        self.cache.remove(&id).is_some()
    }

    /// Drops an entry that is older than `version`. Says whether there was one.
    pub fn invalidate_before(&self, id: EpisodeId, version: u64) -> bool {
        let mut invalidations = self.lock();
        if self.cache.peek(&id).is_some_and(|held| held.version >= version) {
            return false;
        }
        invalidations.note(id);
        self.cache.remove(&id).is_some()
    }

    /// Drops everything, and every fill under way.
    pub fn clear(&self) {
        let mut invalidations = self.lock();
        invalidations.last += 1;
        invalidations.floor = invalidations.last;
        invalidations.by_id.clear();
        self.cache.clear();
    }

    /// Bytes held, by the weigher's estimate.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }

    /// Entries held.
    pub fn entries(&self) -> usize {
        self.cache.len()
    }

    fn lock(&self) -> MutexGuard<'_, Invalidations> {
        self.invalidations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::Timestamp;

    fn episode(name: &str, version: u64) -> Arc<Episode> {
        let id = EpisodeId::derive(&[name.as_bytes()]);
        let mut episode = Episode::start(id, "default", name, Timestamp(0));
        episode.version = version;
        Arc::new(episode)
    }

    #[test]
    fn a_slow_fetch_cannot_land_after_its_invalidation() {
        let tier = MemoryTier::new(1 << 20);
        let (old, new) = (episode("a", 1), episode("a", 2));
        let mark = tier.mark();
        tier.put(&new);
        assert!(!tier.fill(mark, &old));
        assert_eq!(tier.get(&old.id).unwrap().version, 2);

        let mark = tier.mark();
        tier.invalidate(old.id);
        assert!(!tier.fill(mark, &new));
        assert!(tier.get(&old.id).is_none());
        assert!(tier.fill(tier.mark(), &new));
    }

    #[test]
    fn clearing_refuses_every_fetch_under_way() {
        let tier = MemoryTier::new(1 << 20);
        let mark = tier.mark();
        tier.clear();
        assert!(!tier.fill(mark, &episode("a", 1)));
        assert!(tier.fill(tier.mark(), &episode("a", 1)));
    }

    #[test]
    fn forgotten_invalidations_refuse_rather_than_guess() {
        let tier = MemoryTier::new(1 << 20);
        let mark = tier.mark();
        for i in 0..=REMEMBERED_INVALIDATIONS {
            tier.invalidate(EpisodeId::derive(&[&i.to_le_bytes()]));
        }
        assert!(!tier.fill(mark, &episode("a", 1)));
    }

    #[test]
    fn a_change_that_is_already_held_drops_nothing() {
        let tier = MemoryTier::new(1 << 20);
        tier.put(&episode("a", 3));
        assert!(!tier.invalidate_before(episode("a", 3).id, 3));
        assert!(tier.invalidate_before(episode("a", 3).id, 4));
    }

    #[test]
    fn the_budget_is_kept() {
        let tier = MemoryTier::new(64 * 1024);
        for i in 0..1000 {
            tier.put(&episode(&format!("{i} {}", "x".repeat(900)), 1));
        }
        assert!(tier.bytes() <= 64 * 1024, "{} bytes held", tier.bytes());
        assert!(tier.entries() > 10);
    }
}
