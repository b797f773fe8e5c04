//! The one writer: a thread that owns the write connection and commits what waits in groups.
//!
//! The fsync of a commit costs far more than the statements before it, so whatever is waiting when a
//! commit ends goes into the next one. An idle writer adds no wait. Across processes the file's write
//! lock decides who is next; the writer keeps trying until a generous deadline.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memory_core::{Error, Result};
use tokio::sync::oneshot;

use super::connection::Connection;
use super::file::DataFile;
use super::sql_error::SqlError;
use crate::batch::{Statement, StatementResult};
use crate::metrics::Metrics;

/// Bytes of parameters in one commit. A group holds the file's write lock while other processes wait
/// for it, and one that fails is kept to be run again.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of parameters that may wait. The count alone would let 10,000 of the largest episodes fill
/// the memory.
const MAX_QUEUED_BYTES: usize = 256 * 1024 * 1024;

/// The first and the longest pause between two tries to get the write lock. The engine's own busy
/// handler sleeps up to 100 ms, too long next to writers that hold the lock for one.
const BUSY_PAUSE: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(10));

/// Statements run after which the engine is asked whether its statistics still fit, and how long nobody
/// must have written before: the answer takes up to a tenth of a second.
const STATISTICS_AFTER: (u64, Duration) = (10_000, Duration::from_secs(5));

/// How much of each index is looked at. With a limit the engine keeps counts alone; without one it
/// would keep samples, which are text of episodes.
const STATISTICS: [&str; 2] = ["PRAGMA analysis_limit = 1000", "PRAGMA optimize"];

type Reply = oneshot::Sender<Result<Vec<StatementResult>>>;

struct Job {
    statements: Vec<Statement>,
    bytes: usize,
    reply: Reply,
}

/// The way to the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Job>>>,
    waiting: Arc<AtomicUsize>,
    waiting_bytes: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Starts the thread on an open connection.
    pub(super) fn start(connection: Connection, file: Arc<DataFile>) -> Result<Self> {
        let (queue, jobs) = sync_channel(file.config.queue);
        let waiting = Arc::new(AtomicUsize::new(0));
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let metrics = file.metrics.clone();
        let mut thread = WriterThread {
            connection: Some(connection),
            file,
            waiting: waiting.clone(),
            waiting_bytes: waiting_bytes.clone(),
            since_statistics: 0,
        };
        let thread = std::thread::Builder::new()
            .name("memory-writer".into())
            .spawn(move || thread.serve(&jobs))
            .map_err(|e| Error::Refused {
                problem: format!("the writer thread cannot be started: {e}"),
                hint: "raise the limit of threads per user".into(),
            })?;
        Ok(Writer {
            queue: Mutex::new(Some(queue)),
            waiting,
            waiting_bytes,
            thread: Mutex::new(Some(thread)),
            metrics,
        })
    }

    /// Queues a batch and waits for its commit.
    pub(super) async fn run(&self, statements: Vec<Statement>) -> Result<Vec<StatementResult>> {
        let (reply, committed) = oneshot::channel();
        let bytes = statements.iter().map(Statement::bytes).sum();
        self.submit(Job { statements, bytes, reply })?;
        committed.await.unwrap_or_else(|_| {
            Err(Error::Unknown { reason: "the writer ended before it answered".into() })
        })
    }

    fn submit(&self, job: Job) -> Result<()> {
        let bytes = job.bytes;
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = queue.as_ref() else {
            return Err(Error::Unavailable { reason: "the store is closed".into() });
        };
        let queued = self.waiting_bytes.load(Ordering::Relaxed);
        // A single large batch is always let in: alone in the queue it delays nobody.
        let full = queued > 0 && queued + bytes > MAX_QUEUED_BYTES;
        // Counted before it is sent: the thread may take it at once, and counts it off then.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if full { Err(TrySendError::Full(job)) } else { sender.try_send(job) };
        sent.map_err(|e| {
            let waiting = self.waiting.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            match e {
                TrySendError::Full(_) => {
                    self.metrics.overloaded.increment();
                    Error::Overloaded { waiting }
                }
                TrySendError::Disconnected(_) => {
                    Error::Unavailable { reason: "the writer has ended".into() }
                }
            }
        })
    }

    /// Batches that wait for the thread to take them.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Refuses new batches; the thread ends when it has committed those that wait.
    pub(super) fn close(&self) -> Option<JoinHandle<()>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct WriterThread {
    /// `None` after a failure that cannot be trusted, until it is opened again.
    connection: Option<Connection>,
    file: Arc<DataFile>,
    waiting: Arc<AtomicUsize>,
    waiting_bytes: Arc<AtomicUsize>,
    since_statistics: u64,
}

/// How a transaction ended that did not commit.
pub(super) enum Failure {
    /// Nothing was written.
    NotApplied(SqlError),
    /// The write lock was not to be had in time.
    Busy(SqlError),
    /// The commit itself failed.
    Commit(SqlError),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Failure::NotApplied(e) => e.into_error("the write"),
            Failure::Busy(e) => e.into_error("BEGIN IMMEDIATE"),
            Failure::Commit(e) => e.into_commit_error(),
        }
    }
}

impl WriterThread {
    fn serve(&mut self, jobs: &Receiver<Job>) {
        while let Some(first) = self.next(jobs) {
            let mut group = vec![self.taken(first)];
            let mut bytes: usize = group.iter().map(|job| job.bytes).sum();
            while group.len() < self.file.config.max_group
                && bytes < MAX_GROUP_BYTES
                && let Ok(next) = jobs.try_recv()
            {
                bytes += next.bytes;
                group.push(self.taken(next));
            }
            self.since_statistics +=
                group.iter().map(|job| job.statements.len() as u64).sum::<u64>();
            // A caller that has gone wants nothing written any more.
            group.retain(|job| !job.reply.is_closed());
            if !group.is_empty() {
                self.commit(group);
            }
        }
        if self.since_statistics >= STATISTICS_AFTER.0 {
            self.keep_statistics();
        }
    }

    /// The next job; `None`: there will be none. Uses a pause after much work for the statistics.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        if self.since_statistics >= STATISTICS_AFTER.0 {
            match jobs.recv_timeout(STATISTICS_AFTER.1) {
                Err(RecvTimeoutError::Timeout) => self.keep_statistics(),
                other => return other.ok(),
            }
        }
        jobs.recv().ok()
    }

    /// Has the engine count again what it chooses indexes by, where that has changed tenfold. The
    /// statements are made to find their index without; it is no failure when somebody else writes.
    fn keep_statistics(&mut self) {
        self.since_statistics = 0;
        if let Some(connection) = &mut self.connection {
            let kept = STATISTICS.into_iter().try_for_each(|sql| connection.execute(sql).map(drop));
            if let Err(e) = kept {
                tracing::debug!(error = ?e, "the statistics stay as they are");
            }
        }
    }

    fn taken(&self, job: Job) -> Job {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(job.bytes, Ordering::Relaxed);
        job
    }

    /// Runs the group in one transaction. When that fails because of a statement, each batch is run
    /// in a transaction of its own, so that a bad one fails alone.
    fn commit(&mut self, group: Vec<Job>) {
        match self.transaction(&group) {
            Ok(results) => {
                for (job, result) in group.into_iter().zip(results) {
                    // The caller may have gone; the write is committed all the same.
                    let _ = job.reply.send(Ok(result));
                }
            }
            Err(Failure::NotApplied(_)) if group.len() > 1 => {
                self.file.metrics.split_groups.increment();
                group.into_iter().for_each(|job| self.commit(vec![job]));
            }
            Err(failure) => {
                let error = failure.into_error();
                tracing::warn!(%error, batches = group.len(), "a write failed");
                for job in group {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn transaction(&mut self, group: &[Job]) -> Result<Vec<Vec<StatementResult>>, Failure> {
        let mut connection = self.connection().map_err(Failure::NotApplied)?;
        let outcome = attempt(&mut connection, group, &self.file);
        let broken = match &outcome {
            Ok(_) => false,
            // Whatever a failed commit left behind, a fresh connection reads it from the file.
            Err(Failure::Commit(_)) => true,
            Err(Failure::NotApplied(e) | Failure::Busy(e)) => e.breaks_connection(),
        };
        if !broken && connection.is_autocommit() {
            self.connection = Some(connection);
        } else {
            tracing::error!("the writer lets go of its connection and opens the file again");
        }
        outcome
    }

    /// The connection, opened again when the last one was given up.
    fn connection(&mut self) -> Result<Connection, SqlError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                let connection = self.file.open_writer()?;
                self.file.metrics.reopened.increment();
                Ok(connection)
            }
        }
    }
}

fn attempt(
    connection: &mut Connection,
    group: &[Job],
    file: &DataFile,
) -> Result<Vec<Vec<StatementResult>>, Failure> {
    begin(connection, file, || group.iter().any(|job| !job.reply.is_closed()))?;
    let results = group
        .iter()
        .map(|job| job.statements.iter().map(|one| connection.run(one.clone())).collect())
        .collect::<Result<Vec<Vec<_>>, SqlError>>()
        .map_err(|e| {
            rollback(connection);
            Failure::NotApplied(e)
        })?;
    connection.execute("COMMIT").map_err(|e| {
        rollback(connection);
        Failure::Commit(e)
    })?;
    file.metrics.commits.increment();
    file.metrics.committed_batches.add(group.len() as u64);
    Ok(results)
}

/// Takes the write lock, waiting for other processes to let go of it while it is `wanted`.
pub(super) fn begin(
    connection: &mut Connection,
    file: &DataFile,
    wanted: impl Fn() -> bool,
) -> Result<(), Failure> {
    let deadline = Instant::now() + file.config.busy_timeout;
    let mut pause = BUSY_PAUSE.0;
    loop {
        match connection.execute("BEGIN IMMEDIATE") {
            Ok(_) => return Ok(()),
            Err(e) if e.is_busy() && Instant::now() < deadline && wanted() => {
                file.metrics.busy_retries.increment();
                std::thread::sleep(pause);
                pause = (pause * 2).min(BUSY_PAUSE.1);
            }
            Err(e) if e.is_busy() => return Err(Failure::Busy(e)),
            Err(e) => return Err(Failure::NotApplied(e)),
        }
    }
}

/// Some errors roll back by themselves; then there is nothing left to do.
pub(super) fn rollback(connection: &mut Connection) {
    if !connection.is_autocommit()
        && let Err(e) = connection.execute("ROLLBACK")
    {
        tracing::error!(error = ?e, "a transaction could not be rolled back");
    }
}
