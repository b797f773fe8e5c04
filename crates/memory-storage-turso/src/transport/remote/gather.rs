//! Writes that wait are sent together: one request is under way, what arrives meanwhile joins the
//! next one. The remote twin of group commit; an idle store adds no wait.
//!
//! One at a time, because the server has one write lock: two requests would only wait for each other
//! there, where nobody can see or bound the queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use memory_core::{Error, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::exchange::Exchange;
use super::hrana::Encoded;
use crate::batch::{Access, StatementResult};

/// Bytes of statements in one request. A transaction must end well within the 5 s after which the
/// server takes its lock away; 8 MB take well under a second.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Statements in one request, for the same reason.
const MAX_GROUP_STATEMENTS: usize = 4_096;

/// Bytes of statements that may wait.
const MAX_WAITING_BYTES: usize = 128 * 1024 * 1024;

/// The queue of writes in front of the one request.
#[derive(Debug)]
pub(super) struct Gather {
    exchange: Arc<Exchange>,
    max_batches: usize,
    max_waiting: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// The task sends requests until the queue is empty.
    sending: bool,
    task: Option<JoinHandle<()>>,
    closed: bool,
}

#[derive(Debug)]
struct Job {
    batch: Encoded,
    /// Set before the batch is sent for the first time.
    sent: Arc<AtomicBool>,
    reply: oneshot::Sender<Result<Vec<StatementResult>>>,
}

impl Gather {
    pub(super) fn new(exchange: Arc<Exchange>, max_batches: usize, max_waiting: usize) -> Self {
        Gather { exchange, max_batches, max_waiting, queue: Mutex::default() }
    }

    /// Queues a write and waits for its commit, until `deadline`. Dropping the future takes the
    /// write out of the queue if it is still there.
    pub(super) async fn run(
        self: &Arc<Self>,
        batch: Encoded,
        deadline: Instant,
    ) -> Result<Vec<StatementResult>> {
        let (reply, mut answer) = oneshot::channel();
        let sent = Arc::new(AtomicBool::new(false));
        self.submit(Job { batch, sent: sent.clone(), reply })?;
        if let Ok(answered) = timeout_at(deadline, &mut answer).await {
            return answered.unwrap_or_else(|_| Err(unknown("the writing task ended early")));
        }
        // From here on the sending task finds the channel closed and leaves the write out.
        answer.close();
        if let Ok(answered) = answer.try_recv() {
            return answered;
        }
        if sent.load(Ordering::SeqCst) {
            return Err(unknown("the database did not answer in time"));
        }
        let reason = "earlier writes did not end in time".into();
        Err(Error::Unavailable { reason })
    }

    /// Refuses later writes and waits for those in the queue.
    pub(super) async fn close(&self) {
        let task = {
            let mut queue = self.lock();
            queue.closed = true;
            queue.task.take()
        };
        if let Some(task) = task
            && task.await.is_err()
        {
            tracing::error!("the writing task panicked");
        }
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<()> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Error::Unavailable { reason: "the store is closed".into() });
        }
        let bytes = queue.bytes + job.batch.bytes();
        // A single large write is always let in: alone in the queue it delays nobody.
        let full = bytes > MAX_WAITING_BYTES && !queue.jobs.is_empty();
        if full || queue.jobs.len() >= self.max_waiting {
            self.exchange.metrics.overloaded.increment();
            return Err(Error::Overloaded { waiting: queue.jobs.len() });
        }
        queue.bytes = bytes;
        queue.jobs.push_back(job);
        self.exchange.metrics.waiting_writes.set(queue.jobs.len() as u64);
        // A task that is gone although it should be sending has panicked.
        let gone = queue.task.as_ref().is_none_or(JoinHandle::is_finished);
        if !std::mem::replace(&mut queue.sending, true) || gone {
            queue.task = Some(tokio::spawn(self.clone().send_all()));
        }
        Ok(())
    }

    /// Sends requests until nothing waits.
    async fn send_all(self: Arc<Self>) {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                return;
            }
            self.send(group).await;
        }
    }

    /// Takes as many waiting writes as fit into one request; those nobody waits for are left out.
    /// None left: the task that asked is to end.
    fn next_group(&self) -> Vec<Job> {
        let mut queue = self.lock();
        let mut group = Vec::new();
        let (mut bytes, mut statements) = (0, 0);
        while let Some(job) = queue.jobs.front() {
            let (b, s) = (bytes + job.batch.bytes(), statements + job.batch.len());
            let full =
                group.len() >= self.max_batches || b > MAX_GROUP_BYTES || s > MAX_GROUP_STATEMENTS;
            if full && !group.is_empty() {
                break;
            }
            let Some(job) = queue.jobs.pop_front() else { break };
            queue.bytes -= job.batch.bytes();
            job.sent.store(true, Ordering::SeqCst);
            if !job.reply.is_closed() {
                (bytes, statements) = (b, s);
                group.push(job);
            }
        }
        queue.sending = !group.is_empty();
        self.exchange.metrics.waiting_writes.set(queue.jobs.len() as u64);
        group
    }

    /// Runs the group in one transaction. When a statement of it fails, each batch runs in a
    /// transaction of its own, so that a bad one fails alone.
    async fn send(&self, group: Vec<Job>) {
        let (batches, mut replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.batch, job.reply)).unzip();
        let result = tokio::select! {
            result = self.exchange.run(Access::Write, &batches) => result,
            // Nobody waits any more; whether it was written is as unknown as after a lost answer.
            _ = join_all(replies.iter_mut().map(oneshot::Sender::closed)) => return,
        };
        match result {
            Ok(mut results) => {
                for (batch, reply) in batches.iter().zip(replies) {
                    let rest = results.split_off(batch.len().min(results.len()));
                    let own = std::mem::replace(&mut results, rest);
                    // The caller may have gone; the write is committed all the same.
                    let _ = reply.send(Ok(own));
                }
            }
            Err(e) if batches.len() > 1 && fails_alone(&e) => {
                self.exchange.metrics.split_groups.increment();
                for (batch, reply) in batches.into_iter().zip(replies) {
                    let _ = reply.send(self.exchange.run(Access::Write, &[batch]).await);
                }
            }
            Err(e) => {
                tracing::warn!(error = %e, batches = batches.len(), "a write failed");
                for reply in replies {
                    let _ = reply.send(Err(e.clone()));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error may be one batch's alone.
fn fails_alone(e: &Error) -> bool {
    matches!(e, Error::Engine { .. } | Error::Refused { .. } | Error::Invalid { .. })
}

fn unknown(reason: &str) -> Error {
    Error::Unknown { reason: reason.into() }
}
