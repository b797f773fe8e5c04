//! Reading the columns of a result row in order, with errors instead of panics.

use memory_core::{Error, Result};

use crate::batch::{StatementResult, Value};

/// The columns of one row, taken from left to right.
pub(crate) struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    pub(crate) fn new(row: Vec<Value>) -> Self {
        Columns(row.into_iter())
    }

    /// The first row of the first result.
    pub(crate) fn first_of(results: Vec<StatementResult>) -> Result<Self> {
        let row = results.into_iter().next().and_then(|result| result.rows.into_iter().next());
        row.map(Columns::new).ok_or_else(|| unexpected("no row", "one"))
    }

    fn next(&mut self) -> Result<Value> {
        self.0.next().ok_or_else(|| unexpected("the end of the row", "a column"))
    }

    pub(crate) fn optional_integer(&mut self) -> Result<Option<i64>> {
        match self.next()? {
            Value::Integer(n) => Ok(Some(n)),
            Value::Null => Ok(None),
            other => Err(unexpected(kind(&other), "an integer")),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<i64> {
        self.optional_integer()?.ok_or_else(|| unexpected("NULL", "an integer"))
    }

    /// A count or a version: never negative.
    pub(crate) fn unsigned(&mut self) -> Result<u64> {
        u64::try_from(self.integer()?).map_err(|_| unexpected("a negative number", "a count"))
    }

    pub(crate) fn boolean(&mut self) -> Result<bool> {
        Ok(self.integer()? != 0)
    }

    pub(crate) fn real(&mut self) -> Result<f64> {
        match self.next()? {
            Value::Real(x) => Ok(x),
            // Over HTTP a real without a fraction may come back as an integer.
            Value::Integer(n) => Ok(n as f64),
            other => Err(unexpected(kind(&other), "a number")),
        }
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>> {
        match self.next()? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            other => Err(unexpected(kind(&other), "a text")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        self.optional_text()?.ok_or_else(|| unexpected("NULL", "a text"))
    }

    pub(crate) fn optional_blob(&mut self) -> Result<Option<Vec<u8>>> {
        match self.next()? {
            Value::Blob(bytes) => Ok(Some(bytes)),
            Value::Null => Ok(None),
            other => Err(unexpected(kind(&other), "bytes")),
        }
    }

    pub(crate) fn blob(&mut self) -> Result<Vec<u8>> {
        self.optional_blob()?.ok_or_else(|| unexpected("NULL", "bytes"))
    }

    /// The 16 bytes of an id.
    pub(crate) fn optional_id(&mut self) -> Result<Option<[u8; 16]>> {
        let blob = self.optional_blob()?;
        blob.map(|b| b.try_into().map_err(|_| unexpected("bytes", "16 bytes of an id"))).transpose()
    }

    pub(crate) fn id(&mut self) -> Result<[u8; 16]> {
        self.optional_id()?.ok_or_else(|| unexpected("NULL", "an id"))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "a text",
        Value::Blob(_) => "bytes",
    }
}

fn unexpected(found: &str, wanted: &str) -> Error {
    Error::Corrupt {
        thing: "the database".into(),
        problem: format!("a result holds {found} where {wanted} was expected"),
        hint: "restore it from a backup or an export",
    }
}
