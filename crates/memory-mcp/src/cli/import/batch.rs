//! The reading thread: items into batches of bounded size.

use indicatif::ProgressBar;
use memory_core::Episode;
use memory_core::record::Record;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::import::{ImportItem, Importer, Malformed};

/// Records of one batch: one transaction each, long enough that its fsync does not count and short
/// enough that other processes get their turn.
const BATCH_RECORDS: usize = 256;

/// Bytes of text in one batch; a single episode may be as large as the domain allows.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Batches between the threads: one is enough to keep both busy.
const IN_BETWEEN: usize = 1;

/// What the reading thread hands on.
pub(super) enum Piece {
    Batch(Vec<Record>),
    Malformed(Malformed),
}

/// A file being read.
pub(super) struct Reading {
    pub(super) pieces: Receiver<Piece>,
    /// To be awaited when the pieces have ended: only then it is known that all were read.
    pub(super) thread: JoinHandle<()>,
}

/// Starts to read. The bar stands at `before` when nothing of this file is read.
pub(super) fn read(importer: Importer, bar: ProgressBar, before: u64) -> Reading {
    let (sender, pieces) = channel(IN_BETWEEN);
    let thread = tokio::task::spawn_blocking(move || read_all(importer, &bar, before, &sender));
    Reading { pieces, thread }
}

/// Ends early when nobody takes the pieces any more.
fn read_all(mut importer: Importer, bar: &ProgressBar, before: u64, to: &Sender<Piece>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(item) = importer.next() {
        bar.set_position(before + importer.progress().bytes);
        let record = match item {
            Ok(ImportItem::Episode(episode)) => Record::Episode(episode),
            Ok(ImportItem::Record(record)) => record,
            Err(malformed) => {
                if to.blocking_send(Piece::Malformed(malformed)).is_err() {
                    return;
                }
                continue;
            }
        };
        bytes += size(&record);
        batch.push(record);
        if batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
            bytes = 0;
            if to.blocking_send(Piece::Batch(std::mem::take(&mut batch))).is_err() {
                return;
            }
        }
    }
    if !batch.is_empty() {
        // Nobody takes it: then nobody waits for it either.
        let _ = to.blocking_send(Piece::Batch(batch));
    }
}

/// Roughly the bytes of a record's text.
fn size(record: &Record) -> usize {
    let of_episode = |episode: &Episode| {
        let steps: usize = episode.steps.iter().map(|step| step.size_bytes()).sum();
        episode.task_description.len() + steps
    };
    match record {
        Record::Episode(episode) => of_episode(episode),
        Record::Pattern(lesson) | Record::Heuristic(lesson) => lesson.evidence.len() * 32,
        Record::Feedback(_) | Record::Relation(_) | Record::Tombstone(_) => 128,
    }
}
