//! `memory-mcp copy --from URL|FILE --to URL|FILE`.
//!
//! Records are copied as they are, with their ids and versions, and what is there already is left
//! alone. So the command can be repeated: after an interruption it goes on, and at the end it changes
//! nothing.
//!
//! - `ends`: the two databases and the token each is shown
//! - `stream`: one side's records of one kind, in the order of their keys
//! - `transfer`: what one side lacks goes to it
//! - `verify`: both sides read again and compared
//! - `tally`: what became of what was read, and its report

mod ends;
mod stream;
mod tally;
mod transfer;
mod verify;

use std::fmt::Display;

use memory_core::store::{Counts, EpisodeStore, Scope};
use memory_storage_turso::TursoStore;

use super::args::CopyArgs;
use super::output::Output;
use super::session::Session;
use super::{Exit, Failure, output, progress};
use crate::config::Place;

use ends::Ends;
use tally::Report;
use transfer::Transfer;

/// One database and the other.
struct Sides<'a> {
    source: &'a TursoStore,
    target: &'a TursoStore,
    scope: &'a Scope,
}

pub(super) async fn run(
    args: &CopyArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let ends = Ends::of(args, session)?;
    if ends::waiting(&ends.from, session).await? > 0 {
        deliver(&ends, session).await?;
    }
    warn_of_waiting(&ends.from, session).await?;
    let (source, target) = ends.open(session).await?;
    let scope = session.scope();
    let sides = Sides { source: &source, target: &target, scope: &scope };
    let report = Report::new(&ends.from, &ends.to, &scope);
    let done = all(&sides, report, out).await;
    source.close().await;
    target.close().await;
    done
}

/// What waits on this machine is not in the database yet.
pub(super) async fn warn_of_waiting(place: &Place, session: &Session) -> Result<(), Failure> {
    let waiting = ends::waiting(place, session).await?;
    if waiting > 0 {
        output::warn(format_args!(
            "{waiting} writes on this machine have not reached {place} yet and are not copied; \
             `memory-mcp outbox list` shows them"
        ));
    }
    Ok(())
}

/// Everything of `source` into `target`, of whatever projects, told under these names.
pub(super) async fn fill(
    (source, from): (&TursoStore, &dyn Display),
    (target, to): (&TursoStore, &dyn Display),
    out: &mut Output,
) -> Result<(), Failure> {
    let sides = Sides { source, target, scope: &Scope::All };
    all(&sides, Report::new(from, to, &Scope::All), out).await
}

async fn all(sides: &Sides<'_>, mut report: Report, out: &mut Output) -> Result<(), Failure> {
    let done = tokio::select! {
        done = copy_and_verify(sides, &mut report) => done,
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted("stopped by Ctrl-C")),
    };
    // What went over before a failure is there for good, so it is told in any case.
    report.print(out)?;
    done.map_err(|failure| {
        failure.or_hint("run the same command again to go on where it stopped")
    })?;
    match &report.verified {
        Some(verified) if !verified.is_same() => Err(Failure::failed(format!(
            "{} and {} differ in {} records that were copied",
            report.from, report.to, verified.differing
        ))
        .hint("was something written meanwhile? run the same command again")),
        _ if report.is_complete() => Ok(()),
        _ => Err(Failure::Silent(Exit::Incomplete)),
    }
}

/// What waits on this machine for the source belongs to it. What cannot be delivered goes on waiting.
async fn deliver(ends: &Ends, session: &Session) -> Result<(), Failure> {
    if session.place()? != ends.from {
        return Ok(());
    }
    let memory = session.open().await?;
    if let Err(e) = memory.store().durable().flush().await {
        tracing::debug!("writes that wait were not delivered: {e}");
    }
    memory.store().durable().close().await;
    Ok(())
}

async fn copy_and_verify(sides: &Sides<'_>, report: &mut Report) -> Result<(), Failure> {
    let counts = sides.source.counts(sides.scope).await?;
    let bar = progress::records(2 * total(&counts));
    let copied = Transfer::new(sides, &bar).run(&mut report.tally).await;
    let verified = match copied {
        Ok(()) => verify::run(sides, &report.tally, &bar).await,
        Err(e) => Err(e),
    };
    bar.finish_and_clear();
    report.verified = Some(verified?);
    Ok(())
}

fn total(counts: &Counts) -> u64 {
    counts.episodes.values().sum::<u64>()
        + counts.patterns
        + counts.heuristics
        + counts.feedback
        + counts.relations
        + counts.tombstones
}
