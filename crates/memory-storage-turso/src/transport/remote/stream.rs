//! A batch statement by statement, each a request of its own on a stream that the server keeps in
//! between: what drivers do, and what one request a batch is compared with.
//!
//! A stream that is left in the middle holds the server's write lock until it expires there, so it is
//! closed when a statement fails.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::failure::Failure;
use super::hrana::{self, Answer, Encoded};
use super::http::{Http, Wire};
use crate::batch::{Access, StatementResult};

/// A stream on the server, from its first request on.
pub(super) struct Stream<'a> {
    http: &'a Http,
    /// The same for all requests, so that they share a connection where none is kept for longer.
    wire: Wire,
    request_timeout: Duration,
    deadline: Instant,
    /// The newest state of the database known of.
    seen: Option<u64>,
    /// Names the stream to the server in the next request; `None` before the first and after the last.
    baton: Option<String>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        http: &'a Http,
        request_timeout: Duration,
        deadline: Instant,
        seen: Option<u64>,
    ) -> Result<Self, Failure> {
        let wire = http.wire().map_err(Failure::Final)?;
        Ok(Stream { http, wire, request_timeout, deadline, seen, baton: None })
    }

    /// Runs `batches` in one transaction.
    pub(super) async fn run(
        mut self,
        access: Access,
        batches: &[Encoded],
    ) -> Result<Answer, Failure> {
        let outcome = self.transaction(access, batches).await;
        if outcome.is_err() && self.baton.is_some() {
            // If this fails too, the server closes the stream by itself after a while.
            let _ = self.post(None, true).await;
        }
        outcome.map(|results| Answer { results, seen: self.seen })
    }

    async fn transaction(
        &mut self,
        access: Access,
        batches: &[Encoded],
    ) -> Result<Vec<StatementResult>, Failure> {
        let statements: Vec<&str> = batches.iter().flat_map(Encoded::statements).collect();
        let begin = hrana::begin(access, statements.len());
        if let Some(begin) = &begin {
            self.execute(begin, false).await?;
        }
        let mut results = Vec::with_capacity(statements.len());
        for statement in statements {
            results.push(self.execute(statement, begin.is_none()).await?);
        }
        if begin.is_some() {
            self.execute(&hrana::plain("COMMIT"), true).await.map_err(|e| match e {
                contended @ Failure::Contended(_) => contended,
                // Whether a commit that failed has left something behind depends on why it failed.
                Failure::Final(e) => Failure::Lost(format!("COMMIT failed: {e}")),
                other => other,
            })?;
        }
        Ok(results)
    }

    /// Begins a transaction that reads: every later [`read`](Self::read) sees the same state.
    pub(super) async fn begin_reading(&mut self) -> Result<(), Failure> {
        // Two statements are what needs a transaction.
        match hrana::begin(Access::Read, 2) {
            Some(begin) => self.execute(&begin, false).await.map(drop),
            None => Ok(()),
        }
    }

    /// The result of one statement.
    pub(super) async fn read(&mut self, statement: &str) -> Result<StatementResult, Failure> {
        self.execute(statement, false).await
    }

    /// Ends the stream. If that fails the server does so by itself after a while.
    pub(super) async fn close(mut self) {
        if self.baton.is_some() {
            let _ = self.post(None, true).await;
        }
    }

    async fn execute(&mut self, statement: &str, last: bool) -> Result<StatementResult, Failure> {
        let body = self.post(Some(statement), last).await?;
        let (baton, answer) = hrana::step_answer(&body)?;
        self.baton = baton;
        let answer = answer?;
        self.seen = answer.seen.max(self.seen);
        let result = answer.results.into_iter().next();
        result.ok_or_else(|| Failure::Lost("the answer has no result".into()))
    }

    async fn post(&mut self, statement: Option<&str>, last: bool) -> Result<Bytes, Failure> {
        // Taken: a request whose answer is lost leaves no baton to go on with.
        let baton = self.baton.take();
        let body = hrana::step(baton.as_deref(), statement, last, self.seen);
        let deadline = self.deadline.min(Instant::now() + self.request_timeout);
        self.http.post(&self.wire, body.into(), deadline).await
    }
}
