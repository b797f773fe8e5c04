//! Ending a read that nobody waits for any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Stops one read, from another thread. A read that has not begun does not begin; one that begins in
/// that very moment may run to its end.
pub(super) struct Stop {
    asked: AtomicBool,
    /// The connection, as long as it is this read's.
    running: Mutex<Option<libsql::Connection>>,
}

impl Stop {
    pub(super) fn of(engine: libsql::Connection) -> Self {
        Stop { asked: AtomicBool::new(false), running: Mutex::new(Some(engine)) }
    }

    /// For a read that is over before anybody could give it up.
    pub(super) fn never() -> Self {
        Stop { asked: AtomicBool::new(false), running: Mutex::new(None) }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now on the connection is not this read's.
    pub(super) fn ended(&self) {
        self.running().take();
    }

    fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        // Held meanwhile, so that the connection does not become another read's.
        if let Some(engine) = &*self.running()
            && let Err(error) = engine.interrupt()
        {
            tracing::debug!(%error, "a read could not be interrupted");
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<libsql::Connection>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by who waits for the read.
pub(super) struct StopOnDrop(pub(super) std::sync::Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}
