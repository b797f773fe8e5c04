//! The thread that writes.
//!
//! Commits cost microseconds because they are not synced; every few seconds one is. A cache may lose
//! the last seconds: what is on the disk is an earlier state with an earlier watermark.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::{Database, Durability};

use super::file::{self, guarded};
use super::queue::{Op, Work};
use super::tables::{self, CATALOGUE, EPISODES, Fault, HISTORY_KEY, RECORDS, WATERMARK_KEY};
use super::{Shared, disk_usage};

/// How long commits may go without a sync.
const SYNC_EVERY: Duration = Duration::from_secs(3);

/// How long to do without a file after one could not be made.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Compaction takes the file away from readers for a while: not more often than this.
const COMPACT_EVERY: Duration = Duration::from_secs(60);

pub(super) fn spawn(shared: Arc<Shared>, path: PathBuf) -> Option<JoinHandle<()>> {
    let writer = Writer {
        shared,
        path,
        synced_at: Instant::now(),
        unsynced: 0,
        compacted_at: None,
        failed_at: None,
    };
    let spawned = std::thread::Builder::new().name("cache-writer".into()).spawn(|| writer.run());
    spawned.map_err(|e| tracing::warn!("no cache file: its thread cannot be started: {e}")).ok()
}

struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    synced_at: Instant,
    /// Bytes committed since the last sync. Their old pages cannot be used again before it.
    unsynced: u64,
    compacted_at: Option<Instant>,
    /// When a new file could not be made.
    failed_at: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let mut work = self.wait();
            if let Some(fault) = work.fault.take() {
                self.rebuild(&fault);
            } else if self.shared.usable.load(Ordering::Acquire) {
                if let Err(fault) = self.apply(&work) {
                    self.shared.condemn::<()>(fault);
                }
            } else if self.failed_at.is_none_or(|at| at.elapsed() >= RETRY_AFTER) && !work.closing {
                self.rebuild(&Fault::Io("there was no file".into()));
            }
            for done in work.flushes {
                // Who asked may have gone.
                let _ = done.send(());
            }
            if work.closing {
                if let Some(db) = self.shared.db.write().take() {
                    file::close(db);
                }
                return;
            }
        }
    }

    /// Waits for something to do, or for the time to sync.
    fn wait(&self) -> Work {
        let mut queue = self.shared.queue.lock();
        let mut patience = if !self.shared.usable.load(Ordering::Acquire) {
            Some(RETRY_AFTER)
        } else {
            (self.unsynced > 0).then(|| SYNC_EVERY.saturating_sub(self.synced_at.elapsed()))
        };
        while queue.is_idle() {
            match patience.take() {
                None => self.shared.wake.wait(&mut queue),
                Some(patience) => {
                    self.shared.wake.wait_for(&mut queue, patience);
                    break;
                }
            }
        }
        queue.take()
    }

    /// Commits the work as one transaction.
    fn apply(&mut self, work: &Work) -> Result<(), Fault> {
        let bytes: u64 = work.ops.iter().map(cost).sum();
        let due = self.synced_at.elapsed() >= SYNC_EVERY
            || self.unsynced + bytes > self.shared.config.bytes / 16;
        let sync = !work.flushes.is_empty() || work.closing || due;
        {
            let db = self.shared.db.read();
            let db = db.as_ref().ok_or_else(|| Fault::Io("it is closed".into()))?;
            guarded(|| commit(db, work, sync))?;
        }
        let tickets = work.ops.iter().filter_map(|op| match op {
            Op::Put { slot, .. } => Some(slot.ticket),
            _ => None,
        });
        if let Some(last) = tickets.max() {
            self.shared.written.fetch_max(last, Ordering::AcqRel);
        }
        self.unsynced += bytes;
        if sync {
            self.synced_at = Instant::now();
            self.unsynced = 0;
            self.compact_if_needed()?;
        }
        Ok(())
    }

    /// Keeps the file within its budget: what was freed stays in it until it is compacted.
    fn compact_if_needed(&mut self) -> Result<(), Fault> {
        let used = disk_usage(&self.path);
        let recently = self.compacted_at.is_some_and(|at| at.elapsed() < COMPACT_EVERY);
        if used <= self.shared.config.bytes || recently && used <= self.shared.config.bytes / 8 * 9
        {
            return Ok(());
        }
        self.compacted_at = Some(Instant::now());
        self.shared.metrics.compactions.add(1);
        let mut db = self.shared.db.write();
        let Some(db) = db.as_mut() else { return Ok(()) };
        guarded(|| Ok(db.compact()?))?;
        tracing::debug!("compacted the cache file from {used} to {} bytes", disk_usage(&self.path));
        Ok(())
    }

    /// Sets the file aside and goes on with an empty one; without any when none can be made.
    fn rebuild(&mut self, fault: &Fault) {
        self.failed_at = Some(Instant::now());
        {
            let mut db = self.shared.db.write();
            if let Some(db) = db.take() {
                match fault {
                    Fault::Damaged(_) => file::set_aside(&self.path, fault, &self.shared.metrics),
                    // There is nothing to be learned from it, and the disk may be full.
                    Fault::Io(problem) => file::discard(&self.path, problem),
                }
                file::close(db);
            }
            let config = &self.shared.config;
            let Some(file) = file::open(&config.dir, config.cache_bytes, &self.shared.metrics)
            else {
                return;
            };
            self.path = file.path;
            let empty = guarded(|| empty(&file.db));
            if let Err(fault) = empty {
                tracing::warn!("no cache file: {fault:?}");
                file::close(file.db);
                return;
            }
            *db = Some(file.db);
        }
        self.failed_at = None;
        self.shared.metrics.rebuilds.add(1);
        (self.synced_at, self.unsynced) = (Instant::now(), 0);
        let mut queue = self.shared.queue.lock();
        queue.rebuilt();
        self.shared.usable.store(true, Ordering::Release);
    }
}

fn cost(op: &Op) -> u64 {
    match op {
        Op::Put { slot, .. } => slot.bytes,
        Op::Remove(_) => 4096,
        Op::Clear => 0,
        Op::History(history) => history.len() as u64 * 20,
    }
}

fn commit(db: &Database, work: &Work, sync: bool) -> Result<(), Fault> {
    let mut write = db.begin_write()?;
    if sync {
        // After a crash the file opens at once instead of being read through.
        write.set_quick_repair(true);
    } else {
        write.set_durability(Durability::None)?;
    }
    if work.ops.iter().any(|op| matches!(op, Op::Clear)) {
        write.delete_table(EPISODES)?;
        write.delete_table(CATALOGUE)?;
    }
    {
        let mut episodes = write.open_table(EPISODES)?;
        let mut catalogue = write.open_table(CATALOGUE)?;
        let mut records = write.open_table(RECORDS)?;
        for op in &work.ops {
            match op {
                Op::Put { id, slot, value } => {
                    episodes.insert(id.as_bytes(), value.as_slice())?;
                    catalogue.insert(id.as_bytes(), slot.encode(*id)?.as_slice())?;
                }
                Op::Remove(id) => {
                    episodes.remove(id.as_bytes())?;
                    catalogue.remove(id.as_bytes())?;
                }
                // Always the first: see the queue.
                Op::Clear => {}
                Op::History(history) => {
                    let history = crate::stored::encode(history)?;
                    records.insert(HISTORY_KEY, history.as_slice())?;
                }
            }
        }
        if let Some(watermark) = &work.watermark {
            records.insert(WATERMARK_KEY, tables::encode_watermark(watermark)?.as_slice())?;
        }
    }
    write.commit()?;
    Ok(())
}

/// A file taken over from another process that has ended holds what this one knows nothing of.
fn empty(db: &Database) -> Result<(), Fault> {
    let write = db.begin_write()?;
    write.delete_table(EPISODES)?;
    write.delete_table(CATALOGUE)?;
    write.open_table(EPISODES)?;
    write.open_table(CATALOGUE)?;
    write.open_table(RECORDS)?.remove(WATERMARK_KEY)?;
    write.commit()?;
    Ok(())
}
