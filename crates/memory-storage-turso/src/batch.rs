//! One storage operation as a list of SQL statements that a transport runs in one go.

use std::borrow::Cow;

pub use libsql::Value;

/// A statement with its bound parameters (`?1`, `?2`, ...). Values are always bound, never formatted.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text; constant wherever possible, because it is the key of the statement cache.
    pub sql: Cow<'static, str>,
    /// In order.
    pub params: Vec<Value>,
}

impl Statement {
    /// A statement with a constant text.
    pub fn new(sql: &'static str, params: Vec<Value>) -> Self {
        Statement { sql: Cow::Borrowed(sql), params }
    }

    /// Bytes of its parameters, about.
    pub(crate) fn bytes(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 8,
        };
        self.params.iter().map(size).sum()
    }
}

/// What a batch does to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// All statements read, in one snapshot.
    Read,
    /// All statements commit together or not at all (`BEGIN IMMEDIATE`).
    Write,
}

/// Statements that run together, in order: one round trip.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Read or write.
    pub access: Access,
    /// In order.
    pub statements: Vec<Statement>,
}

/// The rows of one statement, and how many rows it changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatementResult {
    /// In order; every row has one value per column.
    pub rows: Vec<Vec<Value>>,
    /// Rows inserted, updated or deleted.
    pub affected: u64,
}
