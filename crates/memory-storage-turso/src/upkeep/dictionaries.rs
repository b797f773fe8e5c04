//! The dictionaries of the database: learning of them, storing and withdrawing them.
//!
//! On a server, the new ones of a project ride on every batch that names it, in the same round trip as
//! the payloads that may need them. On a file they are asked for when a payload names one that is not
//! known. A payload of another project than the batch names is the rare case in which a server is
//! asked once more.

use memory_core::Result;
use memory_core::envelope::DictionaryId;

use crate::batch::{Batch, Statement, StatementResult, Value};
use crate::columns::Columns;
use crate::payload::{Dictionaries, Dictionary, Known};
use crate::write::{hex, text};

/// The newest ones that are sent unasked; retired ones that still older payloads name are asked for.
const NEW: &str = "\
SELECT n, id, project, retired, bytes FROM dictionaries WHERE project = ?1 AND n > ?2
ORDER BY n DESC LIMIT 4";

const BY_ID: &str = "\
SELECT d.n, d.id, d.project, d.retired, d.bytes
FROM json_each(?1) j CROSS JOIN dictionaries d WHERE d.id = unhex(j.value)";

const PUT: &str = "\
INSERT INTO dictionaries (id, project, episodes, bytes) SELECT ?1, ?2, ?3, ?4
WHERE NOT EXISTS (SELECT 1 FROM dictionaries WHERE project = ?2 AND n > ?5 AND retired = 0)
ON CONFLICT (id) DO NOTHING";

const RETIRE_OLDER: &str = "\
UPDATE dictionaries SET retired = 1 WHERE project = ?1 AND retired = 0 AND id <> ?2
    AND EXISTS (SELECT 1 FROM dictionaries WHERE project = ?1 AND id = ?2)";

const RETIRE: &str = "UPDATE dictionaries SET retired = 1 WHERE project = ?1 AND retired = 0";

const DROP: &str = "DELETE FROM dictionaries WHERE project = ?1 AND retired = 1";

/// The new dictionaries of a project.
pub(crate) fn new_of(project: &str, known: Known) -> Statement {
    let up_to = match known {
        Known::No => 0,
        Known::UpTo(n) => n,
    };
    Statement::new(NEW, vec![text(project), Value::Integer(up_to)])
}

/// The dictionaries that payloads call these.
pub(crate) fn by_id(ids: &[DictionaryId]) -> Statement {
    let ids: Vec<String> = ids.iter().map(|id| hex(id)).collect();
    Statement::new(BY_ID, vec![Value::Text(serde_json::Value::from(ids).to_string())])
}

/// Stores a dictionary unless the project got another one since `newest`, and retires those before.
pub(super) fn put(
    project: &str,
    newest: i64,
    episodes: u64,
    dictionary: &Dictionary,
) -> Vec<Statement> {
    let id = Value::Blob(dictionary.id().to_vec());
    let episodes = Value::Integer(i64::try_from(episodes).unwrap_or(i64::MAX));
    let bytes = Value::Blob(dictionary.bytes().to_vec());
    let put = vec![id.clone(), text(project), episodes, bytes, Value::Integer(newest)];
    vec![Statement::new(PUT, put), Statement::new(RETIRE_OLDER, vec![text(project), id])]
}

/// Lets nobody write with the dictionaries of a project any more.
pub(super) fn retire(project: &str) -> Statement {
    Statement::new(RETIRE, vec![text(project)])
}

/// Deletes the retired dictionaries of a project.
pub(super) fn delete_retired(project: &str) -> Statement {
    Statement::new(DROP, vec![text(project)])
}

/// Takes in what [`new_of`] or [`by_id`] found.
pub(crate) fn learn(known: &Dictionaries, rows: Vec<Vec<Value>>) -> Result<()> {
    for row in rows {
        let mut row = Columns::new(row);
        let (n, _, project) = (row.integer()?, row.blob()?, row.text()?);
        let (retired, bytes) = (row.boolean()?, row.blob()?);
        known.learn(&project, n, retired, Dictionary::new(bytes));
    }
    Ok(())
}

/// Puts the question for new dictionaries of a project behind a batch.
pub(crate) fn mount(known: &Dictionaries, project: &str, batch: &mut Batch) {
    batch.statements.push(new_of(project, known.known(project)));
}

/// Takes the answer to it off the results.
pub(crate) fn dismount(
    known: &Dictionaries,
    project: &str,
    results: &mut Vec<StatementResult>,
) -> Result<()> {
    known.asked(project);
    learn(known, results.pop().map(|result| result.rows).unwrap_or_default())
}
