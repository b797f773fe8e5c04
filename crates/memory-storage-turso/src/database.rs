//! A transport whose database is brought to this build's schema before its first use.

use memory_core::Result;
use tokio::sync::OnceCell;

use crate::batch::{Batch, StatementResult};
use crate::schema::{self, Upgrade};
use crate::transport::Transport;

/// Where batches go.
#[derive(Debug)]
pub(crate) struct Database {
    transport: Transport,
    /// For errors: a path or a URL.
    name: String,
    upgrade: Upgrade,
    /// Filled once the schema is known to be right. Not at the start, because a server need not be
    /// reachable then.
    schema: OnceCell<()>,
}

impl Database {
    pub(crate) fn new(transport: Transport, name: String, upgrade: Upgrade) -> Self {
        Database { transport, name, upgrade, schema: OnceCell::new() }
    }

    /// Whether it is on a server.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.transport, Transport::Remote(_))
    }

    /// Brings the schema up to date, unless that was done before.
    pub(crate) async fn ready(&self) -> Result<()> {
        let (transport, name) = (&self.transport, &self.name);
        let migrate = || schema::bring_up(transport, schema::MIGRATIONS, name, self.upgrade);
        self.schema.get_or_try_init(migrate).await.copied()
    }

    /// Runs a batch: one round trip, one result per statement.
    pub(crate) async fn run(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        self.ready().await?;
        self.transport.run(batch).await
    }

    /// Runs a read that touches a few rows through an index.
    pub(crate) async fn run_short(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        self.ready().await?;
        self.transport.run_short(batch).await
    }

    /// A number that changes whenever anybody commits; `None` where there is no cheap one.
    pub(crate) async fn data_version(&self) -> Result<Option<i64>> {
        self.transport.data_version().await
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What a remote transport did and where it stands.
    pub(crate) fn remote_metrics(&self) -> Option<&crate::RemoteMetrics> {
        match &self.transport {
            Transport::Remote(remote) => Some(remote.metrics()),
            Transport::Local(_) => None,
        }
    }

    /// Finishes what is queued and lets go of the database.
    pub(crate) async fn close(&self) {
        self.transport.close().await;
    }
}
