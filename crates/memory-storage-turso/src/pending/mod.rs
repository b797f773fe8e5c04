//! `pending.db`: writes accepted on this machine that the database does not have yet.
//!
//! A small libSQL file of its own, in which every commit survives power loss, shared by all processes
//! of the machine. It only keeps and orders; who delivers, and when, is decided by its users.
//!
//! - `entry`: what waits, as it is stored
//! - `journal`: steps of running episodes
//! - `outbox`: writes of any kind; delivering, listing, retrying, dropping
//! - `target`: which database something waits for, and who may deliver

mod entry;
mod journal;
mod outbox;
mod target;

use std::path::PathBuf;
use std::sync::Arc;

use memory_core::{EpisodeId, Result, Timestamp};

pub use entry::{Entry, EntryState, Settled, Settlement};
pub use journal::{Head, Journaling};
pub use outbox::{Closed, PendingCounts};
pub use target::Target;

use crate::batch::{Access, Batch, Statement, StatementResult, Value};
use crate::config::TursoConfig;
use crate::metrics::Metrics;
use crate::schema::{self, Down, Migration, Upgrade};
use crate::transport::{LocalTransport, Transport, offload};

const MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "pending",
    sql: include_str!("migrations/0001_pending.sql"),
    down: Down::None("it makes the tables"),
}];

/// How long a delivered write is remembered, to recognise a repetition of it.
const REMEMBERED_US: i64 = 3600 * 1_000_000;

/// Settings of a [`PendingFile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFileConfig {
    /// The file; created with its directory when absent.
    pub path: PathBuf,
    /// Writes that may wait; more are refused.
    pub max_entries: u64,
    /// Bytes of writes that may wait; more are refused.
    pub max_bytes: u64,
}

impl Default for PendingFileConfig {
    fn default() -> Self {
        PendingFileConfig {
            path: PathBuf::from("pending.db"),
            max_entries: 10_000,
            max_bytes: 256 << 20,
        }
    }
}

/// The file, open.
#[derive(Debug)]
pub struct PendingFile {
    transport: Transport,
    max_entries: u64,
    max_bytes: u64,
}

impl PendingFile {
    /// Opens the file, creating it when absent, and brings it to this build's schema.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`](memory_core::Error::Refused): it cannot be written, is no database, one of
    /// another program, or one of a newer schema.
    pub async fn open(config: PendingFileConfig) -> Result<Self> {
        let name = config.path.display().to_string();
        let file = TursoConfig { readers: 2, ..TursoConfig::at(config.path) };
        let opened = offload(move || LocalTransport::open(file, Arc::new(Metrics::default())));
        let transport = Transport::Local(opened.await??);
        schema::bring_up(&transport, MIGRATIONS, &name, Upgrade::Auto).await?;
        let PendingFileConfig { max_entries, max_bytes, .. } = config;
        Ok(PendingFile { transport, max_entries, max_bytes })
    }

    /// Drops every write to these episodes, delivered or not, and leaves nothing of them, nor of
    /// anything dropped before, in the file.
    ///
    /// # Errors
    ///
    /// As [`Maintenance::scrub`](crate::Maintenance::scrub).
    pub async fn purge(&self, episodes: &[EpisodeId]) -> Result<()> {
        let statements = ["entries", "heads"].map(|table| {
            let sql = format!(
                "DELETE FROM {table} WHERE episode IN (SELECT unhex(value) FROM json_each(?1))"
            );
            Statement { sql: sql.into(), params: vec![id_list(episodes)] }
        });
        self.write(statements.into()).await?;
        match &self.transport {
            Transport::Local(local) => local.scrub().await,
            Transport::Remote(_) => Ok(()),
        }
    }

    /// A number that changes whenever anybody writes to the file.
    pub async fn data_version(&self) -> Result<i64> {
        Ok(self.transport.data_version().await?.unwrap_or(0))
    }

    /// Finishes the writes that wait and lets go of the file. Later calls are refused.
    pub async fn close(&self) {
        self.transport.close().await;
    }

    /// What the engine finds wrong with the file.
    pub async fn problems(&self) -> Result<Vec<String>> {
        Ok(crate::verify::file_problems(&self.transport).await?.unwrap_or_default())
    }

    async fn read(&self, statement: Statement) -> Result<Vec<Vec<Value>>> {
        let batch = Batch { access: Access::Read, statements: vec![statement] };
        let results = self.transport.run_short(batch).await?;
        Ok(results.into_iter().flat_map(|result| result.rows).collect())
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<Vec<StatementResult>> {
        self.transport.run(Batch { access: Access::Write, statements }).await
    }
}

fn limit(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

fn at(time: Timestamp) -> Value {
    Value::Integer(time.0)
}

fn id(id: EpisodeId) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

/// `ids` for `json_each`, to be compared with `hex(column)`'s opposite, `unhex(value)`.
fn id_list(ids: &[EpisodeId]) -> Value {
    let ids: Vec<String> = ids.iter().map(|id| crate::write::hex(id.as_bytes())).collect();
    Value::Text(serde_json::Value::from(ids).to_string())
}
