//! Every write as statements that are conditional on each other, and the reading of what they did.
//!
//! A refused write raises no SQL error, because that would undo its neighbours in the same batch. So
//! the first statement decides, the others are conditional on it, and a status SELECT at the end says
//! how it went. "Decided in our favour, just now" has an exact form: the episode carries our write id
//! and the change feed does not know it yet ([`applied!`]). The change record is written last and
//! closes the gate, so a repeated write finds it closed and does nothing.

mod append;
mod feedback;
mod forget;
mod lesson;
mod relate;
pub(crate) mod save;
mod tombstone;

use memory_core::store::{Kept, Scope, Write, Written};
use memory_core::{Error, Result, WriteId};

use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::payload::Payloads;

/// True for the episode `e` that this write, with `?1` its id and `?2` the write id, has just changed.
macro_rules! applied {
    () => {
        "e.id = ?1 AND e.write_id = ?2 \
         AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.id = ?1 AND c.write_id = ?2)"
    };
}
pub(crate) use applied;

/// A write ready to be run.
pub(crate) struct Plan {
    /// In order; the last one is a SELECT of one row.
    pub(crate) statements: Vec<Statement>,
    /// What that row means.
    pub(crate) verdict: Box<dyn Fn(Columns) -> Result<Verdict> + Send + Sync>,
}

/// How a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done.
    Written(Written),
    /// It did nothing: the dictionary that the payload was compressed with is no longer to be used.
    DictionaryRetired,
}

impl Plan {
    fn new(
        statements: Vec<Statement>,
        verdict: impl Fn(Columns) -> Result<Written> + Send + Sync + 'static,
    ) -> Self {
        let verdict = move |row| verdict(row).map(Verdict::Written);
        Plan { statements, verdict: Box::new(verdict) }
    }

    /// Bytes of its parameters.
    pub(crate) fn bytes(&self) -> usize {
        self.statements.iter().map(Statement::bytes).sum()
    }
}

/// Checks a write and turns it into statements. An error means that nothing may be submitted.
pub(crate) fn plan(write: &Write, payloads: &Payloads) -> Result<Plan> {
    match write {
        Write::Save(save) => save::plan(save, payloads),
        Write::AppendSteps(append) => append::plan(append, payloads),
        Write::Forget(forget) => forget::plan(forget),
        Write::Feedback(feedback) => feedback::plan(feedback),
        Write::Relate(relation) => relate::plan(relation),
        Write::PutLesson(record) => lesson::plan(record),
        Write::PutTombstone(tombstone) => tombstone::plan(tombstone),
    }
}

/// `NULL` for every project.
pub(crate) fn scope_value(scope: &Scope) -> Value {
    match scope {
        Scope::All => Value::Null,
        Scope::Project(project) => text(project),
    }
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(crate) fn blob(bytes: &[u8; 16]) -> Value {
    Value::Blob(bytes.to_vec())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number as the database holds it. Beyond 63 bits there is no room.
fn integer(field: &str, n: u64) -> Result<Value> {
    i64::try_from(n)
        .map(Value::Integer)
        .map_err(|_| Error::invalid(field, format!("is {n}, the limit is {}", i64::MAX)))
}

fn optional_integer(n: Option<i64>) -> Value {
    n.map_or(Value::Null, Value::Integer)
}

/// Write ids of writes that bring none: they are idempotent by what they say. Made before the first
/// try, so that a repeated batch carries the same one.
fn own_write_id(at: memory_core::Timestamp) -> Value {
    blob(WriteId::generate(at).as_bytes())
}

/// The project and the texts of what does not come through an episode's own validation.
fn require_text(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "contains a NUL character; remove it"));
    }
    Ok(())
}

fn done(version: u64) -> Result<Written> {
    Ok(Written { version, steps: 0, kept: Kept::Stored })
}
