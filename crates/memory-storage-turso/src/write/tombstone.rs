//! Putting a tombstone as exported.

use memory_core::store::Tombstone;
use memory_core::{Error, Result};

use super::forget::deletion;
use super::{Plan, blob, done, integer, require_text, text};
use crate::batch::{Statement, Value};

/// An episode that went on to a higher version than the one forgotten stays.
const PUT: &str = "\
INSERT INTO tombstones (id, project, version, at)
SELECT ?1, ?2, ?3, ?4
WHERE NOT EXISTS (SELECT 1 FROM episodes WHERE id = ?1 AND (version > ?3 OR project <> ?2))
ON CONFLICT (id) DO NOTHING";

const STATUS: &str = "\
SELECT EXISTS (SELECT 1 FROM tombstones WHERE id = ?1 AND project = ?2),
    (SELECT version FROM episodes WHERE id = ?1 AND project = ?2)";

pub(super) fn plan(tombstone: &Tombstone) -> Result<Plan> {
    require_text("project", &tombstone.project)?;
    let (id, project) = (blob(tombstone.id.as_bytes()), text(&tombstone.project));
    let version = integer("version", tombstone.version)?;
    let put = vec![id.clone(), project.clone(), version.clone(), Value::Integer(tombstone.at.0)];
    let mut statements = vec![Statement::new(PUT, put)];
    statements.extend(deletion(tombstone.id, tombstone.at, project.clone(), version));
    statements.push(Statement::new(STATUS, vec![id, project]));
    let (id, version) = (tombstone.id, tombstone.version);
    Ok(Plan::new(statements, move |mut row| {
        let (there, current) = (row.boolean()?, row.optional_integer()?);
        if there {
            return done(version);
        }
        let current = current.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Err(Error::Conflict { id, base: version, current })
    }))
}
