//! Brings a database to this build's schema, or back to an earlier one.

use std::path::PathBuf;

use memory_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ledger::{self, Kind};
use super::{Down, Migration, split};
use crate::batch::{Access, Batch, Statement, StatementResult, Value};
use crate::transport::{Exclusive, LocalTransport, Transport};

/// What becomes of a database with an older schema when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upgrade {
    /// It is brought to this build's schema, a file after a backup beside it.
    #[default]
    Auto,
    /// It is refused until somebody asks for it with [`Maintenance`](crate::Maintenance).
    Manual,
}

/// A schema as a number of steps, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Where the database is as it was before.
    pub(crate) backup: Option<PathBuf>,
}

/// Applies what is missing of `migrations`. `database` names the database in errors.
pub(crate) async fn bring_up(
    transport: &Transport,
    migrations: &'static [Migration],
    database: &str,
    upgrade: Upgrade,
) -> Result<()> {
    let applied = applied(transport, migrations, database).await?;
    let latest = migrations.len();
    if applied == latest {
        return Ok(());
    }
    if applied > 0 && upgrade == Upgrade::Manual {
        return Err(Error::Refused {
            problem: format!("{database} has schema {applied}, this build works with {latest}"),
            hint: "run `memory-mcp migrate`, or set database.upgrade to auto".into(),
        });
    }
    let change = go(transport, migrations, database, latest).await?;
    if let Some(backup) = &change.backup {
        // A warning, because it is what somebody who looks for the old state needs to know.
        tracing::warn!(
            "{database} went from schema {} to {}; as it was before, it is kept in {}",
            change.from,
            change.to,
            backup.display()
        );
    }
    Ok(())
}

/// How many steps the database has seen. Refuses one that is not ours, newer, or different.
pub(crate) async fn applied(
    transport: &Transport,
    migrations: &[Migration],
    database: &str,
) -> Result<usize> {
    if let Kind::Empty = ledger::kind(ask(transport, ledger::tables()).await?, database)? {
        return Ok(0);
    }
    match ask(transport, ledger::steps()).await {
        Ok(rows) => ledger::applied(rows, migrations, database),
        Err(Error::Engine { .. }) => Err(ledger::foreign(database)),
        Err(e) => Err(e),
    }
}

/// Brings the database to `to` steps, up or down, all at once.
pub(crate) async fn go(
    transport: &Transport,
    migrations: &'static [Migration],
    database: &str,
    to: usize,
) -> Result<Change> {
    let change = match transport {
        Transport::Local(local) => go_local(local, migrations, database, to, true).await?,
        Transport::Remote(_) => go_remote(transport, migrations, database, to).await?,
    };
    if change.from != change.to {
        tracing::info!(from = change.from, to = change.to, "{database}: the schema was changed");
    }
    Ok(change)
}

/// Under the file's write lock from looking to committing: whoever comes second finds it done, and
/// the backup holds the last write before the change.
async fn go_local(
    local: &LocalTransport,
    migrations: &'static [Migration],
    database: &str,
    to: usize,
    keep: bool,
) -> Result<Change> {
    let name = database.to_owned();
    local
        .exclusively(move |own| {
            let from = match ledger::kind(rows(own.run(ledger::tables())?), &name)? {
                Kind::Empty => 0,
                Kind::Ours => ledger::applied(rows(own.run(ledger::steps())?), migrations, &name)?,
            };
            let Plan { blockers, statements } = plan(migrations, from, to)?;
            for (query, refusal) in blockers {
                blocked(&rows(own.run(query)?), &refusal)?;
            }
            let worth_keeping = keep && from > 0 && !statements.is_empty();
            let backup = worth_keeping.then(|| back_up(own, from)).transpose()?;
            for statement in statements {
                own.run(statement)?;
            }
            Ok(Change { from, to, backup })
        })
        .await
}

/// Keeps the file as it is, beside it: `memory.db.schema-1.backup`, or with a number behind it when
/// that is there from an earlier time.
fn back_up(own: &Exclusive, schema: usize) -> Result<PathBuf> {
    let name = |n: u32| {
        let mut name = own.path().file_name().unwrap_or_default().to_owned();
        let again = if n > 1 { format!("-{n}") } else { String::new() };
        name.push(format!(".schema-{schema}{again}.backup"));
        own.path().with_file_name(name)
    };
    let free = (1..=u32::MAX).map(name).find(|path| !path.exists());
    let path = free.unwrap_or_else(|| name(1));
    own.back_up(&path)?;
    Ok(path)
}

async fn go_remote(
    transport: &Transport,
    migrations: &'static [Migration],
    database: &str,
    to: usize,
) -> Result<Change> {
    let from = applied(transport, migrations, database).await?;
    let Plan { blockers, statements } = plan(migrations, from, to)?;
    for (query, refusal) in blockers {
        blocked(&ask(transport, query).await?, &refusal)?;
    }
    if !statements.is_empty()
        && let Err(e) = transport.run(Batch { access: Access::Write, statements }).await
    {
        // Another process may have been quicker; then its record made ours fail, and all is well.
        if applied(transport, migrations, database).await? != to {
            return Err(e);
        }
    }
    Ok(Change { from, to, backup: None })
}

/// Brings a copy that was made to be thrown away to this build's schema: nothing of it is kept.
pub(crate) async fn upgrade_copy(
    local: &LocalTransport,
    migrations: &'static [Migration],
) -> Result<()> {
    go_local(local, migrations, "the backup", migrations.len(), false).await.map(drop)
}

/// Every statement that makes an empty database one of schema `to`.
pub(crate) fn build(migrations: &'static [Migration], to: usize) -> Result<Vec<Statement>> {
    plan(migrations, 0, to).map(|plan| plan.statements)
}

/// What has to be asked before, each with the refusal, and what has to be done.
struct Plan {
    blockers: Vec<(Statement, Error)>,
    statements: Vec<Statement>,
}

fn plan(migrations: &'static [Migration], from: usize, to: usize) -> Result<Plan> {
    let mut plan = Plan { blockers: Vec::new(), statements: Vec::new() };
    for migration in migrations.iter().take(to).skip(from) {
        if migration.number == 1 {
            plan.statements.push(Statement::new(ledger::CREATE, Vec::new()));
        }
        // The record comes first: it fails, and with it everything, when the step is there already.
        plan.statements.push(ledger::record(migration));
        plan.statements.extend(statements(migration.sql));
    }
    for migration in migrations.iter().take(from).skip(to).rev() {
        match migration.down {
            Down::None(reason) => return Err(no_way_back(migration, reason)),
            Down::Lossless { sql, blocked_by } => {
                if let Some((query, reason)) = blocked_by {
                    let query = Statement::new(query, Vec::new());
                    plan.blockers.push((query, no_way_back(migration, reason)));
                }
                plan.statements.extend(statements(sql));
                plan.statements.push(ledger::erase(migration));
            }
        }
    }
    Ok(plan)
}

fn statements(sql: &'static str) -> impl Iterator<Item = Statement> {
    split(sql).map(|sql| Statement::new(sql, Vec::new()))
}

fn blocked(rows: &[Vec<Value>], refusal: &Error) -> Result<()> {
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(0)) | None => Ok(()),
        _ => Err(refusal.clone()),
    }
}

fn no_way_back(migration: &Migration, reason: &str) -> Error {
    let Migration { number, name, .. } = migration;
    Error::Refused {
        problem: format!("schema step {number} ({name}) cannot be taken back: {reason}"),
        hint: "nothing was changed; the backup made before the step, restored by the older \
               memory-mcp, is the way back"
            .into(),
    }
}

async fn ask(transport: &Transport, statement: Statement) -> Result<Vec<Vec<Value>>> {
    let batch = Batch { access: Access::Read, statements: vec![statement] };
    Ok(transport.run(batch).await?.into_iter().flat_map(|result| result.rows).collect())
}

fn rows(result: StatementResult) -> Vec<Vec<Value>> {
    result.rows
}
