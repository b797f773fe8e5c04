//! `memory-mcp verify [--repair]`.
//!
//! - `caches`: every cache file against the database
//! - `waiting`: what this machine has not delivered yet
//! - `report`: all of it, for people and for programs

mod caches;
mod report;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;

use memory_core::store::{EpisodeStore, Scope};

use super::args::VerifyArgs;
use super::output::Output;
use super::session::{LocalMemory, Session};
use super::{Exit, Failure, progress};

use report::Report;

pub(super) async fn run(
    args: &VerifyArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let place = session.place()?;
    // Opening takes one of them, or makes one.
    let files = memory_storage::cache_files(&session.config().cache_dir());
    let memory = session.open().await?;
    let checked = tokio::select! {
        checked = check(args, &memory, session, files) => checked,
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted("stopped by Ctrl-C")
            .hint("what was repaired stays repaired; run the same command again for the rest")),
    };
    memory.store().durable().close().await;
    let report = checked.map_err(|failure| failure.about(&place))?;
    report.print(args, out)?;
    if report.found() > 0 { Err(Failure::Silent(Exit::Unsound)) } else { Ok(()) }
}

async fn check(
    args: &VerifyArgs,
    memory: &Arc<LocalMemory>,
    session: &Session,
    files: Vec<PathBuf>,
) -> Result<Report, Failure> {
    let store = memory.store();
    let episodes: u64 = store.counts(&Scope::All).await?.episodes.values().sum();
    let bar = progress::records(episodes);
    bar.set_message("database");
    let durable = store.durable().durable();
    let database = durable.verify(args.repair, |done| bar.set_position(done)).await;
    bar.finish_and_clear();
    Ok(Report {
        place: session.place()?,
        database: database?,
        caches: caches::check(memory, session, files).await?,
        waiting: waiting::check(memory, session).await?,
    })
}
