//! The life of an episode on top of any store: start, log steps, complete, recall, forget.
//!
//! Every write path runs through here, so this is where text is redacted and lessons are drawn.
//!
//! - `lifecycle`: start, log steps, complete
//! - `intake`: episodes and records that come from files
//! - `rate`: somebody's verdict on a completed episode
//! - `recollect`: recall, feedback, forget
//! - `consolidate`: duplicates and old episodes, archived
//! - `attribution`: what was recalled for which episode, until its next write

mod attribution;
mod consolidate;
mod intake;
mod lifecycle;
mod rate;
mod recollect;

pub use consolidate::{Archived, Consolidate, Consolidated};
pub use intake::Intake;
pub use lifecycle::{Completed, Completion, NewEpisode, StepsLogged};

use std::sync::Arc;

use attribution::Attributions;

use crate::clock::{Clock, Timestamp};
use crate::episode::WriteId;
use crate::error::{Error, Result};
use crate::store::{EpisodeStore, Write, Written};

/// An episodic memory: a store, a clock, and the rules of the domain between them.
pub struct Memory<S> {
    store: S,
    clock: Arc<dyn Clock>,
    recalled: Attributions,
}

impl<S: EpisodeStore> Memory<S> {
    /// A memory on `store`.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        Memory { store, clock, recalled: Attributions::default() }
    }

    /// The store below, for reads that need no rules: get, list, scan, counts.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The time by this memory's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn fresh_write_id(&self) -> WriteId {
        WriteId::generate(self.now())
    }

    async fn write_one(&self, write: Write) -> Result<Written> {
        self.write_last(vec![write]).await
    }

    /// Several writes at once, of which the last one matters.
    async fn write_last(&self, writes: Vec<Write>) -> Result<Written> {
        let mut results = self.store.write(writes).await?;
        results.pop().unwrap_or_else(|| {
            Err(Error::Engine {
                context: "writing".into(),
                message: "the store gave no result for the write".into(),
            })
        })
    }
}
