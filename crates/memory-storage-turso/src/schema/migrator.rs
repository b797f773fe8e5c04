//! Schema changes on request.

use std::path::PathBuf;
use std::sync::Arc;

use memory_core::{Error, Result};

use super::{Down, MIGRATIONS, Migration, migrate};
use crate::config::TursoConfig;
use crate::transport::{LocalTransport, RemoteConfig, RemoteTransport, Transport, offload};

/// A database whose schema is looked at and changed, and nothing else. Opening it changes nothing.
#[derive(Debug)]
pub struct Migrator {
    transport: Transport,
    name: String,
    migrations: &'static [Migration],
}

/// A step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStep {
    /// From 1.
    pub number: usize,
    /// What it is about.
    pub name: &'static str,
    /// Whether the database has seen it.
    pub applied: bool,
    /// Why it cannot be taken back; `None` where it can, as far as is known without trying.
    pub no_way_back: Option<&'static str>,
}

/// What a change of the schema did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaChange {
    /// Steps before; 0: the database was empty.
    pub from: usize,
    /// Steps now.
    pub to: usize,
    /// A file's state before the change, if anything was changed. Servers are not backed up.
    pub backup: Option<PathBuf>,
}

impl Migrator {
    /// On a local file, which must exist.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: there is no such file, or it is no database.
    pub async fn open(config: TursoConfig) -> Result<Self> {
        if !config.path.exists() {
            return Err(Error::Refused {
                problem: format!("there is no database file {}", config.path.display()),
                hint: "`memory-mcp config` shows database.url and data_dir".into(),
            });
        }
        let name = config.path.display().to_string();
        let opened = offload(move || LocalTransport::open(config, Arc::default()));
        let transport = Transport::Local(opened.await??);
        Ok(Migrator { transport, name, migrations: MIGRATIONS })
    }

    /// On a server.
    ///
    /// # Errors
    ///
    /// As [`TursoStore::connect`](crate::TursoStore::connect).
    pub fn connect(config: RemoteConfig) -> Result<Self> {
        let name = config.url.to_string();
        let transport = Transport::Remote(RemoteTransport::new(config)?);
        Ok(Migrator { transport, name, migrations: MIGRATIONS })
    }

    /// Every step this build knows, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the database is one of another program, of a newer schema, or of another
    /// text of a step.
    pub async fn steps(&self) -> Result<Vec<SchemaStep>> {
        let applied = migrate::applied(&self.transport, self.migrations, &self.name).await?;
        let step = |(i, migration): (usize, &Migration)| SchemaStep {
            number: i + 1,
            name: migration.name,
            applied: i < applied,
            no_way_back: match migration.down {
                Down::None(reason) => Some(reason),
                Down::Lossless { .. } => None,
            },
        };
        Ok(self.migrations.iter().enumerate().map(step).collect())
    }

    /// Brings the database to step `to`; `None`: to the last one. All at once or not at all; a file
    /// is backed up before.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: there is no such step. [`Error::Refused`]: as [`steps`](Self::steps), or a
    /// step cannot be taken back.
    pub async fn go(&self, to: Option<usize>) -> Result<SchemaChange> {
        let latest = self.migrations.len();
        let to = to.unwrap_or(latest);
        if !(1..=latest).contains(&to) {
            return Err(Error::invalid("to", format!("is {to}; choose 1 to {latest}")));
        }
        let change = migrate::go(&self.transport, self.migrations, &self.name, to).await?;
        Ok(SchemaChange { from: change.from, to: change.to, backup: change.backup })
    }

    /// Lets go of the database.
    pub async fn close(&self) {
        self.transport.close().await;
    }
}

#[cfg(test)]
impl Migrator {
    /// With steps made for a test.
    pub(super) fn with(self, migrations: &'static [Migration]) -> Self {
        Migrator { migrations, ..self }
    }
}
