//! What waits for the writer, in the order in which the index changed.

use std::sync::mpsc::SyncSender;

use memory_core::EpisodeId;
use memory_core::store::Watermark;

use super::tables::{Fault, Slot};
use crate::history;

/// Bytes of values that may wait, those that are being written included; beyond it new ones are not
/// kept on disk. They are no part of the memory budget.
const MAX_WAITING_BYTES: usize = 4 << 20;

/// One change of the file.
pub(super) enum Op {
    Put { id: EpisodeId, slot: Slot, value: Vec<u8> },
    Remove(EpisodeId),
    Clear,
    History(history::Stored),
}

/// See the module.
#[derive(Default)]
pub(super) struct Queue {
    work: Work,
    waiting_bytes: usize,
    /// Of the values that the writer has taken and not yet written.
    taken_bytes: usize,
    tickets: u64,
    /// The newest known; a rebuilt file begins with it.
    watermark: Option<Watermark>,
}

/// What the writer takes at once, and so what it commits at once.
#[derive(Default)]
pub(super) struct Work {
    pub(super) ops: Vec<Op>,
    /// Where the feed stands once `ops` are applied; `None`: as before.
    pub(super) watermark: Option<Watermark>,
    /// To be told when everything is on the disk.
    pub(super) flushes: Vec<SyncSender<()>>,
    /// The file is damaged: set it aside.
    pub(super) fault: Option<Fault>,
    pub(super) closing: bool,
}

impl Queue {
    pub(super) fn new(watermark: Option<Watermark>) -> Self {
        Queue { watermark, ..Queue::default() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting_bytes + self.taken_bytes > MAX_WAITING_BYTES
    }

    pub(super) fn next_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    pub(super) fn push(&mut self, op: Op) {
        match &op {
            Op::Put { value, .. } => self.waiting_bytes += value.len(),
            Op::Clear => {
                // Nothing before it matters.
                self.work.ops.clear();
                self.waiting_bytes = 0;
            }
            Op::Remove(_) | Op::History(_) => {}
        }
        self.work.ops.push(op);
    }

    pub(super) fn advance(&mut self, watermark: &Watermark) {
        if self.watermark.as_ref() != Some(watermark) {
            self.watermark = Some(watermark.clone());
            self.work.watermark = Some(watermark.clone());
        }
    }

    pub(super) fn flush(&mut self, done: SyncSender<()>) {
        self.work.flushes.push(done);
    }

    pub(super) fn condemn(&mut self, fault: Fault) {
        self.work.ops.clear();
        self.waiting_bytes = 0;
        self.work.fault = Some(fault);
    }

    /// A file just built is behind by the whole watermark.
    pub(super) fn rebuilt(&mut self) {
        self.work.ops.clear();
        self.waiting_bytes = 0;
        self.work.watermark = self.watermark.clone();
    }

    pub(super) fn close(&mut self) {
        self.work.closing = true;
    }

    pub(super) fn is_idle(&self) -> bool {
        let Work { ops, watermark, flushes, fault, closing } = &self.work;
        ops.is_empty() && watermark.is_none() && flushes.is_empty() && fault.is_none() && !closing
    }

    /// What waits; whatever was taken before is written by now.
    pub(super) fn take(&mut self) -> Work {
        self.taken_bytes = std::mem::take(&mut self.waiting_bytes);
        // Closing lasts.
        let closing = self.work.closing;
        let taken = std::mem::take(&mut self.work);
        self.work.closing = closing;
        taken
    }
}
