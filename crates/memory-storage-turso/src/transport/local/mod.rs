//! A libSQL file on this machine: one writer with group commit, a pool of readers.

mod connection;
mod exclusive;
mod file;
mod log_check;
mod scrub;
mod sql_error;
mod stop;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use deadpool::managed::{self, Object, Pool, RecycleResult};
use memory_core::{Error, Result};

use self::connection::Connection;
pub(crate) use self::exclusive::Exclusive;
use self::file::DataFile;
use self::sql_error::SqlError;
use self::stop::{Stop, StopOnDrop};
use self::writer::Writer;
use crate::batch::{Access, Batch, Statement, StatementResult};
use crate::config::TursoConfig;
use crate::metrics::{Metrics, Pool as PoolState};

/// Runs batches on a file.
pub(crate) struct LocalTransport {
    file: Arc<DataFile>,
    writer: Writer,
    readers: Pool<Readers>,
    /// Of its own, because what `data_version` means depends on the connection that asks.
    observer: Mutex<Option<Connection>>,
}

impl fmt::Debug for LocalTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTransport").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Opens readers for the pool.
struct Readers(Arc<DataFile>);

impl managed::Manager for Readers {
    type Type = Connection;
    type Error = SqlError;

    async fn create(&self) -> Result<Connection, SqlError> {
        self.0.open_reader()
    }

    async fn recycle(&self, _: &mut Connection, _: &managed::Metrics) -> RecycleResult<SqlError> {
        Ok(())
    }
}

impl LocalTransport {
    /// Opens the file, creating it when absent. Blocks for some milliseconds.
    pub(crate) fn open(config: TursoConfig, metrics: Arc<Metrics>) -> Result<Self> {
        let file = Arc::new(DataFile::new(config, metrics)?);
        let connection = file.open_first()?;
        let writer = Writer::start(connection, file.clone())?;
        let readers = Pool::builder(Readers(file.clone()))
            .max_size(file.config.readers)
            .build()
            .map_err(|e| engine("the pool of readers", &e))?;
        Ok(LocalTransport { file, writer, readers, observer: Mutex::new(None) })
    }

    /// Runs a batch. Reads run on a thread where they may take their time, and end when nobody waits
    /// for them any more.
    pub(crate) async fn run(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        self.file.metrics.batches.increment();
        match batch.access {
            Access::Write => self.writer.run(batch.statements).await,
            Access::Read => {
                let reader = self.reader().await?;
                let stop = Arc::new(Stop::of(reader.engine()));
                let _waited_for = StopOnDrop(stop.clone());
                offload(move || read(reader, batch.statements, &stop)).await?
            }
        }
    }

    /// Runs a read of microseconds right here.
    pub(crate) async fn run_short(&self, batch: Batch) -> Result<Vec<StatementResult>> {
        self.file.metrics.batches.increment();
        read(self.reader().await?, batch.statements, &Stop::never())
    }

    async fn reader(&self) -> Result<Object<Readers>> {
        let asked = Instant::now();
        let reader = self.readers.get().await;
        self.file.metrics.pool_wait.record((), asked.elapsed());
        reader.map_err(|e| match e {
            managed::PoolError::Backend(e) => self.file.cannot_open(e),
            managed::PoolError::Closed => {
                Error::Unavailable { reason: "the store is closed".into() }
            }
            other => engine("the pool of readers", &other),
        })
    }

    /// How the connections for reads are used now.
    pub(crate) fn pool(&self) -> PoolState {
        let status = self.readers.status();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        PoolState {
            in_use: count(status.size.saturating_sub(status.available)),
            idle: count(status.available),
            limit: count(status.max_size),
            waiting: count(status.waiting),
        }
    }

    /// A number that changes whenever a connection commits, in this process or another.
    pub(crate) fn data_version(&self) -> Result<i64> {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = match observer.take() {
            Some(connection) => connection,
            None => self.file.open_reader().map_err(|e| self.file.cannot_open(e))?,
        };
        let version = connection.data_version().map_err(|e| e.into_error("PRAGMA data_version"))?;
        *observer = Some(connection);
        Ok(version)
    }

    /// Finishes queued writes, closes every connection. Later calls are refused.
    pub(crate) async fn close(&self) {
        self.readers.close();
        if let Some(thread) = self.writer.close() {
            let ended = offload(move || thread.join().is_ok()).await;
            if !matches!(ended, Ok(true)) {
                tracing::error!("the writer thread panicked");
            }
        }
        self.observer.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn read(
    mut reader: Object<Readers>,
    statements: Vec<Statement>,
    stop: &Stop,
) -> Result<Vec<StatementResult>> {
    let result = if stop.is_asked() { Err(SqlError::abandoned()) } else { reader.read(statements) };
    // Before the reader is another's: what stops this read must not stop that one's.
    stop.ended();
    result.map_err(|e| {
        if e.breaks_connection() || !reader.is_autocommit() {
            drop(Object::take(reader));
        }
        e.into_error("a read")
    })
}

/// Runs blocking work on the runtime's blocking threads; right here when there is no runtime.
pub(crate) async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn_blocking(work).await.map_err(|e| engine("a blocking task", &e))
        }
        Err(_) => Ok(work()),
    }
}

fn engine(context: &str, e: &dyn fmt::Display) -> Error {
    Error::Engine { context: context.into(), message: e.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Synchronous;

    fn transport(dir: &tempfile::TempDir, busy_timeout: Duration) -> LocalTransport {
        let config = TursoConfig {
            readers: 1,
            synchronous: Synchronous::Normal,
            busy_timeout,
            ..TursoConfig::at(dir.path().join("memory.db"))
        };
        LocalTransport::open(config, Arc::new(Metrics::default())).unwrap()
    }

    fn batch(access: Access, sql: &'static str) -> Batch {
        Batch { access, statements: vec![Statement::new(sql, Vec::new())] }
    }

    #[tokio::test]
    async fn a_read_that_nobody_waits_for_any_more_ends() {
        let dir = tempfile::tempdir().unwrap();
        let transport = transport(&dir, Duration::from_secs(60));
        // Never ends by itself, and gives no row in which it could be found out.
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       SELECT count(*) FROM n";
        let statements = transport.file.metrics.statements.get();
        {
            let mut read = std::pin::pin!(transport.run(batch(Access::Read, endless)));
            while transport.file.metrics.statements.get() == statements {
                assert!(futures::poll!(&mut read).is_pending());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // There is one reader: the next read gets it once the first has ended.
        let next = transport.run(batch(Access::Read, "SELECT 7")).await.unwrap();
        assert_eq!(next[0].rows, [[crate::batch::Value::Integer(7)]]);
        transport.close().await;
    }

    #[tokio::test]
    async fn a_write_that_nobody_waits_for_any_more_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let transport = transport(&dir, Duration::from_secs(600));
        let write = |sql| transport.run(batch(Access::Write, sql));
        write("CREATE TABLE seen (n)").await.unwrap();
        let mut other = transport.file.open_writer().unwrap();
        other.execute("BEGIN IMMEDIATE").unwrap();
        let retries = transport.file.metrics.busy_retries.get();
        {
            let mut waiting = std::pin::pin!(write("INSERT INTO seen VALUES (1)"));
            while transport.file.metrics.busy_retries.get() == retries {
                assert!(futures::poll!(&mut waiting).is_pending());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        // The writer lets go of it while the lock is still held: then this one is next.
        let mut next = std::pin::pin!(write("INSERT INTO seen VALUES (2)"));
        assert!(futures::poll!(&mut next).is_pending());
        while transport.writer.waiting() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        other.execute("ROLLBACK").unwrap();
        next.await.unwrap();
        let seen = transport.run(batch(Access::Read, "SELECT n FROM seen")).await.unwrap();
        assert_eq!(seen[0].rows, [[crate::batch::Value::Integer(2)]]);
        transport.close().await;
    }
}
