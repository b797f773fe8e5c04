//! A connection of its own, for work that is not a batch: changing the schema, copying the file,
//! cleaning it.

use std::path::Path;

use memory_core::{Error, Result};

use super::connection::Connection;
use super::file::DataFile;
use super::writer::{begin, rollback};
use super::{LocalTransport, offload};
use crate::backup;
use crate::batch::{Statement, StatementResult, Value};

/// The file under its write lock: everybody reads on, nobody writes.
pub(crate) struct Exclusive {
    connection: Connection,
    file: std::sync::Arc<DataFile>,
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
            begin(&mut own.connection, &own.file).map_err(|failure| failure.into_error())?;
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
    pub(crate) async fn back_up(&self, path: std::path::PathBuf) -> Result<backup::Sealed> {
        let file = self.file.clone();
        offload(move || back_up(&file, &path)).await?
    }
}

impl Exclusive {
    /// The database file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Runs one statement to its end.
    pub(crate) fn run(&mut self, statement: &Statement) -> Result<StatementResult> {
        self.connection.run(statement).map_err(|e| e.into_error("the statement"))
    }

    /// Writes everything that was committed before this transaction to `path`, sealed as a backup.
    pub(crate) fn back_up(&self, path: &Path) -> Result<backup::Sealed> {
        back_up(&self.file, path)
    }
}

fn back_up(file: &DataFile, path: &Path) -> Result<backup::Sealed> {
    let mut reader = file.open_copier().map_err(|e| file.cannot_open(e))?;
    backup::write(path, |partial| {
        let Some(partial) = partial.to_str() else {
            let problem = format!("is \"{}\", which is not UTF-8", partial.display());
            return Err(Error::invalid("backup file", problem));
        };
        let copy = Statement::new("VACUUM INTO ?1", vec![Value::Text(partial.to_owned())]);
        reader.run(&copy).map(drop).map_err(|e| e.into_error("copying the database"))
    })
}
