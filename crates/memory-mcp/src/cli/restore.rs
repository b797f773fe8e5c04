//! `memory-mcp restore FILE`.

use std::io::{IsTerminal, stdin};
use std::path::Path;
use std::sync::Arc;

use memory_storage::private;
use memory_storage_turso::backup::{Progress, Unpacked, unpack};
use memory_storage_turso::{DatabaseUrl, Maintenance, TursoStore};
use serde_json::json;

use super::args::RestoreArgs;
use super::backup::with_bar;
use super::output::{self, Output};
use super::session::Session;
use super::{Exit, Failure, copy};
use crate::config::Place;

pub(super) async fn run(
    args: &RestoreArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let place = session.place()?;
    let backup = verified(args, &place, session).await?;
    let done = match &place {
        Place::File(path) => into_file(args, &backup, path, session, out).await,
        Place::Server(url) => into_server(args, &backup, url, session, out).await,
    };
    done.map_err(|failure| failure.about(&place))
}

/// In a private copy, in the directory where there must be room for it anyway.
async fn verified(
    args: &RestoreArgs,
    place: &Place,
    session: &Session,
) -> Result<Unpacked, Failure> {
    let beside = match place {
        Place::File(path) => {
            std::path::absolute(path).ok().and_then(|p| p.parent().map(Path::to_owned))
        }
        Place::Server(_) => None,
    };
    let beside = beside.unwrap_or_else(|| session.config().data_dir.clone());
    private::create_directory(&beside).map_err(|e| {
        Failure::failed(format!("the directory {} cannot be created: {e}", beside.display()))
            .hint("choose a data directory that you may write to")
    })?;
    let told = Arc::new(Progress::default());
    Ok(with_bar(&told, unpack(&args.file, &beside, told.clone())).await?)
}

async fn into_file(
    args: &RestoreArgs,
    backup: &Unpacked,
    path: &Path,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let (there, place) = (path.exists(), path.display());
    let question = format!(
        "Replace all that is in {place} by the {} episodes of the backup? [y/N] ",
        backup.episodes
    );
    if there && !args.yes && stdin().is_terminal() && !output::agreed(question)? {
        return Err(Failure::Silent(Exit::Failed));
    }
    let database = Maintenance::open_or_create(session.config().file(path.to_owned())).await?;
    let done = database.restore(backup).await;
    database.close().await;
    done.map_err(|e| match e {
        memory_core::Error::Corrupt { .. } => Failure::from(e).hint(format!(
            "nothing was changed; move {place} away, with what is called so and ends in -wal and -shm, \
             and run the same command again"
        )),
        e => e.into(),
    })?;
    tell(args, backup, &place, out)
}

/// Record by record, as far as it gets; the same command goes on.
async fn into_server(
    args: &RestoreArgs,
    backup: &Unpacked,
    url: &DatabaseUrl,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let config = session.config();
    let remote = || config.server(url.clone(), config.token());
    let database = Maintenance::connect(remote())?;
    database.begin_filling(backup).await?;
    let source = TursoStore::open(config.file(backup.path())).await?;
    let target = TursoStore::connect(remote())?;
    let from = args.file.display();
    let filled = copy::fill((&source, &from), (&target, url), out).await;
    source.close().await;
    target.close().await;
    if filled.is_ok() {
        database.end_filling(backup).await?;
    }
    database.close().await;
    filled
}

fn tell(
    args: &RestoreArgs,
    backup: &Unpacked,
    place: &dyn std::fmt::Display,
    out: &mut Output,
) -> Result<(), Failure> {
    let (file, episodes) = (args.file.display(), backup.episodes);
    if out.is_json() {
        return out.json(&json!({
            "backup": file.to_string(),
            "database": place.to_string(),
            "episodes": episodes,
            "schema": backup.schema,
            "sha256": backup.sealed.sha256,
        }));
    }
    out.line(format_args!("Restored {episodes} episodes from {file} into {place}."))
}
