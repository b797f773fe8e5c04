//! Writes: what is journaled, what is sent, what is queued.

use std::sync::Arc;
use std::time::Duration;

use memory_core::store::{AppendSteps, EpisodeStore, Kept, Write, Written};
use memory_core::{Episode, EpisodeId, Error, Result};
use memory_storage_turso::pending::{Closed, Entry, EntryState, Head, Journaling, Target};
use tokio::time::{Instant, sleep};

use super::buffered::Buffered;
use super::drain::{deliverable, verdicts};
use super::overlay::overlay;

/// How long steps wait for a completion of their episode that is under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often they look whether it is over.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl<D: EpisodeStore> Buffered<D> {
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        // Several writes go to the database together anyway, and a checkpoint is for others to see.
        if let [Write::AppendSteps(append)] = &*writes
            && !append.steps.iter().any(memory_core::Step::is_checkpoint)
        {
            match self.journal(append).await {
                Ok(Some(written)) => return Ok(vec![Ok(written)]),
                Ok(None) => {}
                Err(e) => return self.not_sent(&writes, e).await,
            }
        }
        let ids: Vec<EpisodeId> = writes.iter().flat_map(touched).collect();
        let (target, waiting) = match self.waiting(&ids).await {
            Ok(found) => found,
            Err(e) => return self.not_sent(&writes, e).await,
        };
        let closing = self.announce(target, &writes, waiting).await?;
        self.send(target, writes, closing).await
    }

    /// Keeps steps here, at no round trip but one to learn about an episode that is not known. `None`:
    /// they must go to the database.
    async fn journal(&self, append: &AppendSteps) -> Result<Option<Written>> {
        let valid = append.steps.iter().all(|step| step.validate().is_ok());
        if append.steps.is_empty() || !valid || self.was_sent(append.write_id) {
            return Ok(None);
        }
        let patience = Instant::now() + PATIENCE;
        let mut waited = false;
        loop {
            let known = match self.known(&append.scope, append.id) {
                Some(known) if !waited => known,
                // A completion may have found out more than is known here.
                _ => {
                    let found = self.durable.get(&append.scope, &[append.id]).await?;
                    let Some(found) = found.into_iter().next().flatten() else { return Ok(None) };
                    self.learn(&found);
                    found
                }
            };
            let target = self.identified().await?;
            if !known.is_running() {
                let (version, steps) = (known.version, known.steps.len() as u32);
                let accepted = self.file.was_accepted(target, append).await?;
                return Ok(accepted.then_some(Written { version, steps, kept: Kept::Stored }));
            }
            match self.file.journal(target, Head::of(&known), append, self.now()).await {
                Ok(Journaling::Kept { version, steps }) => {
                    self.wake.notify_one();
                    return Ok(Some(Written { version, steps, kept: Kept::Journaled }));
                }
                // Sent to the database they would overtake a completion again and again.
                Ok(Journaling::NotHere) if self.outwaited(target, append.id, patience).await? => {
                    waited = true;
                }
                Ok(Journaling::NotHere) => return Ok(None),
                Err(error) => {
                    tracing::warn!(%error, "steps cannot be journaled and go to the database");
                    return Ok(None);
                }
            }
        }
    }

    /// Waits while an episode is being completed or forgotten. False: it is not, or that took too long.
    async fn outwaited(&self, target: Target, id: EpisodeId, patience: Instant) -> Result<bool> {
        let mut waited = false;
        while self.file.is_closing(target, id, self.now()).await? {
            if Instant::now() >= patience {
                return Ok(false);
            }
            sleep(LOOK_AGAIN).await;
            waited = true;
        }
        Ok(waited)
    }

    /// What waits for these episodes, and for which database.
    async fn waiting(&self, ids: &[EpisodeId]) -> Result<(Target, Vec<Entry>)> {
        let target = self.target().await?;
        let waiting = self.file.waiting(target, ids).await?;
        // A queued write may create what it is about: not in a database that it is not for.
        if waiting.iter().any(|entry| entry.state == EntryState::Queued) {
            let target = self.identify().await?;
            return Ok((target, self.file.waiting(target, ids).await?));
        }
        Ok((target, waiting))
    }

    /// Sees to it that no step is journaled for an episode while it is completed or forgotten: it
    /// would come too late.
    async fn announce(
        &self,
        target: Target,
        writes: &[Write],
        mut waiting: Vec<Entry>,
    ) -> Result<Announced> {
        let mut closing = Vec::new();
        for (place, write) in writes.iter().enumerate() {
            let Some(id) = closes(write) else { continue };
            // Of an episode that nobody here works on, no steps are journaled.
            if self.is_known(id) || waiting.iter().any(|entry| entry.episode == Some(id)) {
                self.file.announce_closing(target, id, self.now()).await?;
                closing.push((id, place));
            }
        }
        if !closing.is_empty() {
            // Some may have been journaled until then.
            let ids: Vec<EpisodeId> = writes.iter().flat_map(touched).collect();
            waiting = self.file.waiting(target, &ids).await?;
        }
        Ok(Announced { waiting, closing })
    }

    /// Sends what waits for the episodes and behind it the writes: one request.
    async fn send(
        &self,
        target: Target,
        writes: Vec<Write>,
        announced: Announced,
    ) -> Result<Vec<Result<Written>>> {
        let Announced { waiting, closing } = announced;
        let (mut settled, mut batch) = deliverable(&waiting);
        let ahead = batch.len();
        for write in &writes {
            if let Write::AppendSteps(append) = write {
                self.note_sent(append.write_id);
            }
            batch.push(write.clone());
        }
        let sent = self.durable.write(batch).await;
        let mut closed: Vec<(EpisodeId, Closed)> =
            closing.iter().map(|(id, _)| (*id, Closed::Not)).collect();
        let answer = match sent {
            Ok(mut results) => {
                let own = results.split_off(ahead.min(results.len()));
                settled.extend(verdicts(self, &waiting, results));
                for ((_, closed), (_, place)) in closed.iter_mut().zip(&closing) {
                    *closed = match own.get(*place) {
                        Some(Ok(_)) => Closed::Done,
                        Some(Err(Error::Conflict { .. })) => Closed::Overtaken,
                        _ => Closed::Not,
                    };
                }
                self.learn_from(&writes, &own);
                Ok(own)
            }
            Err(e) => self.not_sent(&writes, e).await,
        };
        // What was delivered is settled here or, should that fail, by delivering it again.
        if let Err(error) = self.file.settle(target, &settled, &closed, self.now()).await {
            tracing::warn!(%error, "pending.db cannot be written");
        }
        answer
    }

    /// What is known after these writes.
    fn learn_from(&self, writes: &[Write], results: &[Result<Written>]) {
        for (write, result) in writes.iter().zip(results) {
            match (write, result) {
                (Write::Save(save), Ok(written)) if written.version == save.episode.version => {
                    self.learn(&save.episode);
                }
                (Write::AppendSteps(append), Ok(written)) => {
                    self.advance(append.id, &append.steps, written.version, written.steps);
                }
                (write, _) => touched(write).into_iter().for_each(|id| self.unlearn(id)),
            }
        }
    }

    /// The database gave no answer: the writes are queued, where that is wanted, or refused.
    async fn not_sent(&self, writes: &[Write], e: Error) -> Result<Vec<Result<Written>>> {
        let offline = matches!(e, Error::Unavailable { .. } | Error::Unknown { .. });
        if offline && self.queues() {
            let target = self.target().await?;
            let ids: Vec<EpisodeId> = writes.iter().flat_map(touched).collect();
            let waiting = self.file.waiting(target, &ids).await?;
            self.file.enqueue(target, writes, self.now()).await?;
            self.wake.notify_one();
            return Ok(writes.iter().map(|write| Ok(self.expected(write, &waiting))).collect());
        }
        for write in writes {
            touched(write).into_iter().for_each(|id| self.unlearn(id));
        }
        Err(e)
    }

    /// What a queued write will have done, as far as that can be told.
    fn expected(&self, write: &Write, waiting: &[Entry]) -> Written {
        let (version, steps) = match write {
            Write::Save(save) => (save.episode.version, save.episode.steps.len()),
            Write::AppendSteps(append) => {
                let known: Option<Arc<Episode>> = self.known(&append.scope, append.id);
                let before = overlay(append.id, known, waiting, false);
                let (version, steps) =
                    before.map_or((0, 0), |episode| (episode.version + 1, episode.steps.len()));
                (version, steps + append.steps.len())
            }
            _ => (0, 0),
        };
        Written { version, steps: u32::try_from(steps).unwrap_or(u32::MAX), kept: Kept::Queued }
    }
}

/// What waits, and the episodes that are closed by which of the writes.
struct Announced {
    waiting: Vec<Entry>,
    closing: Vec<(EpisodeId, usize)>,
}

/// The episodes for which whatever waits has to go first.
fn touched(write: &Write) -> Vec<EpisodeId> {
    match write {
        Write::Save(save) => vec![save.episode.id],
        Write::AppendSteps(append) => vec![append.id],
        Write::Forget(forget) => vec![forget.id],
        Write::PutTombstone(tombstone) => vec![tombstone.id],
        Write::Relate(relation) => vec![relation.from, relation.to],
        Write::Feedback(feedback) => vec![feedback.by],
        Write::PutLesson(_) => Vec::new(),
    }
}

/// The episode that takes no more steps after this write.
fn closes(write: &Write) -> Option<EpisodeId> {
    match write {
        Write::Save(save) if !save.episode.is_running() => Some(save.episode.id),
        Write::Forget(forget) => Some(forget.id),
        Write::PutTombstone(tombstone) => Some(tombstone.id),
        _ => None,
    }
}
