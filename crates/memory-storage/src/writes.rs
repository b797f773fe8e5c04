//! What a write does to the cache.

use std::sync::Arc;
use std::time::Instant;

use memory_core::store::{EpisodeStore, Kept, Write, Written};
use memory_core::{Episode, EpisodeId, Result};

use crate::shared::Shared;

/// Which cached episode a write touches.
pub(crate) enum Touched {
    Saved(Arc<Episode>),
    Changed(EpisodeId),
    Nothing,
}

impl Touched {
    fn id(&self) -> Option<EpisodeId> {
        match self {
            Touched::Saved(episode) => Some(episode.id),
            Touched::Changed(id) => Some(*id),
            Touched::Nothing => None,
        }
    }

    fn by(write: &Write) -> Self {
        match write {
            Write::Save(save) => Touched::Saved(save.episode.clone()),
            Write::AppendSteps(append) => Touched::Changed(append.id),
            Write::Forget(forget) => Touched::Changed(forget.id),
            Write::PutTombstone(tombstone) => Touched::Changed(tombstone.id),
            Write::Feedback(_) | Write::Relate(_) | Write::PutLesson(_) => Touched::Nothing,
        }
    }
}

impl<D: EpisodeStore> Shared<D> {
    /// Durable first, then the cache.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        let touched: Vec<Touched> = writes.iter().map(Touched::by).collect();
        let began = Instant::now();
        // If this call is cancelled the outcome is unknown: then nothing of it may stay cached.
        let guard = ForgetUnlessDone { shared: self, touched: Some(touched) };
        self.feed.note_own_write();
        let results = self.durable.write(writes).await;
        let touched = guard.done();
        self.feed.note_own_write();
        let unknown = match &results {
            Ok(_) => None,
            Err(e) => Some(Err(e.clone())),
        };
        for (place, write) in touched.iter().enumerate() {
            let own = results.as_ref().ok().and_then(|results| results.get(place));
            if let Some(result) = own.or(unknown.as_ref()) {
                self.after_write(write, result, began);
            }
        }
        results
    }

    /// Brings the cache in line with what one write did.
    fn after_write(&self, write: &Touched, result: &Result<Written>, began: Instant) {
        if let Some(id) = write.id() {
            self.flights.detach(id);
        }
        match (write, result) {
            (Touched::Saved(episode), Ok(written))
                if written.version == episode.version && written.kept == Kept::Stored =>
            {
                self.cache.put(episode, began);
            }
            // A conflict, a replay under a later version, an unknown outcome, a write that waits in
            // the outbox: read it afresh.
            (Touched::Saved(episode), _) => {
                self.cache.invalidate(episode.id);
            }
            (Touched::Changed(id), _) => {
                self.cache.invalidate(*id);
            }
            (Touched::Nothing, _) => {}
        }
    }
}

/// Drops the touched entries when a write is cancelled before its outcome is known.
struct ForgetUnlessDone<'a, D: EpisodeStore> {
    shared: &'a Shared<D>,
    touched: Option<Vec<Touched>>,
}

impl<D: EpisodeStore> ForgetUnlessDone<'_, D> {
    fn done(mut self) -> Vec<Touched> {
        self.touched.take().unwrap_or_default()
    }
}

impl<D: EpisodeStore> Drop for ForgetUnlessDone<'_, D> {
    fn drop(&mut self) {
        if let Some(touched) = &self.touched {
            self.shared.feed.note_own_write();
            for id in touched.iter().filter_map(Touched::id) {
                self.shared.flights.detach(id);
                self.shared.cache.invalidate(id);
            }
        }
    }
}
