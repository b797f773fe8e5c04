//! Where the change feed was read to, and when: what the currency of everything cached rests on.

use std::time::{Duration, Instant};

use memory_core::Error;
use memory_core::store::Watermark;
use parking_lot::Mutex;

/// After a failed reading, reads do not wait for another one so soon.
pub(crate) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The state of the feed.
#[derive(Default)]
pub(crate) struct Feed {
    /// Held while the feed is read, so that it is read once for all who want it.
    pub(crate) reading: tokio::sync::Mutex<Option<Watermark>>,
    status: Mutex<Status>,
}

#[derive(Default, Clone)]
struct Status {
    /// When the last reading that succeeded began.
    confirmed_at: Option<Instant>,
    /// The last reading, if it failed.
    failed: Option<(Instant, Error)>,
    version: Option<Version>,
    /// Own writes that began or ended.
    own: u64,
}

/// Tells one known state of the database from another: equal versions, equal answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    database: [u8; 16],
    seq: u64,
    jumps: u64,
    own: u64,
}

impl Feed {
    pub(crate) fn starting_at(watermark: Option<Watermark>) -> Self {
        Feed { reading: tokio::sync::Mutex::new(watermark), status: Mutex::default() }
    }

    pub(crate) fn confirmed_at(&self) -> Option<Instant> {
        self.status.lock().confirmed_at
    }

    /// The state of the database that is known; `None` before the feed was read.
    pub(crate) fn version(&self) -> Option<Version> {
        let status = self.status.lock();
        status.version.map(|version| Version { own: status.own, ..version })
    }

    /// The feed was read to its end by a reading that began at `asked_at`.
    pub(crate) fn succeeded(&self, asked_at: Instant, watermark: &Watermark, jumped: bool) {
        let mut status = self.status.lock();
        let jumps = status.version.map_or(0, |v| v.jumps) + u64::from(jumped);
        let Watermark { database, seq, .. } = *watermark;
        status.version = Some(Version { database, seq, jumps, own: 0 });
        status.confirmed_at = Some(asked_at);
        status.failed = None;
    }

    pub(crate) fn failed(&self, e: &Error) {
        self.status.lock().failed = Some((Instant::now(), e.clone()));
    }

    /// The database answered something else.
    pub(crate) fn reached(&self) {
        self.status.lock().failed = None;
    }

    /// True when the last reading failed and the database was not reached since.
    pub(crate) fn is_failing(&self) -> bool {
        self.status.lock().failed.is_some()
    }

    /// The last failure, if the database was not reached since.
    pub(crate) fn failure(&self) -> Option<(Instant, Error)> {
        self.status.lock().failed.clone()
    }

    /// An own write begins or ends: answers from before it say nothing about what is after it.
    pub(crate) fn note_own_write(&self) {
        self.status.lock().own += 1;
    }
}
