//! A libSQL server or Turso Cloud: SQL over HTTP, one request a batch, no state on either side.
//!
//! - `config`, `url`: what can be set
//! - `hrana`: a batch as a request, an answer as results
//! - `http`, `tls`, `token`: one client with kept connections, whom it trusts, who it is
//! - `connections`: none is opened while one is about to be free
//! - `exchange`: a request with retries under a deadline; `failure`: what can go wrong
//! - `stream`: a request for every statement, where that is asked for
//! - `retry`, `breaker`, `limit`: when to try again, when not to ask, how much to ask at a time
//! - `gather`: writes that wait share a request
//! - `metrics`

mod breaker;
mod config;
mod connections;
mod exchange;
mod failure;
mod gather;
mod hrana;
mod http;
mod limit;
mod metrics;
mod retry;
mod stream;
mod tls;
mod token;
mod url;

use std::sync::Arc;
use std::time::Duration;

use memory_core::Result;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

pub use config::{BreakerConfig, RemoteConfig, RetryConfig, Secret, TokenSource};
pub use metrics::{Gauge, RemoteMetrics};
pub use tls::config as tls_config;
pub use token::Token;
pub use url::DatabaseUrl;

use crate::batch::{Access, Batch, Statement, StatementResult, Value};
use exchange::Exchange;
use gather::Gather;
use hrana::Encoded;

/// How often an idle limit is looked at.
const RELAX_INTERVAL: Duration = Duration::from_secs(5);

/// After this long without a call nothing is kept warm any more.
const UNUSED: Duration = Duration::from_secs(15 * 60);

/// How long one state of a database may be read.
const LONGEST_SNAPSHOT: Duration = Duration::from_secs(24 * 3600);

/// One state of the database, however long it takes to read it.
pub(crate) struct Snapshot<'a>(stream::Stream<'a>);

impl Snapshot<'_> {
    /// The rows of one statement.
    pub(crate) async fn read(&mut self, statement: &Statement) -> Result<Vec<Vec<Value>>> {
        let encoded = Encoded::new(std::slice::from_ref(statement))?;
        let text = encoded.statements().next().unwrap_or_default();
        let result = self.0.read(text).await;
        Ok(result.map_err(|failure| failure.into_error(Access::Read, false))?.rows)
    }

    /// Lets go of it.
    pub(crate) async fn close(self) {
        self.0.close().await;
    }
}

/// The way to a database on a server.
#[derive(Debug)]
pub struct RemoteTransport {
    exchange: Arc<Exchange>,
    gather: Arc<Gather>,
    keeper: JoinHandle<()>,
}

impl RemoteTransport {
    /// Checks the settings and begins to open connections in the background. Nothing of the server
    /// is known yet: it need not be up. Must be called within a Tokio runtime.
    pub fn new(config: RemoteConfig) -> Result<Self> {
        let exchange = Arc::new(Exchange::new(config)?);
        let config = &exchange.config;
        let gather = Arc::new(Gather::new(exchange.clone(), config.max_group, config.queue));
        let keeper = tokio::spawn(keep_warm(exchange.clone()));
        Ok(RemoteTransport { exchange, gather, keeper })
    }

    /// Runs a batch: one round trip, one result per statement.
    pub async fn run(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        let encoded = Encoded::new(&batch.statements)?;
        match batch.access {
            Access::Read => self.exchange.run(Access::Read, &[encoded]).await,
            Access::Write => {
                let deadline = Instant::now() + self.exchange.config.deadline;
                self.gather.run(encoded, deadline).await
            }
        }
    }

    /// One state of the database, to be read in many requests. A server gives up on it when nothing is
    /// asked for some seconds.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot<'_>> {
        let deadline = Instant::now() + LONGEST_SNAPSHOT;
        Ok(Snapshot(self.exchange.reading_stream(deadline).await?))
    }

    /// What it did and where it stands.
    pub fn metrics(&self) -> &RemoteMetrics {
        &self.exchange.metrics
    }

    /// Refuses new calls and waits for queued writes, each of which has a deadline.
    pub async fn close(&self) {
        self.exchange.limit.close();
        self.keeper.abort();
        self.gather.close().await;
    }
}

impl Drop for RemoteTransport {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Opens connections at the start, and keeps them from growing idle while the store is in use.
async fn keep_warm(exchange: Arc<Exchange>) {
    let config = &exchange.config;
    touch(&exchange, config.warm_connections).await;
    let keeps = !config.idle_timeout.is_zero();
    let touch_interval = config.idle_timeout / 2;
    let interval = if keeps { touch_interval.min(RELAX_INTERVAL) } else { RELAX_INTERVAL };
    let mut touched = Instant::now();
    loop {
        tokio::time::sleep(interval).await;
        exchange.limit.relax();
        if keeps && touched.elapsed() >= touch_interval && exchange.idle_for() < UNUSED {
            touched = Instant::now();
            touch(&exchange, config.warm_connections).await;
        }
    }
}

/// Uses `count` connections at once. One that cannot be opened is opened by the call that needs it.
async fn touch(exchange: &Arc<Exchange>, count: usize) {
    let mut warm = true;
    let mut connections = JoinSet::new();
    for _ in 0..count {
        let exchange = exchange.clone();
        connections.spawn(async move { exchange.touch().await });
    }
    while let Some(ended) = connections.join_next().await {
        if let Ok(Err(failure)) = ended {
            tracing::debug!(?failure, "a connection could not be kept warm");
            warm = false;
        }
    }
    exchange.metrics.warm.set(u64::from(warm));
}
