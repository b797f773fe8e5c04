//! Backups: a database in a file by itself, sealed with its length and checksum.
//!
//! - `seal`(mod@seal): the file's form; writing it, checking it
//! - `scratch`: directories for what is not finished yet, and what a killed process left of them
//! - `tables`: what a database of ours consists of
//! - `download`: a backup of a server, row by row in one snapshot
//! - `fill`: the mark of a database that is being filled from a backup
//! - `unpack`(mod@unpack): a backup verified, in a private copy

mod download;
pub(crate) mod fill;
mod scratch;
mod seal;
mod tables;
mod unpack;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use download::download;
pub use seal::Sealed;
pub(crate) use seal::write;
pub(crate) use tables::{Table, tables};
pub use unpack::{Unpacked, unpack};

/// How far a backup is, in bytes; the total is an estimate.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Bytes written and bytes expected.
    pub fn get(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, done: u64) {
        self.done.fetch_add(done, Ordering::Relaxed);
    }

    pub(crate) fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }
}
