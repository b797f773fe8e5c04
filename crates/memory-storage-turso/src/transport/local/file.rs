//! The database file: creating it, refusing what is none, opening connections to it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{Error, Result};

use super::connection::Connection;
use super::sql_error::SqlError;
use crate::config::TursoConfig;
use crate::metrics::Metrics;

/// What every SQLite database begins with (sqlite.org/fileformat2.html).
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

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
    /// Checks the file, creating it and its directory when absent.
    pub(super) fn new(config: TursoConfig, metrics: Arc<Metrics>) -> Result<Self> {
        config.validate()?;
        // Absolute, because the engine takes some relative names for URIs.
        let path = std::path::absolute(&config.path)
            .map_err(|e| refused(&config.path, "cannot be resolved", &e))?;
        if let Some(directory) = path.parent() {
            create_directory(directory)?;
        }
        create_file(&path)?;
        Ok(DataFile { path, config, metrics })
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

    fn connect(&self, busy: Duration) -> Result<Connection, SqlError> {
        Connection::open(&self.path, self.config.statement_cache, busy, &self.metrics)
    }

    /// The error of a file that cannot be opened.
    pub(super) fn cannot_open(&self, e: SqlError) -> Error {
        e.into_error(&format!("opening {}", self.path.display()))
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

/// Opens the file for writing, so that missing rights show now and not at the first write.
fn create_file(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|e| refused(path, "cannot be opened", &e))?;
    check_magic(path, &mut file)
}

fn check_magic(path: &Path, file: &mut File) -> Result<()> {
    let mut magic = [0; 16];
    match file.read_exact(&mut magic) {
        Ok(()) if &magic == SQLITE_MAGIC => return Ok(()),
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
            let length = file.metadata().map_err(|e| refused(path, "cannot be read", &e))?.len();
            // Empty: just created, here or by another process that is about to fill it.
            if length == 0 {
                return Ok(());
            }
        }
        Err(e) => return Err(refused(path, "cannot be read", &e)),
    }
    Err(Error::Refused {
        problem: format!("{} is not a database", path.display()),
        hint: "choose another data directory, or move that file away".into(),
    })
}

fn refused(path: &Path, what: &str, e: &std::io::Error) -> Error {
    Error::Refused {
        problem: format!("{} {what}: {e}", path.display()),
        hint: "choose a data directory that you may write to".into(),
    }
}
