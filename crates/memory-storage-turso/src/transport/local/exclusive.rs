//! A connection of its own, for work that is not a batch: changing the schema, copying the file,
//! cleaning it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memory_core::{Error, Result};

use super::connection::Connection;
use super::file::DataFile;
use super::writer::{begin, rollback};
use super::{LocalTransport, offload};
use crate::backup::{self, Progress};
use crate::batch::{Statement, StatementResult, Value};
use crate::columns::Columns;

/// The file under its write lock: everybody reads on, nobody writes.
pub(crate) struct Exclusive {
    connection: Connection,
    file: Arc<DataFile>,
}

impl LocalTransport {
    /// Runs `work` in one write transaction: committed when it succeeds, else undone.
    pub(crate) async fn exclusively<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Exclusive) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let file = self.file.clone();
        offload(move || {
            let connection = file.open_writer().map_err(|e| file.cannot_open(e))?;
            let mut own = Exclusive { connection, file };
            begin(&mut own.connection, &own.file, || true)
                .map_err(|failure| failure.into_error())?;
            let done = work(&mut own);
            if done.is_err() {
                rollback(&mut own.connection);
                return done;
            }
            if let Err(e) = own.connection.execute("COMMIT") {
                rollback(&mut own.connection);
                return Err(e.into_commit_error());
            }
            done
        })
        .await?
    }

    /// Writes everything that is committed to `path`, sealed as a backup. Others read and write on.
    pub(crate) async fn back_up(
        &self,
        path: PathBuf,
        progress: Arc<Progress>,
    ) -> Result<backup::Sealed> {
        let file = self.file.clone();
        offload(move || back_up(&file, &path, &progress)).await?
    }

    /// Puts the rows of the database `from`, of the same schema, in the place of this one's, under a
    /// new id, in one transaction.
    pub(crate) async fn replace_with(&self, from: PathBuf) -> Result<()> {
        let file = self.file.clone();
        offload(move || {
            let connection = file.open_writer().map_err(|e| file.cannot_open(e))?;
            let mut own = Exclusive { connection, file };
            let from = Value::Text(utf8(&from)?.to_owned());
            own.run(Statement::new("ATTACH ?1 AS source", vec![from]))?;
            begin(&mut own.connection, &own.file, || true)
                .map_err(|failure| failure.into_error())?;
            if let Err(e) = replace(&mut own) {
                rollback(&mut own.connection);
                return Err(e);
            }
            own.connection.execute("COMMIT").map_err(|e| {
                rollback(&mut own.connection);
                e.into_commit_error()
            })?;
            // The log is as long as the database now; where somebody reads, it shrinks later.
            let _ = own.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)");
            Ok(())
        })
        .await?
    }
}

impl Exclusive {
    /// The database file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Runs one statement to its end.
    pub(crate) fn run(&mut self, statement: Statement) -> Result<StatementResult> {
        self.connection.run(statement).map_err(|e| e.into_error("the statement"))
    }

    /// Writes everything that was committed before this transaction to `path`, sealed as a backup.
    pub(crate) fn back_up(&self, path: &Path) -> Result<backup::Sealed> {
        back_up(&self.file, path, &Progress::default())
    }
}

/// Another id, so that nobody takes what was cached of the old content for this one's.
const NEW_ID: &str = "UPDATE main.meta SET value = randomblob(16) WHERE key = 'database'";

fn replace(own: &mut Exclusive) -> Result<()> {
    let tables = backup::tables(|ask| own.run(ask).map(|result| result.rows))?;
    for table in &tables {
        own.run(table.clear())?;
        own.run(table.fill("source"))?;
    }
    own.run(Statement::new(NEW_ID, Vec::new())).map(drop)
}

fn back_up(file: &DataFile, path: &Path, progress: &Progress) -> Result<backup::Sealed> {
    let mut reader = file.open_copier().map_err(|e| file.cannot_open(e))?;
    let size = reader.run(Statement::new(SIZE, Vec::new())).map_err(|e| e.into_error(SIZE))?;
    progress.expect(Columns::first_of(vec![size])?.unsigned()?);
    backup::write(path, |partial| {
        let to = Value::Text(utf8(partial)?.to_owned());
        let copied = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| watch(partial, progress, &copied));
            let copy = reader.run(Statement::new("VACUUM INTO ?1", vec![to]));
            copied.store(true, Ordering::Relaxed);
            copy.map(drop).map_err(|e| e.into_error("copying the database"))
        })
    })
}

/// Bytes of the pages in use.
const SIZE: &str = "\
SELECT (p.page_count - f.freelist_count) * s.page_size \
FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";

/// The engine does not tell how far it is; the length of the file does.
fn watch(partial: &Path, progress: &Progress, copied: &AtomicBool) {
    while !copied.load(Ordering::Relaxed) {
        progress.set(std::fs::metadata(partial).map_or(0, |file| file.len()));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let problem = format!("is \"{}\", which is not UTF-8", path.display());
        Error::invalid("path", problem)
    })
}
