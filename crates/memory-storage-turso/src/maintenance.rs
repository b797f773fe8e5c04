//! Work on a database as a whole: its schema, backups, restoring, leaving no trace of what is forgotten.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::{Error, Result};

use crate::backup::{self, Progress, Sealed, Unpacked};
use crate::batch::{Access, Batch, Statement};
use crate::config::TursoConfig;
use crate::schema::{self, Down, MIGRATIONS, Migration};
use crate::transport::{LocalTransport, RemoteConfig, RemoteTransport, Transport, offload};

/// A deleted row's words stay in the index until the segments that hold them are merged.
const MERGE_TEXT: &str = "INSERT INTO episode_text (episode_text) VALUES ('optimize')";

/// A database that is worked on as a whole. Opening it changes nothing of it, not even an old schema.
#[derive(Debug)]
pub struct Maintenance {
    pub(crate) transport: Transport,
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

impl Maintenance {
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
        Self::open_or_create(config).await
    }

    /// On a local file, which is created when absent.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: it cannot be created, or is no database.
    pub async fn open_or_create(config: TursoConfig) -> Result<Self> {
        let name = config.path.display().to_string();
        let opened = offload(move || LocalTransport::open(config, Arc::default()));
        let transport = Transport::Local(opened.await??);
        Ok(Maintenance { transport, name, migrations: MIGRATIONS })
    }

    /// On a server.
    ///
    /// # Errors
    ///
    /// As [`TursoStore::connect`](crate::TursoStore::connect).
    pub fn connect(config: RemoteConfig) -> Result<Self> {
        let name = config.url.to_string();
        let transport = Transport::Remote(RemoteTransport::new(config)?);
        Ok(Maintenance { transport, name, migrations: MIGRATIONS })
    }

    /// Every step this build knows, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the database is one of another program, of a newer schema, or of another
    /// text of a step.
    pub async fn steps(&self) -> Result<Vec<SchemaStep>> {
        let applied = schema::applied(&self.transport, self.migrations, &self.name).await?;
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
    pub async fn migrate(&self, to: Option<usize>) -> Result<SchemaChange> {
        let latest = self.migrations.len();
        let to = to.unwrap_or(latest);
        if !(1..=latest).contains(&to) {
            return Err(Error::invalid("to", format!("is {to}; choose 1 to {latest}")));
        }
        let change = schema::go(&self.transport, self.migrations, &self.name, to).await?;
        Ok(SchemaChange { from: change.from, to: change.to, backup: change.backup })
    }

    /// Writes the database to the new file `path`, consistent, while others read and write on: a
    /// database file with a seal behind it, at the schema that the database has.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: there is something at `path`, or it cannot be written, or the database is
    /// none of ours. Those of the database.
    pub async fn back_up(&self, path: &Path, progress: &Arc<Progress>) -> Result<Sealed> {
        match &self.transport {
            Transport::Local(local) => {
                schema::applied(&self.transport, self.migrations, &self.name).await?;
                local.back_up(path.to_owned(), progress.clone()).await
            }
            Transport::Remote(remote) => {
                backup::download(remote, self.migrations, &self.name, path, progress).await
            }
        }
    }

    /// Puts the content of a backup in the place of a file's, in one transaction. Other processes see
    /// the old content until then and the new one from then on; what they have cached is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the database is on a server, or none of ours.
    pub async fn restore(&self, backup: &Unpacked) -> Result<()> {
        let Transport::Local(local) = &self.transport else {
            return Err(Error::Refused {
                problem: "the content of a server cannot be replaced at once".into(),
                hint: "restore into an empty database".into(),
            });
        };
        schema::go(&self.transport, self.migrations, &self.name, self.migrations.len()).await?;
        local.replace_with(backup.path().to_owned()).await
    }

    /// Marks an empty database as being filled from `backup`, record by record. Succeeds again until
    /// [`end_filling`](Self::end_filling), so that what was interrupted can go on.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: it is not empty, or another backup's restore is not finished.
    pub async fn begin_filling(&self, backup: &Unpacked) -> Result<()> {
        schema::go(&self.transport, self.migrations, &self.name, self.migrations.len()).await?;
        backup::fill::begin(&self.transport, &backup.sealed.sha256, &self.name).await
    }

    /// Says that everything of `backup` is there, and gives the database a new id.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn end_filling(&self, backup: &Unpacked) -> Result<()> {
        backup::fill::end(&self.transport, &backup.sealed.sha256).await
    }

    /// Leaves nothing of what was deleted: the text index is merged, so that deleted words go, and a
    /// file is written anew with an empty log. Takes about as long as copying the file.
    ///
    /// On a server only the index is: its free pages and its log are its operator's.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`]: another process reads an old state of the file; repeat it.
    pub async fn scrub(&self) -> Result<()> {
        let statements = vec![Statement::new(MERGE_TEXT, Vec::new())];
        self.transport.run(Batch { access: Access::Write, statements }).await?;
        match &self.transport {
            Transport::Local(local) => local.scrub().await,
            Transport::Remote(_) => Ok(()),
        }
    }

    /// Lets go of the database.
    pub async fn close(&self) {
        self.transport.close().await;
    }
}

#[cfg(test)]
impl Maintenance {
    /// With steps made for a test.
    pub(crate) fn with(self, migrations: &'static [Migration]) -> Self {
        Maintenance { migrations, ..self }
    }
}
