//! Brings a database to this build's schema.

use memory_core::{Error, Result};
use sha2::{Digest, Sha256};

use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::transport::Transport;

/// One numbered step of a schema.
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// Every step of the durable store, in order.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "episodes", sql: include_str!("migrations/0001_episodes.sql") },
    Migration {
        number: 2,
        name: "dictionaries",
        sql: include_str!("migrations/0002_dictionaries.sql"),
    },
];

const CREATE_LEDGER: &str = "\
CREATE TABLE IF NOT EXISTS migrations (
    n          INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT";

const RECORD: &str = "INSERT INTO migrations (n, name, checksum) VALUES (?1, ?2, ?3)";

const TABLES: &str = "SELECT count(*), count(*) FILTER (WHERE name = 'migrations') \
     FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
     AND name NOT LIKE 'libsql_%'";

/// Applies what is missing of `migrations`. `database` names the database in errors.
pub(crate) async fn migrate(
    transport: &Transport,
    migrations: &[Migration],
    database: &str,
) -> Result<()> {
    let applied = applied(transport, migrations, database).await?;
    for migration in migrations.iter().skip(applied) {
        if let Err(e) = apply(transport, migration).await {
            // Another process may have been quicker; then its record made ours fail, and all is well.
            if self::applied(transport, migrations, database).await? < migration.number as usize {
                return Err(e);
            }
        }
    }
    Ok(())
}

/// How many steps the database has seen. Refuses one that is not ours, newer, or different.
async fn applied(transport: &Transport, migrations: &[Migration], database: &str) -> Result<usize> {
    let (tables, ledger) = tables(transport).await?;
    if !ledger {
        return if tables == 0 { Ok(0) } else { Err(foreign(database)) };
    }
    let select = Statement::new("SELECT n, name, checksum FROM migrations ORDER BY n", vec![]);
    let read = Batch { access: Access::Read, statements: vec![select] };
    let rows = match transport.run(read).await {
        Ok(results) => results.into_iter().flat_map(|result| result.rows).collect::<Vec<_>>(),
        Err(Error::Engine { .. }) => return Err(foreign(database)),
        Err(e) => return Err(e),
    };
    for (i, row) in rows.iter().enumerate() {
        let mut columns = Columns::new(row.clone());
        let (number, name, checksum) = (columns.integer()?, columns.text()?, columns.text()?);
        let Some(known) = migrations.get(i).filter(|m| m.number == number) else {
            return Err(newer(database, number.max(rows.len() as i64), migrations.len()));
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
    Ok(rows.len())
}

async fn tables(transport: &Transport) -> Result<(i64, bool)> {
    let read = Batch { access: Access::Read, statements: vec![Statement::new(TABLES, vec![])] };
    let results = transport.run(read).await?;
    let mut columns = Columns::first_of(results)?;
    Ok((columns.integer()?, columns.integer()? > 0))
}

async fn apply(transport: &Transport, migration: &Migration) -> Result<()> {
    let record = vec![
        Value::Integer(migration.number),
        Value::Text(migration.name.into()),
        Value::Text(fingerprint(migration.sql)),
    ];
    // The record comes first: it fails, and with it the whole batch, when the step is there already.
    let mut statements =
        vec![Statement::new(CREATE_LEDGER, vec![]), Statement::new(RECORD, record)];
    statements.extend(split(migration.sql).map(|sql| Statement::new(sql, vec![])));
    transport.run(Batch { access: Access::Write, statements }).await?;
    tracing::info!(step = migration.number, name = migration.name, "schema step applied");
    Ok(())
}

/// The statements of a file: each ends with a semicolon at the end of a line.
fn split(sql: &'static str) -> impl Iterator<Item = &'static str> {
    sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

fn fingerprint(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn foreign(database: &str) -> Error {
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
