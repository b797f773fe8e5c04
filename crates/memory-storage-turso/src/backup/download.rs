//! A backup of a server: every row of every table, read in one snapshot.

use std::path::Path;
use std::sync::Arc;

use memory_core::{Error, Result};

use super::scratch::Scratch;
use super::seal::{Sealed, directory_of};
use super::{Progress, Table, tables};
use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::config::{Synchronous, TursoConfig};
use crate::schema::{self, Kind, Migration};
use crate::transport::{LocalTransport, RemoteTransport, Snapshot, offload};

/// Rows of the first page; the pages after it are as long as makes about [`PAGE_BYTES`].
const FIRST_PAGE: usize = 16;

/// Bytes of rows in one answer, about: far below what a server gives.
const PAGE_BYTES: usize = 2 << 20;

/// The most rows of a page.
const MAX_PAGE: usize = 20_000;

/// What is to be expected of a server that does not tell its size.
const SIZE: &str = "SELECT (SELECT sum(length(payload)) FROM episodes) * 3 / 2";

/// Writes the database behind `remote` to `path`, at the schema it has.
pub(crate) async fn download(
    remote: &RemoteTransport,
    migrations: &'static [Migration],
    name: &str,
    path: &Path,
    progress: &Arc<Progress>,
) -> Result<Sealed> {
    let mut snapshot = remote.snapshot().await?;
    let applied = match schema::kind(snapshot.read(&schema::tables()).await?, name)? {
        Kind::Ours => schema::applied_of(snapshot.read(&schema::steps()).await?, migrations, name)?,
        Kind::Empty => {
            return Err(Error::Refused {
                problem: format!("{name} is empty"),
                hint: "there is nothing to back up yet".into(),
            });
        }
    };
    let size = snapshot.read(&Statement::new(SIZE, Vec::new())).await?;
    let size = Columns::new(size.into_iter().next().unwrap_or_default()).optional_integer()?;
    progress.expect(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0));

    let scratch = Scratch::make(directory_of(path))?;
    let local = open(&scratch.file("memory.db")).await?;
    let filled = fill(&mut snapshot, &local, migrations, applied, progress).await;
    snapshot.close().await;
    let sealed = match filled {
        Ok(()) => local.back_up(path.to_owned(), Arc::default()).await,
        Err(e) => Err(e),
    };
    local.close().await;
    sealed
}

/// What is lost with the machine is made anew: nothing needs to be synced before the backup is.
async fn open(path: &Path) -> Result<LocalTransport> {
    let config = TursoConfig { synchronous: Synchronous::Normal, ..TursoConfig::at(path) };
    offload(move || LocalTransport::open(config, Arc::default())).await?
}

async fn fill(
    snapshot: &mut Snapshot<'_>,
    local: &LocalTransport,
    migrations: &'static [Migration],
    applied: usize,
    progress: &Progress,
) -> Result<()> {
    let statements = schema::build(migrations, applied)?;
    local.run(Batch { access: Access::Write, statements }).await?;
    let tables = local
        .exclusively(|own| {
            let tables = tables(|ask| own.run(ask).map(|result| result.rows))?;
            for table in &tables {
                own.run(table.clear())?;
            }
            Ok(tables)
        })
        .await?;
    for table in &tables {
        copy(snapshot, local, table, progress).await?;
    }
    Ok(())
}

async fn copy(
    snapshot: &mut Snapshot<'_>,
    local: &LocalTransport,
    table: &Table,
    progress: &Progress,
) -> Result<()> {
    let (mut after, mut limit) = (None::<Vec<Value>>, FIRST_PAGE);
    loop {
        let rows = snapshot.read(&table.page(after.as_deref(), limit as i64)).await?;
        let count = rows.len();
        let mut statements = Vec::with_capacity(count);
        for row in rows {
            let (key, row) = table.parts(row);
            after = Some(key);
            statements.push(table.insert(row));
        }
        let bytes: usize = statements.iter().map(Statement::bytes).sum();
        if count > 0 {
            local.run(Batch { access: Access::Write, statements }).await?;
            progress.add(bytes as u64);
        }
        if count < limit {
            return Ok(());
        }
        // Rows differ in size: never more than four times as many as were seen to fit.
        let fit = PAGE_BYTES / (bytes / count.max(1)).max(1);
        limit = fit.clamp(1, (limit * 4).min(MAX_PAGE));
    }
}
