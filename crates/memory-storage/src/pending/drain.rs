//! Delivery of what waits, in order: in the background by one process of the machine, and on request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::store::{EpisodeStore, Write, Written};
use memory_core::{Error, Result, Timestamp};
use memory_storage_turso::pending::{Entry, Settled, Settlement};
use tokio::time::{sleep, timeout};

use super::buffered::Buffered;

/// Entries in one request.
const BATCH: usize = 100;

/// How long a process may be silent before another one delivers in its place.
const LEASE: Duration = Duration::from_secs(30);

/// How often an idle process looks whether another one has left something behind.
const IDLE: Duration = Duration::from_secs(10);

/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Failures of an entry, not of the connection, after which it is taken for hopeless.
const MAX_ATTEMPTS: u32 = 10;

/// Delivers what is due, until it is aborted.
pub(super) async fn run<D: EpisodeStore>(store: Arc<Buffered<D>>) {
    // Whoever writes first need not ask which database this is.
    if let Err(error) = store.identify().await {
        tracing::debug!(%error, "the database did not say which one it is");
    }
    let mut pause = PAUSE.0;
    let mut seen = None;
    loop {
        match store.round(&mut seen).await {
            Ok(wait) => {
                pause = PAUSE.0;
                // Woken by every write; nothing is due earlier than `wait` because of one, but an
                // idle process learns of it.
                let _ = timeout(wait, store.wake.notified()).await;
            }
            Err(error) => {
                tracing::warn!(%error, "what waits in pending.db could not be delivered");
                sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

impl<D: EpisodeStore> Buffered<D> {
    /// Delivers what is due, if this process holds the lease. Says when to look again. `seen` is the
    /// time of the oldest entry, and since when it is the oldest.
    async fn round(&self, seen: &mut Option<(Timestamp, Instant)>) -> Result<Duration> {
        let target = self.target().await?;
        let Some((oldest, queued)) = self.file.oldest(target).await? else { return Ok(IDLE) };
        let since = match *seen {
            Some((at, since)) if at == oldest => since,
            _ => Instant::now(),
        };
        *seen = Some((oldest, since));
        let age =
            Duration::from_micros(self.now().0.saturating_sub(oldest.0).max(0).unsigned_abs());
        // The clock may stand still, or have been set back since: then an entry is never old by it.
        let age = age.max(since.elapsed());
        let flush_after = self.config.flush_after;
        if !queued && age < flush_after {
            return Ok(flush_after - age);
        }
        let until = after(self.now(), LEASE);
        if !self.file.take_lease(target, self.holder, self.now(), until).await? {
            return Ok(LEASE / 3);
        }
        let flush_after = i64::try_from(flush_after.as_micros()).unwrap_or(i64::MAX);
        self.deliver(Timestamp(self.now().0.saturating_sub(flush_after)).max(oldest)).await?;
        Ok(Duration::ZERO)
    }

    /// Delivers everything that waits now. Safe beside another process that does the same.
    pub(super) async fn flush(&self) -> Result<()> {
        // Again each time: another database may be behind the URL by now, and for that one other
        // things wait.
        while self.file.oldest(self.target().await?).await?.is_some() {
            self.deliver(Timestamp(i64::MAX)).await?;
        }
        Ok(())
    }

    /// One request's worth of what was accepted before `before`.
    async fn deliver(&self, before: Timestamp) -> Result<()> {
        let target = self.identify().await?;
        let waiting = self.file.due(target, before, BATCH).await?;
        let (mut settled, batch) = deliverable(&waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        // An error here is not one entry's fault, or we cannot tell whose: nothing is given up for it.
        let results = self.durable.write(batch).await?;
        settled.extend(verdicts(self, &waiting, results));
        let failed = settled.iter().find_map(|settled| match &settled.settlement {
            Settlement::Failed(why) => Some(why.clone()),
            _ => None,
        });
        self.file.settle(target, &settled, &[], self.now()).await?;
        match failed {
            Some(message) => {
                Err(Error::Engine { context: "delivering what waits".into(), message })
            }
            None => Ok(()),
        }
    }

    /// Lets another process deliver at once.
    pub(super) async fn give_lease(&self) {
        let Ok(target) = self.target().await else { return };
        if let Err(error) = self.file.give_lease(target, self.holder).await {
            tracing::warn!(%error, "the lease of pending.db could not be given back");
        }
    }
}

/// The writes to be sent, and the settlement of entries that cannot be.
pub(super) fn deliverable(waiting: &[Entry]) -> (Vec<Settled>, Vec<Write>) {
    let (mut damaged, mut batch) = (Vec::new(), Vec::with_capacity(waiting.len()));
    for entry in waiting {
        match &entry.write {
            Ok(write) => batch.push(write.clone()),
            Err(e) => {
                let settlement = Settlement::Refused(e.to_string());
                damaged.push(Settled { seq: entry.seq, settlement });
            }
        }
    }
    (damaged, batch)
}

/// What the results of [`deliverable`] writes mean for their entries.
pub(super) fn verdicts<D: EpisodeStore>(
    store: &Buffered<D>,
    waiting: &[Entry],
    results: Vec<Result<Written>>,
) -> Vec<Settled> {
    let sent = waiting.iter().filter(|entry| entry.write.is_ok());
    sent.zip(results)
        .map(|(entry, result)| {
            match (&entry.write, &result, entry.episode) {
                (Ok(Write::AppendSteps(append)), Ok(w), Some(id)) => {
                    store.advance(id, &append.steps, w.version, w.steps);
                }
                (Ok(Write::Save(save)), Ok(w), _) if w.version == save.episode.version => {
                    store.learn(&save.episode);
                }
                (_, _, Some(id)) => store.unlearn(id),
                (_, _, None) => {}
            }
            Settled { seq: entry.seq, settlement: settlement(entry, result) }
        })
        .collect()
}

fn settlement(entry: &Entry, result: Result<Written>) -> Settlement {
    match result {
        Ok(written) => Settlement::Delivered(written),
        // What was forgotten must not live on in a list of conflicts.
        Err(Error::Forgotten { .. }) => Settlement::Dropped,
        Err(
            e @ (Error::Conflict { .. }
            | Error::Completed { .. }
            | Error::NotFound { .. }
            | Error::Invalid { .. }),
        ) => Settlement::Refused(e.to_string()),
        Err(e) if e.is_retryable() || entry.attempts < MAX_ATTEMPTS => {
            Settlement::Failed(e.to_string())
        }
        Err(e) => Settlement::Refused(e.to_string()),
    }
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}
