//! The redb tier: episodes in a file that survives restarts, and never a wrong one.
//!
//! The index in memory says what may be served; the file only has the bytes. Whatever changes the
//! index is queued for the writer thread in the same order, and the writer commits what it finds in
//! the queue as one transaction together with the watermark. So what a crash leaves is always a state
//! that once was: entries, and a watermark that knows of no change they miss.
//!
//! # Layout
//!
//! - [`DiskTier`]: get, put, invalidate
//! - `queue`: what waits to be written
//! - `writer`: the thread that writes, flushes, compacts and rebuilds
//! - `file`: the directory, slots, quarantine
//! - `tables`: tables and rows

mod file;
mod queue;
mod tables;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use memory_core::store::Watermark;
use memory_core::{Episode, EpisodeId};
use parking_lot::{Condvar, Mutex, RwLock};
use redb::{Database, ReadableDatabase};

use crate::history;
use crate::index::{Index, Policy};
use crate::metrics::CacheMetrics;
use crate::{stored, weight};
pub use file::cache_files;
use file::guarded;
use queue::{Op, Queue};
use tables::{EPISODES, Fault, Slot};

/// Of the budget, what the index fills with entries. The rest is for the trees' inner pages, for what
/// is freed but not yet reusable, and for the catalogue.
const FILLED: f64 = 0.85;

/// Settings of the tier.
#[derive(Debug, Clone)]
pub(crate) struct DiskConfig {
    pub(crate) dir: PathBuf,
    /// Bytes of allocated pages.
    pub(crate) bytes: u64,
    /// Bytes of memory for the library's own pages.
    pub(crate) cache_bytes: usize,
    pub(crate) policy: Policy,
}

/// What an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// What is held is current as of here; to be confirmed by what the change feed says after it.
    pub(crate) watermark: Option<Watermark>,
    pub(crate) history: history::Stored,
}

/// The redb tier.
pub(crate) struct DiskTier {
    shared: Arc<Shared>,
    path: PathBuf,
    writer: Option<JoinHandle<()>>,
}

/// Shared by the tier and its writer.
struct Shared {
    config: DiskConfig,
    index: Index<EpisodeId, Slot>,
    /// `None` while there is no file. The writer takes it exclusively to compact and to rebuild.
    db: RwLock<Option<Database>>,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// False between damage and the rebuilt file; nothing is taken in meanwhile.
    usable: AtomicBool,
    next_stamp: AtomicU64,
    /// The ticket of the last entry known to be in the file.
    written: AtomicU64,
    metrics: Arc<CacheMetrics>,
}

impl DiskTier {
    /// Takes a file of the directory and reads its catalogue. `None` when there is none to be had.
    pub(crate) fn open(config: DiskConfig, metrics: Arc<CacheMetrics>) -> Option<(Self, Restored)> {
        let file = file::open(&config.dir, config.cache_bytes, &metrics)?;
        let (contents, path) = (file.contents, file.path);
        let last_stamp = contents.slots.iter().map(|(_, slot)| slot.stamp).max().unwrap_or(0);
        let capacity = (config.bytes as f64 * FILLED) as u64;
        let entries = usize::try_from(config.bytes / 8192).unwrap_or(usize::MAX);
        let shared = Arc::new(Shared {
            index: Index::new(config.policy, capacity, entries.clamp(64, 1 << 20)),
            config,
            db: RwLock::new(Some(file.db)),
            queue: Mutex::new(Queue::new(contents.watermark.clone())),
            wake: Condvar::new(),
            usable: AtomicBool::new(true),
            next_stamp: AtomicU64::new(last_stamp + 1),
            written: AtomicU64::new(0),
            metrics,
        });
        // Without a watermark nobody can say what the entries miss.
        if contents.watermark.is_some() {
            shared.restore(contents.slots, &contents.history);
        } else if !contents.slots.is_empty() {
            shared.queue.lock().push(Op::Clear);
        }
        let writer = writer::spawn(shared.clone(), path.clone())?;
        let restored = Restored { watermark: contents.watermark, history: contents.history };
        Some((DiskTier { shared, path, writer: Some(writer) }, restored))
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The stored episode. Reads the file: microseconds.
    pub(crate) fn get(&self, id: EpisodeId) -> Option<Episode> {
        let found = self.shared.get(id);
        let tier = &self.shared.metrics.disk;
        if found.is_some() {
            tier.hits.add(1)
        } else {
            tier.misses.add(1)
        }
        found
    }

    /// True when the episode is held.
    pub(crate) fn contains(&self, id: &EpisodeId) -> bool {
        self.shared.index.peek(id).is_some()
    }

    /// Takes an episode in, in place of any earlier version.
    pub(crate) fn put(&self, episode: &Episode) {
        self.shared.put(episode);
    }

    /// The version held.
    pub(crate) fn version(&self, id: &EpisodeId) -> Option<u64> {
        self.shared.index.peek(id).map(|slot| slot.version)
    }

    /// Drops an entry: it is not served any more when this returns. Says whether there was one.
    pub(crate) fn remove(&self, id: EpisodeId) -> bool {
        let mut queue = self.shared.queue.lock();
        let held = self.shared.index.remove(&id).is_some();
        if held {
            queue.push(Op::Remove(id));
            self.shared.wake.notify_one();
        }
        held
    }

    /// Drops everything.
    pub(crate) fn clear(&self) {
        let mut queue = self.shared.queue.lock();
        self.shared.index.clear();
        queue.push(Op::Clear);
        self.shared.wake.notify_one();
    }

    /// Everything held takes into account all changes up to `watermark`. To be told after the entries
    /// that those changes touch were dropped.
    pub(crate) fn advance(&self, watermark: &Watermark) {
        let mut queue = self.shared.queue.lock();
        queue.advance(watermark);
        self.shared.wake.notify_one();
    }

    /// Stores the access history with the next commit.
    pub(crate) fn save_history(&self, history: history::Stored) {
        self.shared.queue.lock().push(Op::History(history));
        self.shared.wake.notify_one();
    }

    /// Waits until everything told so far is on the disk.
    pub(crate) fn flush(&self) {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.shared.queue.lock().flush(sender);
        self.shared.wake.notify_one();
        // An error means that the writer is gone: there is nothing left to wait for.
        let _ = receiver.recv();
    }

    /// Adds every id held.
    pub(crate) fn ids(&self, ids: &mut Vec<EpisodeId>) {
        self.shared.index.for_each(|id, _| ids.push(*id));
    }

    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.shared.index.len()
    }

    /// Bytes of allocated pages held, by the weigher's estimate.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.index.weight()
    }
}

impl Drop for DiskTier {
    fn drop(&mut self) {
        self.shared.queue.lock().close();
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            // It catches its own panics.
            let _ = writer.join();
        }
    }
}

impl Shared {
    /// Fills the index from the catalogue, the most used first, and lets the uses order it.
    fn restore(&self, mut slots: Vec<(EpisodeId, Slot)>, history: &history::Stored) {
        let uses: std::collections::HashMap<_, _> = history.iter().copied().collect();
        let worth = |id: &EpisodeId| uses.get(id).copied().unwrap_or(0.0);
        slots.sort_by(|(a, _), (b, _)| worth(b).total_cmp(&worth(a)));
        let mut queue = self.queue.lock();
        for (id, slot) in &slots {
            for (victim, _) in self.index.insert(*id, *slot) {
                queue.push(Op::Remove(victim));
            }
        }
        for (id, _) in slots.iter().rev().filter(|(id, _)| worth(id) > 0.0) {
            self.index.get(id);
        }
    }

    fn get(&self, id: EpisodeId) -> Option<Episode> {
        if !self.usable.load(Ordering::Acquire) {
            return None;
        }
        let slot = self.index.get(&id)?;
        // Before the read: what is committed now, it must see.
        let settled = self.written.load(Ordering::Acquire) >= slot.ticket;
        // While the writer compacts or rebuilds, a miss is better than a wait.
        let db = self.db.try_read()?;
        let read = guarded(|| read(db.as_ref(), id));
        drop(db);
        let problem = match read {
            Ok(Some((stamp, episode)))
                if stamp == slot.stamp && episode.version == slot.version =>
            {
                return Some(episode);
            }
            Ok(Some((stamp, _))) => format!("episode {id} has stamp {stamp}, not {}", slot.stamp),
            Ok(None) => format!("episode {id} is not in it"),
            Err(Fault::Damaged(problem)) => {
                self.metrics.checksum_failures.add(1);
                return self.condemn(Fault::Damaged(problem));
            }
            Err(fault) => return self.condemn(fault),
        };
        // An entry that is still to be written, or was dropped or replaced meanwhile, is a miss.
        if settled && self.index.peek(&id) == Some(slot) {
            self.metrics.checksum_failures.add(1);
            return self.condemn(Fault::Damaged(problem));
        }
        None
    }

    fn put(&self, episode: &Episode) {
        let stamp = self.next_stamp.fetch_add(1, Ordering::Relaxed);
        let value = match stored::encode_episode(stamp, episode) {
            Ok(value) => value,
            Err(e) => {
                tracing::debug!("episode {} is not cached on disk: {e}", episode.id);
                return;
            }
        };
        let bytes = weight::on_disk(value.len());
        let mut queue = self.queue.lock();
        if !self.usable.load(Ordering::Acquire) {
            return;
        }
        // The stamp was drawn outside the lock; a later one may have been queued in between.
        if self.index.peek(&episode.id).is_some_and(|held| held.stamp > stamp) {
            return;
        }
        if queue.is_full() {
            // The earlier version, if any, must not stay.
            if self.index.remove(&episode.id).is_some() {
                queue.push(Op::Remove(episode.id));
            }
            return;
        }
        let slot = Slot { stamp, version: episode.version, bytes, ticket: queue.next_ticket() };
        let victims = self.index.insert(episode.id, slot);
        let admitted = self.index.peek(&episode.id) == Some(slot);
        if admitted {
            self.metrics.disk.admissions.add(1);
            queue.push(Op::Put { id: episode.id, slot, value });
        }
        for (victim, _) in victims {
            if victim != episode.id {
                self.metrics.disk.evictions.add(1);
            }
            queue.push(Op::Remove(victim));
        }
        self.wake.notify_one();
    }

    /// Stops using the file; the writer sets it aside and builds a new one.
    fn condemn<T>(&self, fault: Fault) -> Option<T> {
        let mut queue = self.queue.lock();
        if self.usable.swap(false, Ordering::AcqRel) {
            self.index.clear();
            queue.condemn(fault);
            self.wake.notify_one();
        }
        None
    }
}

fn read(db: Option<&Database>, id: EpisodeId) -> Result<Option<(u64, Episode)>, Fault> {
    let Some(db) = db else { return Ok(None) };
    let table = db.begin_read()?.open_table(EPISODES)?;
    let Some(value) = table.get(id.as_bytes())? else { return Ok(None) };
    Ok(Some(stored::decode_episode(id, value.value())?))
}

/// Bytes that a file takes on its disk: it is sparse, because it doubles when it grows.
fn disk_usage(path: &Path) -> u64 {
    let Ok(metadata) = std::fs::metadata(path) else { return 0 };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        metadata.blocks() * 512
    }
    #[cfg(not(unix))]
    metadata.len()
}
