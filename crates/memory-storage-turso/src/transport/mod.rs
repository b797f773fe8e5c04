//! A transport runs a [`Batch`] in one go; nothing above it knows which one it is.
//!
//! So every operation's SQL must do for all of them: no TEMP tables, no ATTACH, no PRAGMA, and no
//! statement that leans on connection state left by another (`changes()`, `last_insert_rowid()`).

mod local;
mod remote;

pub(crate) use local::{Exclusive, LocalTransport, offload};
pub(crate) use remote::Snapshot;
pub use remote::{
    BreakerConfig, DatabaseUrl, Gauge, RemoteConfig, RemoteMetrics, RemoteTransport, RetryConfig,
    Secret, Token, TokenSource, tls_config,
};

use memory_core::Result;

use crate::batch::{Batch, StatementResult};
use crate::metrics::Pool;

/// The ways to a database.
#[derive(Debug)]
pub(crate) enum Transport {
    /// A file on this machine.
    Local(LocalTransport),
    /// A server.
    Remote(RemoteTransport),
}

impl Transport {
    /// Runs a batch: one round trip, one result per statement.
    pub(crate) async fn run(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        match self {
            Transport::Local(local) => local.run(batch).await,
            Transport::Remote(remote) => remote.run(batch).await,
        }
    }

    /// Runs a read that touches a few rows through an index. On a local file that takes microseconds,
    /// less than handing it to another thread would.
    pub(crate) async fn run_short(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        match self {
            Transport::Local(local) => local.run_short(batch).await,
            Transport::Remote(remote) => remote.run(batch).await,
        }
    }

    /// A number that changes whenever anybody commits; `None` where there is no cheap one.
    pub(crate) async fn data_version(&self) -> Result<Option<i64>> {
        match self {
            Transport::Local(local) => local.data_version().map(Some),
            Transport::Remote(_) => Ok(None),
        }
    }

    /// How its connections are used now.
    pub(crate) fn pool(&self) -> Pool {
        match self {
            Transport::Local(local) => local.pool(),
            Transport::Remote(remote) => remote.metrics().pool(),
        }
    }

    /// Finishes what is queued and lets go of the database.
    pub(crate) async fn close(&self) {
        match self {
            Transport::Local(local) => local.close().await,
            Transport::Remote(remote) => remote.close().await,
        }
    }
}
