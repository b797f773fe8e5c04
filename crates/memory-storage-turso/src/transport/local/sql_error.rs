//! Engine errors, and what they mean to a caller.

use std::fmt;

use memory_core::Error;

/// Primary result codes (sqlite.org/rescode.html) that are told apart.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
const READONLY: i32 = 8;
const INTERRUPT: i32 = 9;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const TOOBIG: i32 = 18;
const NOTADB: i32 = 26;

/// Extended: a write came back short or with an error, as on a full quota.
const IOERR_WRITE: i32 = IOERR | 3 << 8;

/// A failed call of the engine, with the extended result code; 0 when there is none.
#[derive(Debug, Clone)]
pub(super) struct SqlError {
    code: i32,
    message: String,
}

impl From<libsql::Error> for SqlError {
    fn from(e: libsql::Error) -> Self {
        match e {
            libsql::Error::SqliteFailure(code, message) => SqlError { code, message },
            // It names the code in its text only; in practice it is always this one.
            libsql::Error::ConnectionFailed(message) => SqlError { code: CANTOPEN, message },
            other => SqlError::other(other.to_string()),
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl SqlError {
    pub(super) fn other(message: impl Into<String>) -> Self {
        SqlError { code: 0, message: message.into() }
    }

    /// Somebody is in the way, as a result says and not a code.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        SqlError { code: BUSY, message: message.into() }
    }

    /// The engine panicked: it does so on text that is not UTF-8, which only damage can bring about.
    pub(super) fn panicked() -> Self {
        SqlError { code: CORRUPT, message: "a stored value could not be read".into() }
    }

    /// Nobody waits for it any more.
    pub(super) fn abandoned() -> Self {
        SqlError { code: INTERRUPT, message: "nobody waits for it any more".into() }
    }

    fn primary(&self) -> i32 {
        self.code & 0xff
    }

    /// Somebody else holds the lock; the same call may succeed in a moment.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.primary(), BUSY | LOCKED)
    }

    /// The file's content is something else.
    pub(super) fn is_no_database(&self) -> bool {
        self.primary() == NOTADB
    }

    /// After this the state of the connection, or of what it wrote, cannot be trusted.
    pub(super) fn breaks_connection(&self) -> bool {
        matches!(self.primary(), NOMEM | IOERR | CORRUPT | FULL | NOTADB | READONLY | CANTOPEN)
    }

    /// The error of a statement that took no effect.
    pub(super) fn into_error(self, doing: &str) -> Error {
        let reason = self.to_string();
        let refused = |hint: &str| Error::Refused {
            problem: format!("{doing} was refused: {reason}"),
            hint: hint.into(),
        };
        match self.primary() {
            BUSY | LOCKED => {
                Error::Unavailable { reason: format!("another process holds the file: {reason}") }
            }
            FULL => refused("free some disk space; writing resumes by itself"),
            READONLY => refused("make the database file and its directory writable"),
            CANTOPEN => refused("check that the directory exists and may be read and written"),
            TOOBIG => refused("store less in one episode"),
            IOERR => refused("check the disk and its free space, then repeat"),
            CORRUPT | NOTADB => Error::Corrupt {
                thing: "the database file".into(),
                problem: format!("{doing}: {reason}"),
                // The engine says the same of a disk that failed to read once.
                hint: "repeat it; if that stays, `memory-mcp verify` says what is affected: restore it \
                       from a backup or an export",
            },
            _ => Error::Engine { context: doing.into(), message: reason },
        }
    }

    /// The error of a commit that failed. After a failed sync its records may be on the disk, and a
    /// crash may bring them back. What could not be written in full is not: the record that ends a
    /// transaction is the last to be written, and carries a checksum.
    pub(super) fn into_commit_error(self) -> Error {
        match self.primary() {
            IOERR | NOMEM if self.code != IOERR_WRITE => {
                Error::Unknown { reason: format!("the commit failed: {self}") }
            }
            _ => self.into_error("the commit"),
        }
    }
}
