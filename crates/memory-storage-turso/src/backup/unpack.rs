//! A backup verified in full, in a private copy at this build's schema. Nothing of the file is trusted
//! before its checksum is, and nothing that lies beside it is looked at: the engine would roll back a
//! journal found there, and follow the names in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::error::excerpt;
use memory_core::{Error, Result};

use super::scratch::Scratch;
use super::seal::{self, Sealed};
use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::config::TursoConfig;
use crate::schema::{self, MIGRATIONS};
use crate::transport::{LocalTransport, Transport, offload};

/// Everything that makes up a schema, but for the engine's own statistics.
const SCHEMA: &str = "\
SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema \
WHERE name NOT LIKE 'sqlite_stat%'";

const CONTENT: &str = "\
SELECT (SELECT value FROM meta WHERE key = 'database'), (SELECT count(*) FROM episodes)";

/// A verified backup. The copy goes away when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    scratch: Scratch,
    /// What the seal says.
    pub sealed: Sealed,
    /// The schema it was made with.
    pub schema: usize,
    /// Episodes in it.
    pub episodes: u64,
}

impl Unpacked {
    /// The copy: a database file of this build's schema.
    pub fn path(&self) -> PathBuf {
        file(&self.scratch)
    }
}

fn file(scratch: &Scratch) -> PathBuf {
    scratch.file("memory.db")
}

/// Copies the backup `path` into a directory of its own in `beside` and verifies the copy: seal,
/// pages, schema, text index. `progress` is told of each part that was read.
///
/// # Errors
///
/// [`Error::Refused`]: it is no regular file, no backup, one of a newer schema, or there is no space.
/// [`Error::Corrupt`]: it was changed since it was made.
pub async fn unpack(
    path: &Path,
    beside: &Path,
    progress: Arc<super::Progress>,
) -> Result<Unpacked> {
    let (from, beside, name) = (path.to_owned(), beside.to_owned(), path.display().to_string());
    let (scratch, sealed) = offload(move || {
        let source = seal::Source::open(&from)?;
        let scratch = Scratch::make(&beside)?;
        let sealed = source.copy_to(&file(&scratch), &progress)?;
        Ok::<_, Error>((scratch, sealed))
    })
    .await??;
    let transport = open(&file(&scratch)).await?;
    let checked = check(&transport, &scratch, &name).await;
    transport.close().await;
    let (schema, episodes) = checked?;
    Ok(Unpacked { scratch, sealed, schema, episodes })
}

async fn open(path: &Path) -> Result<Transport> {
    let config = TursoConfig { readers: 1, ..TursoConfig::at(path) };
    let opened = offload(move || LocalTransport::open(config, Arc::default())).await??;
    Ok(Transport::Local(opened))
}

async fn check(transport: &Transport, scratch: &Scratch, name: &str) -> Result<(usize, u64)> {
    let applied = schema::applied(transport, MIGRATIONS, name).await?;
    if applied == 0 {
        return Err(damaged(name, "there is nothing in it"));
    }
    let said = ask(transport, "PRAGMA integrity_check(1)").await?;
    if said != [[Value::Text("ok".into())]] {
        let said = said.into_iter().flatten().next();
        return Err(damaged(name, format!("its pages do not fit together: {said:?}")));
    }
    // Triggers, views and tables that are not ours would be run by whoever uses it.
    let (found, ours) = (schema_of(transport).await?, own_schema(scratch, applied).await?);
    if let Some(other) = found.symmetric_difference(&ours).next() {
        let problem = format!("its schema is not the one it says: {}", excerpt(other));
        return Err(damaged(name, problem));
    }
    let text = "INSERT INTO episode_text (episode_text) VALUES ('integrity-check')";
    run(transport, vec![Statement::new(text, Vec::new())])
        .await
        .map_err(|e| damaged(name, format!("its text index does not fit together: {e}")))?;
    if let Transport::Local(local) = transport {
        schema::upgrade_copy(local, MIGRATIONS).await?;
    }
    let content = ask(transport, CONTENT).await?;
    let mut row = Columns::new(content.into_iter().next().unwrap_or_default());
    // Without an id nobody could tell it from another database.
    row.id()?;
    Ok((applied, row.unsigned()?))
}

/// The schema as this build makes it, step by step as a database gets there.
async fn own_schema(scratch: &Scratch, applied: usize) -> Result<BTreeSet<String>> {
    let transport = open(&scratch.file("schema.db")).await?;
    let made = match run(&transport, schema::build(MIGRATIONS, applied)?).await {
        Ok(()) => schema_of(&transport).await,
        Err(e) => Err(e),
    };
    transport.close().await;
    made
}

async fn schema_of(transport: &Transport) -> Result<BTreeSet<String>> {
    let rows = ask(transport, SCHEMA).await?;
    rows.into_iter().map(|row| Columns::new(row).text()).collect()
}

async fn ask(transport: &Transport, sql: &'static str) -> Result<Vec<Vec<Value>>> {
    let statements = vec![Statement::new(sql, Vec::new())];
    let results = transport.run(Batch { access: Access::Read, statements }).await?;
    Ok(results.into_iter().flat_map(|result| result.rows).collect())
}

async fn run(transport: &Transport, statements: Vec<Statement>) -> Result<()> {
    transport.run(Batch { access: Access::Write, statements }).await.map(drop)
}

pub(super) fn damaged(name: &str, problem: impl Into<String>) -> Error {
    Error::Corrupt {
        thing: format!("the backup {name}"),
        problem: problem.into(),
        hint: "nothing was changed; use another backup",
    }
}
