//! A request, sent again where that is safe, until there is an answer or no time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use memory_core::{Error, Result};
use tokio::time::{Instant, sleep};

use super::breaker::{Breaker, Rejection};
use super::config::RemoteConfig;
use super::failure::Failure;
use super::hrana::{self, Answer, Encoded};
use super::http::Http;
use super::limit::Limit;
use super::metrics::RemoteMetrics;
use super::retry::{self, Budget};
use super::stream::Stream;
use crate::batch::{Access, StatementResult};

#[derive(Debug)]
pub(super) struct Exchange {
    http: Http,
    pub(super) config: RemoteConfig,
    pub(super) limit: Limit,
    breaker: Breaker,
    budget: Budget,
    /// The newest state of the database that an answer came from, plus one; 0: none said so. Sent
    /// with every request, it lets a replica answer with our own writes in it.
    seen: AtomicU64,
    last_call: Mutex<Instant>,
    pub(super) metrics: Arc<RemoteMetrics>,
}

impl Exchange {
    pub(super) fn new(config: RemoteConfig) -> Result<Self> {
        config.validate()?;
        let metrics = Arc::new(RemoteMetrics::default());
        Ok(Exchange {
            http: Http::new(&config, metrics.clone())?,
            limit: Limit::new(
                config.min_concurrency,
                config.max_concurrency,
                config.queue,
                metrics.clone(),
            ),
            breaker: Breaker::new(config.breaker, metrics.clone()),
            budget: Budget::new(config.retry.budget),
            seen: AtomicU64::new(0),
            last_call: Mutex::new(Instant::now()),
            config,
            metrics,
        })
    }

    /// Runs `batches` in one transaction, by the deadline.
    pub(super) async fn run(
        &self,
        access: Access,
        batches: &[Encoded],
    ) -> Result<Vec<StatementResult>> {
        let deadline = Instant::now() + self.config.deadline;
        let count = batches.iter().map(Encoded::len).sum();
        let asked = self.seen();
        let pipeline = self.config.pipeline;
        let body = pipeline.then(|| Bytes::from(hrana::request(access, batches, asked)));
        self.budget.deposit();
        *self.last_call.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let mut may_be_applied = false;
        let mut attempt = 0;
        loop {
            // While the circuit is open nobody is to wait for a permit.
            self.breaker.check().map_err(|r| self.rejected(access, may_be_applied, &r))?;
            let permit = match access {
                Access::Read => Some(self.limit.acquire(deadline).await?),
                Access::Write => None,
            };
            let pass = self.breaker.admit();
            let pass = pass.map_err(|r| self.rejected(access, may_be_applied, &r))?;
            let outcome = match &body {
                Some(body) => self.attempt(access, count, body.clone(), deadline).await,
                None => self.attempt_in_steps(access, batches, asked, deadline).await,
            };
            match &outcome {
                Err(failure) if failure.is_outage() => pass.failed(&failure.reason()),
                _ => pass.healthy(),
            }
            if let Some(permit) = permit {
                permit.report(outcome.as_ref().is_err_and(Failure::is_congestion));
            }
            let failure = match outcome {
                Ok(answer) => return Ok(self.accept(access, batches.len(), asked, answer)),
                Err(failure) => failure,
            };
            let pause = retry::pause(&self.config.retry, attempt, fastrand::f64);
            if !self.may_retry(&failure, deadline, pause) {
                return Err(failure.into_error(access, may_be_applied));
            }
            tracing::debug!(?failure, ?pause, "a request to the database is tried again");
            may_be_applied |= failure.may_be_applied();
            attempt += 1;
            sleep(pause).await;
        }
    }

    /// A stream that reads one state of the database for as long as it is asked for more.
    pub(super) async fn reading_stream(&self, deadline: Instant) -> Result<Stream<'_>> {
        let begun = async {
            let mut stream =
                Stream::new(&self.http, self.config.request_timeout, deadline, self.seen())?;
            stream.begin_reading().await?;
            Ok(stream)
        };
        begun.await.map_err(|failure: Failure| failure.into_error(Access::Read, false))
    }

    /// One request past the limit, the breaker and the retries: opens a connection or keeps one open.
    pub(super) async fn touch(&self) -> Result<(), Failure> {
        let statement = crate::batch::Statement::new("SELECT 1", Vec::new());
        let batch = Encoded::new(&[statement]).map_err(Failure::Final)?;
        let body = Bytes::from(hrana::request(Access::Read, &[batch], None));
        let deadline = Instant::now() + self.config.deadline;
        self.attempt(Access::Read, 1, body, deadline).await.map(drop)
    }

    /// How long ago the last call was.
    pub(super) fn idle_for(&self) -> Duration {
        self.last_call.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    async fn attempt(
        &self,
        access: Access,
        count: usize,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let deadline = deadline.min(Instant::now() + self.config.request_timeout);
        let wire = self.http.wire().map_err(Failure::Final)?;
        let body = self.http.post(&wire, body, deadline).await?;
        hrana::answer(access, count, &body)
    }

    async fn attempt_in_steps(
        &self,
        access: Access,
        batches: &[Encoded],
        asked: Option<u64>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let stream = Stream::new(&self.http, self.config.request_timeout, deadline, asked)?;
        stream.run(access, batches).await
    }

    fn accept(
        &self,
        access: Access,
        batches: usize,
        asked: Option<u64>,
        answer: Answer,
    ) -> Vec<StatementResult> {
        match answer.seen {
            // Older than asked for: the database was restored or lost its tail. A replica would
            // wait for the lost state for ever.
            Some(seen) if Some(seen) < asked => self.seen.store(seen + 1, Ordering::Relaxed),
            Some(seen) => drop(self.seen.fetch_max(seen.saturating_add(1), Ordering::Relaxed)),
            None => {}
        }
        if access == Access::Write {
            self.metrics.commits.increment();
            self.metrics.committed_batches.add(batches as u64);
        }
        answer.results
    }

    fn seen(&self) -> Option<u64> {
        self.seen.load(Ordering::Relaxed).checked_sub(1)
    }

    fn may_retry(&self, failure: &Failure, deadline: Instant, pause: Duration) -> bool {
        if !failure.is_retryable() || Instant::now() + pause >= deadline {
            return false;
        }
        let allowed = self.budget.withdraw();
        let counter = if allowed { &self.metrics.retries } else { &self.metrics.retries_denied };
        counter.increment();
        allowed
    }

    fn rejected(&self, access: Access, may_be_applied: bool, rejection: &Rejection) -> Error {
        self.metrics.rejected.increment();
        let Rejection { wait, cause } = rejection;
        let ms = wait.as_millis();
        let reason = format!("it failed several times, last: {cause}; the next try is in {ms} ms");
        Failure::Unreachable(reason).into_error(access, may_be_applied)
    }
}
