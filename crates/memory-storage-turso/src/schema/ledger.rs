//! The ledger: the steps that a database has seen, with the checksum of each.

use memory_core::{Error, Result};

use super::{Migration, fingerprint};
use crate::batch::{Statement, Value};
use crate::columns::Columns;

/// Made with the first step.
pub(super) const CREATE: &str = "\
CREATE TABLE IF NOT EXISTS migrations (
    n          INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT";

const RECORD: &str = "INSERT INTO migrations (n, name, checksum) VALUES (?1, ?2, ?3)";

const ERASE: &str = "DELETE FROM migrations WHERE n = ?1";

/// Tables there are; whether one is our ledger; whether one is that of the older layout.
const TABLES: &str = "SELECT count(*), count(*) FILTER (WHERE name = 'migrations'), \
     count(*) FILTER (WHERE name = 'episodes' AND sql LIKE '%episode_id%' AND sql LIKE '%start_time%') \
     FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
     AND name NOT LIKE 'libsql_%'";

const STEPS: &str = "SELECT n, name, checksum FROM migrations ORDER BY n";

/// What kind of database it is.
pub(crate) enum Kind {
    Empty,
    Ours,
}

/// The first question; answered by [`kind`].
pub(crate) fn tables() -> Statement {
    Statement::new(TABLES, Vec::new())
}

/// Refuses what is not ours. `database` names the database in errors.
pub(crate) fn kind(rows: Vec<Vec<Value>>, database: &str) -> Result<Kind> {
    let mut columns = Columns::new(rows.into_iter().next().unwrap_or_default());
    let (tables, ledger, older) = (columns.integer()?, columns.integer()?, columns.integer()?);
    match (tables, ledger) {
        (0, _) => Ok(Kind::Empty),
        (_, 1..) => Ok(Kind::Ours),
        _ if older > 0 => Err(Error::Refused {
            problem: format!("{database} is a database in the older layout"),
            hint: format!(
                "choose another file or data directory, and take its episodes over with \
                 `memory-mcp migrate --from {database}`; it stays as it is"
            ),
        }),
        _ => Err(foreign(database)),
    }
}

/// The second question, of a database of ours; answered by [`applied`].
pub(crate) fn steps() -> Statement {
    Statement::new(STEPS, Vec::new())
}

/// How many steps the database has seen. Refuses a newer one, and one with another text of a step.
pub(crate) fn applied(
    rows: Vec<Vec<Value>>,
    migrations: &[Migration],
    database: &str,
) -> Result<usize> {
    let count = rows.len();
    for (i, row) in rows.into_iter().enumerate() {
        let mut columns = Columns::new(row);
        let (number, name, checksum) = (columns.integer()?, columns.text()?, columns.text()?);
        let Some(known) = migrations.get(i).filter(|m| m.number == number) else {
            return Err(newer(database, number.max(count as i64), migrations.len()));
        };
        if checksum != fingerprint(known.sql) {
            return Err(Error::Refused {
                problem: format!(
                    "{database} was made with another version of schema step {number} ({name})"
                ),
                hint: "use the memory-mcp that made it, or export there and import here".into(),
            });
        }
    }
    Ok(count)
}

/// Puts a step on record. Fails when it is there already.
pub(super) fn record(migration: &Migration) -> Statement {
    let params = vec![
        Value::Integer(migration.number),
        Value::Text(migration.name.into()),
        Value::Text(fingerprint(migration.sql)),
    ];
    Statement::new(RECORD, params)
}

/// Takes a step off the record.
pub(super) fn erase(migration: &Migration) -> Statement {
    Statement::new(ERASE, vec![Value::Integer(migration.number)])
}

/// The error of a database that is none of ours.
pub(super) fn foreign(database: &str) -> Error {
    Error::Refused {
        problem: format!(
            "{database} is a database of another program: it has tables, but not ours"
        ),
        hint: "choose another data directory or database".into(),
    }
}

fn newer(database: &str, number: i64, known: usize) -> Error {
    Error::Refused {
        problem: format!("{database} has schema {number}, this build knows up to {known}"),
        hint: "upgrade memory-mcp".into(),
    }
}
