//! One connection with its prepared statements.

use std::borrow::Cow;
use std::future::Future;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libsql::params::Params;
use lru::LruCache;

use super::sql_error::SqlError;
use crate::batch::{Statement, StatementResult, Value};
use crate::config::Synchronous;
use crate::metrics::Metrics;

/// A connection to the file. Not shared: two users would share its transaction.
pub(super) struct Connection {
    // Dropped first: a statement must not outlive its connection.
    statements: LruCache<Cow<'static, str>, libsql::Statement>,
    /// False: every statement is prepared anew, and only the one in use is held.
    caches: bool,
    engine: libsql::Connection,
    metrics: Arc<Metrics>,
}

/// Polls a future of the engine's local mode. Those are async in name only: they block and are then
/// ready, so there is nothing to wait for.
fn ready<F: Future<Output = libsql::Result<T>>, T>(call: F) -> Result<T, SqlError> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map_err(SqlError::from),
        Poll::Pending => Err(SqlError::other("a local call of the engine did not finish")),
    }
}

impl Connection {
    /// Opens the file, which must exist. `busy` is how long a statement waits for a lock.
    pub(super) fn open(
        path: &Path,
        cached: usize,
        busy: Duration,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, SqlError> {
        let flags = libsql::OpenFlags::SQLITE_OPEN_READ_WRITE;
        let database = ready(libsql::Builder::new_local(path).flags(flags).build())?;
        let engine = database.connect()?;
        engine.busy_timeout(busy)?;
        metrics.connections.increment();
        let caches = cached > 0;
        let statements = LruCache::new(NonZeroUsize::new(cached).unwrap_or(NonZeroUsize::MIN));
        let mut connection = Connection { statements, caches, engine, metrics: metrics.clone() };
        connection.execute("PRAGMA temp_store = MEMORY")?;
        Ok(connection)
    }

    /// Creates an empty file.
    pub(super) fn create(path: &Path) -> Result<(), SqlError> {
        let flags =
            libsql::OpenFlags::SQLITE_OPEN_READ_WRITE | libsql::OpenFlags::SQLITE_OPEN_CREATE;
        let database = ready(libsql::Builder::new_local(path).flags(flags).build())?;
        database.connect().map(drop).map_err(SqlError::from)
    }

    /// Makes this the connection that writes: WAL, the durability asked for, and a log that shrinks
    /// again after a burst.
    pub(super) fn prepare_for_writing(&mut self, durability: Synchronous) -> Result<(), SqlError> {
        let mode = self.execute("PRAGMA journal_mode = WAL")?;
        if !matches!(first_value(&mode), Some(Value::Text(mode)) if mode == "wal") {
            return Err(SqlError::other(
                "the file system does not support write-ahead logging; put the data directory on a \
                 local disk",
            ));
        }
        self.execute(match durability {
            Synchronous::Full => "PRAGMA synchronous = FULL",
            Synchronous::Normal => "PRAGMA synchronous = NORMAL",
        })?;
        self.execute("PRAGMA journal_size_limit = 67108864")?;
        Ok(())
    }

    /// Makes this a connection that only reads.
    pub(super) fn prepare_for_reading(&mut self) -> Result<(), SqlError> {
        self.execute("PRAGMA query_only = ON").map(drop)
    }

    /// A number that differs from the last one read here when another connection has committed.
    pub(super) fn data_version(&mut self) -> Result<i64, SqlError> {
        match first_value(&self.execute("PRAGMA data_version")?) {
            Some(Value::Integer(version)) => Ok(*version),
            other => Err(SqlError::other(format!("PRAGMA data_version gave {other:?}"))),
        }
    }

    /// Runs a statement without parameters.
    pub(super) fn execute(&mut self, sql: &'static str) -> Result<StatementResult, SqlError> {
        self.run(Statement::new(sql, Vec::new()))
    }

    /// Runs statements in one read transaction: they see the same snapshot.
    pub(super) fn read(&mut self, list: Vec<Statement>) -> Result<Vec<StatementResult>, SqlError> {
        if list.len() == 1 {
            return list.into_iter().map(|only| self.run(only)).collect();
        }
        self.execute("BEGIN")?;
        let results: Result<Vec<_>, SqlError> =
            list.into_iter().map(|statement| self.run(statement)).collect();
        let ended = self.execute(if results.is_ok() { "COMMIT" } else { "ROLLBACK" });
        results.and_then(|results| ended.map(|_| results))
    }

    /// Runs one statement to its end.
    pub(super) fn run(&mut self, statement: Statement) -> Result<StatementResult, SqlError> {
        self.metrics.statements.increment();
        let before = self.engine.total_changes();
        // The engine panics on text that is not UTF-8. That is damage, and must not end the server.
        let rows = catch_unwind(AssertUnwindSafe(|| self.rows(statement)))
            .unwrap_or_else(|_| Err(SqlError::panicked()))?;
        // `changes()` alone would repeat the count of an earlier statement after a SELECT.
        let wrote = self.engine.total_changes() != before;
        let affected = if wrote { self.engine.changes() } else { 0 };
        Ok(StatementResult { rows, affected })
    }

    fn rows(&mut self, statement: Statement) -> Result<Vec<Vec<Value>>, SqlError> {
        let Statement { sql, params } = statement;
        let prepared = self.prepared(sql)?;
        if prepared.parameter_count() != params.len() {
            return Err(SqlError::other(format!(
                "a statement with {} parameters was given {}",
                prepared.parameter_count(),
                params.len()
            )));
        }
        // Whatever way this ends the statement is reset: executed again without it, it would quietly
        // reuse the old parameters, and left in the middle of its rows it would hold a snapshot open.
        let running = Reset(prepared);
        let mut cursor = ready(running.0.query(Params::Positional(params)))?;
        let mut rows = Vec::new();
        while let Some(row) = ready(cursor.next())? {
            rows.push(
                (0..row.column_count()).map(|i| row.get_value(i)).collect::<libsql::Result<_>>()?,
            );
        }
        Ok(rows)
    }

    fn prepared(&mut self, sql: Cow<'static, str>) -> Result<&libsql::Statement, SqlError> {
        // The engine looks at the value of a parameter that is all of a LIMIT, and therefore compiles
        // such a statement again at every execution (SQLite 3.47, `sqlite3ExprIsInteger`). Behind a
        // plus sign it does not.
        debug_assert!(!sql.contains("LIMIT ?"), "{sql}");
        if self.caches && self.statements.contains(&sql) {
            self.metrics.reused.increment();
        } else {
            self.metrics.prepared.increment();
            let prepared = ready(self.engine.prepare(&sql))?;
            self.statements.put(sql.clone(), prepared);
        }
        self.statements
            .get(&sql)
            .ok_or_else(|| SqlError::other("the statement cache lost a statement"))
    }

    /// The engine's connection, to interrupt it with.
    pub(super) fn engine(&self) -> libsql::Connection {
        self.engine.clone()
    }

    /// False inside a transaction.
    pub(super) fn is_autocommit(&self) -> bool {
        self.engine.is_autocommit()
    }
}

struct Reset<'a>(&'a libsql::Statement);

impl Drop for Reset<'_> {
    fn drop(&mut self) {
        self.0.reset();
    }
}

fn first_value(result: &StatementResult) -> Option<&Value> {
    result.rows.first()?.first()
}
