//! The two tiers together, coherent by version and by the change feed.
//!
//! A fill can lose a race: the value is read, somebody writes, the write is invalidated here, and
//! only then the old value arrives. So every invalidation is numbered, a fetch notes the number at
//! which it began, and a value older than its episode's last invalidation is not kept.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use memory_core::store::{Change, Changes, Watermark};
use memory_core::{Episode, EpisodeId};
use parking_lot::Mutex;

use crate::config::CacheConfig;
use crate::disk::{DiskConfig, DiskTier};
use crate::entry::Entry;
use crate::history::History;
use crate::index::Index;
use crate::metrics::CacheMetrics;

/// Invalidated ids that are remembered to refuse late fills; beyond it all fills under way are
/// refused, which costs a fetch and nothing else.
const REMEMBERED_INVALIDATIONS: usize = 4096;

/// Of the memory budget, what the pages of the cache file get, where there is one.
const FILE_PAGES: u64 = 8;

/// What the index of the cache file takes of the memory budget: this part of the file's bytes, but at
/// most that part of the budget.
const FILE_INDEX: u64 = 32;
const MAX_FILE_INDEX: u64 = 8;

/// Of what is left, the part for episodes: the rest is what the allocator holds beside what is in use,
/// since its pages are partly empty while entries of all sizes come and go.
const IN_USE: f64 = 0.7;

/// The smallest share of its budget that memory pressure leaves the memory tier.
const MIN_SHARE: f64 = 1.0 / 16.0;

/// When a fetch began, and the number of the last invalidation known then.
#[derive(Debug, Clone, Copy)]
pub struct FetchMark(u64, Instant);

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

    fn note_all(&mut self) {
        self.last += 1;
        self.floor = self.last;
        self.by_id.clear();
    }

    fn overtook(&self, mark: FetchMark, id: &EpisodeId) -> bool {
        mark.0 < self.floor || self.by_id.get(id).is_some_and(|n| *n > mark.0)
    }
}

/// Decoded episodes in memory, and a file behind them where there is one.
pub struct Cache {
    memory: Index<EpisodeId, Arc<Entry>>,
    memory_bytes: u64,
    disk: Option<DiskTier>,
    /// Held by fills and invalidations, never by hits.
    invalidations: Mutex<Invalidations>,
    history: Mutex<History>,
    /// What the file's entries take into account; to be confirmed by the feed before they are served
    /// as current.
    restored: Option<Watermark>,
    metrics: Arc<CacheMetrics>,
}

impl Cache {
    /// A cache for a database on this machine or another one. Opens the cache file where one is
    /// wanted, which reads its catalogue: milliseconds. Without one it does with memory alone.
    pub fn open(config: &CacheConfig, remote: bool) -> Self {
        let metrics = Arc::new(CacheMetrics::default());
        let pages = config.memory_bytes / FILE_PAGES;
        let opened = config.dir.as_ref().filter(|_| config.wants_file(remote)).and_then(|dir| {
            let disk = DiskConfig {
                dir: dir.clone(),
                bytes: config.disk_bytes,
                cache_bytes: usize::try_from(pages).unwrap_or(usize::MAX),
                policy: config.policy,
            };
            DiskTier::open(disk, metrics.clone())
        });
        let file_index = (config.disk_bytes / FILE_INDEX).min(config.memory_bytes / MAX_FILE_INDEX);
        let for_file = opened.as_ref().map_or(0, |_| pages + file_index);
        let memory_bytes = ((config.memory_bytes - for_file) as f64 * IN_USE) as u64;
        // The library sizes its tables by an estimate of how many entries there will be.
        let entries = usize::try_from(memory_bytes / 4096).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        let (disk, restored) = opened.unzip();
        let restored = restored.unwrap_or_default();
        Cache {
            memory: Index::new(config.policy, memory_bytes, entries),
            memory_bytes,
            disk,
            invalidations: Mutex::default(),
            history: Mutex::new(History::restored(restored.history)),
            restored: restored.watermark,
            metrics,
        }
    }

    /// What the entries of an earlier run take into account. Until [`apply`](Self::apply) was told
    /// what changed after it, nobody knows whether they are current.
    pub fn restored(&self) -> Option<&Watermark> {
        self.restored.as_ref()
    }

    /// What the cache did since it was opened; levels are brought up to date by this call.
    pub fn metrics(&self) -> &CacheMetrics {
        self.metrics.memory.bytes.set(self.memory.weight());
        self.metrics.memory.entries.set(self.memory.len() as u64);
        if let Some(disk) = &self.disk {
            self.metrics.disk.bytes.set(disk.bytes());
            self.metrics.disk.entries.set(disk.len() as u64);
        }
        &self.metrics
    }

    /// The entry in memory. The hot path.
    pub fn get(&self, id: &EpisodeId) -> Option<Arc<Entry>> {
        let entry = self.memory.get(id);
        match &entry {
            Some(entry) => {
                entry.count_use();
                let tier = if entry.episode().is_some() {
                    &self.metrics.memory
                } else {
                    &self.metrics.absent
                };
                tier.hits.add(1);
            }
            None => self.metrics.memory.misses.add(1),
        }
        entry
    }

    /// The entry in memory, without counting as a use.
    pub fn peek(&self, id: &EpisodeId) -> Option<Arc<Entry>> {
        self.memory.peek(id)
    }

    /// The entry in the file, taken into memory. Costs microseconds; nothing without a file.
    pub fn read_file(&self, id: EpisodeId, now: Instant) -> Option<Arc<Entry>> {
        let disk = self.disk.as_ref()?;
        let mark = self.mark(now);
        let episode = Arc::new(disk.get(id)?);
        let entry = Arc::new(Entry::held(Some(episode), now));
        let invalidations = self.invalidations.lock();
        // Dropped while it was read: then it is not to be served either.
        if invalidations.overtook(mark, &id) {
            return None;
        }
        match self.memory.peek(&id) {
            Some(held) if held.version() >= entry.version() => Some(held),
            _ => {
                self.admit(id, entry.clone());
                Some(entry)
            }
        }
    }

    /// To be taken before a fetch begins.
    pub fn mark(&self, now: Instant) -> FetchMark {
        FetchMark(self.invalidations.lock().last, now)
    }

    /// Keeps what a fetch found for an id, unless it was invalidated since `mark`. Says whether it
    /// did.
    pub fn fill(&self, mark: FetchMark, id: EpisodeId, episode: Option<&Arc<Episode>>) -> bool {
        let entry = Arc::new(Entry::seen(episode.cloned(), mark.1));
        let invalidations = self.invalidations.lock();
        if invalidations.overtook(mark, &id) {
            self.metrics.refused_fills.add(1);
            return false;
        }
        // Another fetch may have brought a newer one.
        if self.memory.peek(&id).is_some_and(|held| held.version() > entry.version()) {
            return true;
        }
        self.admit(id, entry);
        if let Some(disk) = &self.disk {
            match episode {
                Some(episode) => disk.put(episode),
                None => {
                    disk.remove(id);
                }
            }
        }
        true
    }

    /// Keeps what this process has just committed with a write that began at `began`.
    pub fn put(&self, episode: &Arc<Episode>, began: Instant) {
        let entry = Arc::new(Entry::seen(Some(episode.clone()), began));
        let mut invalidations = self.invalidations.lock();
        invalidations.note(episode.id);
        let newer = |held: u64| held > episode.version;
        let in_memory = self.memory.peek(&episode.id).is_some_and(|held| newer(held.version()));
        let on_disk =
            self.disk.as_ref().and_then(|disk| disk.version(&episode.id)).is_some_and(newer);
        if in_memory || on_disk {
            return;
        }
        self.admit(episode.id, entry);
        if let Some(disk) = &self.disk {
            disk.put(episode);
        }
    }

    /// Drops an entry whatever its version. Says whether there was one.
    pub fn invalidate(&self, id: EpisodeId) -> bool {
        let mut invalidations = self.invalidations.lock();
        self.drop_entry(&mut invalidations, id)
    }

    /// Drops what the feed says was changed, or everything if the feed cannot tell, and remembers
    /// where the feed stands. `since_start`: nothing was known before, so nothing is confirmed.
    pub fn apply(&self, changes: &Changes, since_start: bool) {
        let mut invalidations = self.invalidations.lock();
        if changes.jumped || since_start {
            invalidations.note_all();
            self.clear_tiers();
        }
        for Change { id, version, .. } in &changes.entries {
            let kept = version.is_some_and(|version| self.has(*id, version));
            if !kept && self.drop_entry(&mut invalidations, *id) {
                self.metrics.invalidations.add(1);
            }
            if version.is_none() {
                self.history.lock().forget(id);
            }
        }
        if let Some(disk) = &self.disk {
            disk.advance(&changes.watermark);
        }
    }

    /// Drops everything, and every fill under way.
    pub fn clear(&self) {
        let mut invalidations = self.invalidations.lock();
        invalidations.note_all();
        self.clear_tiers();
    }

    /// True when every tier that holds the episode holds this version or a later one.
    fn has(&self, id: EpisodeId, version: u64) -> bool {
        let in_memory = self.memory.peek(&id).map(|held| held.version());
        let on_disk = self.disk.as_ref().and_then(|disk| disk.version(&id));
        (in_memory.is_some() || on_disk.is_some())
            && [in_memory, on_disk].into_iter().flatten().all(|held| held >= version)
    }

    fn drop_entry(&self, invalidations: &mut Invalidations, id: EpisodeId) -> bool {
        invalidations.note(id);
        let in_memory = self.memory.remove(&id);
        let on_disk = self.disk.as_ref().is_some_and(|disk| disk.remove(id));
        if let Some(entry) = &in_memory {
            self.history.lock().add(id, entry.take_uses());
        }
        in_memory.is_some() || on_disk
    }

    fn clear_tiers(&self) {
        self.memory.clear();
        if let Some(disk) = &self.disk {
            disk.clear();
        }
    }

    fn admit(&self, id: EpisodeId, entry: Arc<Entry>) {
        let tier =
            if entry.episode().is_some() { &self.metrics.memory } else { &self.metrics.absent };
        tier.admissions.add(1);
        self.note_evicted(self.memory.insert(id, entry), Some(id));
    }

    fn note_evicted(&self, victims: Vec<(EpisodeId, Arc<Entry>)>, newcomer: Option<EpisodeId>) {
        if victims.is_empty() {
            return;
        }
        let mut history = self.history.lock();
        for (id, entry) in victims.iter().filter(|(_, entry)| entry.episode().is_some()) {
            history.add(*id, entry.take_uses());
            self.metrics.memory.evictions.add(u64::from(newcomer != Some(*id)));
        }
    }

    /// Stores how often each episode was asked for, for the next start.
    pub fn save_history(&self) {
        let mut history = self.history.lock();
        self.memory.for_each(|id, entry| {
            if entry.episode().is_some() {
                history.add(*id, entry.take_uses());
            }
        });
        if let Some(disk) = &self.disk
            && let Some(changed) = history.take_changes()
        {
            disk.save_history(changed);
        }
    }

    /// The most used episodes of earlier runs that are not in memory, as many as `limit`; with
    /// whether the file has them.
    pub fn wanted(&self, limit: usize) -> Vec<(EpisodeId, bool)> {
        let ranked = self.history.lock().ranked();
        let absent = ranked.into_iter().filter(|(id, _)| self.memory.peek(id).is_none());
        let on_disk = |id: &EpisodeId| self.disk.as_ref().is_some_and(|disk| disk.contains(id));
        absent.take(limit).map(|(id, _)| (id, on_disk(&id))).collect()
    }

    /// Every id of which an episode is held, in order.
    pub fn held_ids(&self) -> Vec<EpisodeId> {
        let mut ids = Vec::new();
        self.memory.for_each(|id, entry| {
            if entry.episode().is_some() {
                ids.push(*id);
            }
        });
        if let Some(disk) = &self.disk {
            disk.ids(&mut ids);
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// True once the memory tier is nearly full: a warm-up would only push out what it brought.
    pub fn is_full(&self) -> bool {
        self.memory.weight() > self.memory_bytes / 10 * 9
    }

    /// Gives memory back, or takes it again: `share` of the budget, at least a sixteenth. Giving back
    /// costs milliseconds.
    pub fn set_memory_share(&self, share: f64) {
        let bytes = self.memory_bytes as f64 * share.clamp(MIN_SHARE, 1.0);
        let victims = self.memory.set_capacity(bytes as u64);
        if !victims.is_empty() {
            self.note_evicted(victims, None);
            self.move_together();
        }
    }

    /// A page of the allocator with one entry left on it cannot be given back: so what stays is copied
    /// to the places that became free, page after page.
    fn move_together(&self) {
        let mut ids = Vec::with_capacity(self.memory.len());
        self.memory.for_each(|id, _| ids.push(*id));
        for id in ids {
            self.memory.replace(&id, |entry| Arc::new(entry.moved()));
        }
    }

    /// Waits until the cache file is on the disk as it stands now. Blocks for milliseconds.
    pub fn flush(&self) {
        if let Some(disk) = &self.disk {
            disk.flush();
        }
    }

    /// The cache file of this process, where there is one.
    pub fn file(&self) -> Option<&Path> {
        self.disk.as_ref().map(DiskTier::path)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.save_history();
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.memory.len();
        f.debug_struct("Cache").field("entries", &entries).finish_non_exhaustive()
    }
}
