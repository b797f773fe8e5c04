//! Which backup an empty database is being filled from, so that what was interrupted can go on.

use memory_core::{Error, Result};

use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::transport::Transport;

/// Only an empty database gets the mark, and only one.
const MARK: &str = "\
INSERT INTO meta (key, value) SELECT 'restoring', ?1
WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'restoring')
    AND NOT EXISTS (SELECT 1 FROM episodes) AND NOT EXISTS (SELECT 1 FROM lessons)
    AND NOT EXISTS (SELECT 1 FROM tombstones) AND NOT EXISTS (SELECT 1 FROM feedback)
    AND NOT EXISTS (SELECT 1 FROM relations)";

const READ_MARK: &str = "SELECT (SELECT value FROM meta WHERE key = 'restoring')";

const UNMARK: &str = "DELETE FROM meta WHERE key = 'restoring' AND value = ?1";

/// What was cached of the empty database is none of the full one's.
const NEW_ID: &str = "UPDATE meta SET value = randomblob(16) WHERE key = 'database'";

/// Marks an empty database as being filled from the backup with this checksum. `Ok` also when it has
/// that mark already.
pub(crate) async fn begin(transport: &Transport, sha256: &str, name: &str) -> Result<()> {
    let mark = mark(sha256);
    let put = Statement::new(MARK, vec![mark.clone()]);
    let statements = vec![put, Statement::new(READ_MARK, Vec::new())];
    let results = transport.run(Batch { access: Access::Write, statements }).await?;
    let found = Columns::first_of(results.into_iter().skip(1).collect())?.optional_blob()?;
    match found {
        Some(found) if Value::Blob(found.clone()) == mark => Ok(()),
        Some(_) => Err(Error::Refused {
            problem: format!("{name} is half filled from another backup"),
            hint: "run that restore again to its end, or choose an empty database".into(),
        }),
        None => Err(Error::Refused {
            problem: format!("{name} is not empty"),
            hint: "a server is restored into an empty database only; `memory-mcp copy` merges"
                .into(),
        }),
    }
}

/// Takes the mark off.
pub(crate) async fn end(transport: &Transport, sha256: &str) -> Result<()> {
    let statements =
        vec![Statement::new(UNMARK, vec![mark(sha256)]), Statement::new(NEW_ID, Vec::new())];
    transport.run(Batch { access: Access::Write, statements }).await.map(drop)
}

fn mark(sha256: &str) -> Value {
    Value::Blob(sha256.as_bytes().to_vec())
}
