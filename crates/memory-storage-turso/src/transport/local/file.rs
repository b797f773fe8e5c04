//! The database file: creating it, refusing what is none, opening connections to it.

use std::fs::DirBuilder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{Error, Result};

use super::connection::Connection;
use super::sql_error::SqlError;
use crate::config::TursoConfig;
use crate::metrics::Metrics;

/// Bytes of the smallest page a database can have (sqlite.org/fileformat2.html).
const SMALLEST_PAGE: u64 = 512;

/// How long a read waits for a lock. Reads are never blocked by writes in WAL mode; what remains is
/// the moment in which somebody opens, recovers or closes the file.
const READ_BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The file with its settings; opens connections.
#[derive(Debug)]
pub(super) struct DataFile {
    path: PathBuf,
    pub(super) config: TursoConfig,
    pub(super) metrics: Arc<Metrics>,
}

impl DataFile {
    /// Checks the settings and creates the directory when absent.
    pub(super) fn new(config: TursoConfig, metrics: Arc<Metrics>) -> Result<Self> {
        config.validate()?;
        // Absolute, because the engine takes some relative names for URIs.
        let path = std::path::absolute(&config.path)
            .map_err(|e| refused(&config.path, "cannot be resolved", &e))?;
        if let Some(directory) = path.parent() {
            create_directory(directory)?;
        }
        Ok(DataFile { path, config, metrics })
    }

    /// The first connection: creates the file when absent, and refuses what is no database or may
    /// not be written, now rather than at the first write.
    ///
    /// The file is never opened but by the engine. Closing any other handle of it would drop the
    /// locks that the engine holds for this process (fcntl locks belong to the process), and another
    /// process would take our connections for gone and delete the log under them.
    pub(super) fn open_first(&self) -> Result<Connection> {
        if self.path.is_dir() {
            let problem = format!("{} is a directory", self.path.display());
            return Err(Error::Refused { problem, hint: "name a file in it".into() });
        }
        // The engine would take a file shorter than a page for an empty one, and fill it.
        if std::fs::metadata(&self.path).is_ok_and(|file| (1..SMALLEST_PAGE).contains(&file.len()))
        {
            return Err(self.no_database());
        }
        if !self.path.exists() {
            Connection::create(&self.path).map_err(|e| self.cannot_open(e))?;
            restrict(&self.path).map_err(|e| refused(&self.path, "cannot be restricted", &e))?;
        }
        // Before the engine takes over what it can, and overwrites the rest.
        super::log_check::warn_of_damage(&self.path);
        self.open_writer().map_err(|e| self.cannot_open(e))
    }

    /// A connection that writes.
    ///
    /// While several processes open a new file at once, each in turn needs it for itself to switch it
    /// to WAL, and is told `busy` meanwhile.
    pub(super) fn open_writer(&self) -> Result<Connection, SqlError> {
        let deadline = Instant::now() + self.config.busy_timeout;
        loop {
            // No busy handler: the writer has its own, with shorter pauses.
            let opened = self.connect(Duration::ZERO).and_then(|mut connection| {
                connection.prepare_for_writing(self.config.synchronous)?;
                // Fails on a file or directory that may only be read.
                connection.execute("BEGIN IMMEDIATE")?;
                connection.execute("ROLLBACK")?;
                Ok(connection)
            });
            match opened {
                Err(e) if e.is_busy() && Instant::now() < deadline => {
                    self.metrics.busy_retries.increment();
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    /// A connection that reads.
    pub(super) fn open_reader(&self) -> Result<Connection, SqlError> {
        let mut connection = self.connect(READ_BUSY_TIMEOUT)?;
        connection.prepare_for_reading()?;
        Ok(connection)
    }

    /// A connection that copies the file: it may write, but only elsewhere.
    pub(super) fn open_copier(&self) -> Result<Connection, SqlError> {
        self.connect(READ_BUSY_TIMEOUT)
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn connect(&self, busy: Duration) -> Result<Connection, SqlError> {
        Connection::open(&self.path, self.config.statement_cache, busy, &self.metrics)
    }

    /// The error of a file that cannot be opened.
    pub(super) fn cannot_open(&self, e: SqlError) -> Error {
        if e.is_no_database() {
            return self.no_database();
        }
        e.into_error(&format!("opening {}", self.path.display()))
    }

    fn no_database(&self) -> Error {
        Error::Refused {
            problem: format!("{} is not a database", self.path.display()),
            hint: "choose another data directory, or move that file away".into(),
        }
    }
}

fn create_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(|e| Error::Refused {
        problem: format!("the directory {} cannot be created: {e}", directory.display()),
        hint: "choose a data directory that you may write to".into(),
    })
}

/// Restricts a file that was just created to its owner. The log files take over its rights.
fn restrict(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, owner_alone)?;
    }
    Ok(())
}

fn refused(path: &Path, what: &str, e: &std::io::Error) -> Error {
    Error::Refused {
        problem: format!("{} {what}: {e}", path.display()),
        hint: "choose a data directory that you may write to".into(),
    }
}
