//! `memory-mcp migrate`.
//!
//! - `older`: with `--from`, the episodes of a database in the older layout
//! - `reencode`: with `--reencode`, payloads written anew

mod older;
mod reencode;

use std::io::{IsTerminal, stdin};

use memory_storage_turso::{Maintenance, SchemaStep};
use serde_json::{Value, json};

use crate::cli::args::MigrateArgs;
use crate::cli::output::{self, DIM, Output, paint};
use crate::cli::session::Session;
use crate::cli::{Exit, Failure};
use crate::config::Place;

/// Said of a server before its schema is changed.
const NO_BACKUP: &str =
    "a server is not backed up by itself; `memory-mcp backup FILE` makes a backup";

pub(super) async fn run(
    args: &MigrateArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(from) = &args.from {
        return older::run(from, args.dry_run, session, out).await;
    }
    if args.reencode {
        return reencode::run(session, out).await;
    }
    let (config, place) = (session.config(), session.place()?);
    let database = match &place {
        Place::File(path) => Maintenance::open(config.file(path.clone())).await?,
        Place::Server(url) => Maintenance::connect(config.server(url.clone(), config.token()))?,
    };
    let done = migrate(args, &database, &place, out).await;
    database.close().await;
    done.map_err(|failure| failure.about(&place))
}

async fn migrate(
    args: &MigrateArgs,
    database: &Maintenance,
    place: &Place,
    out: &mut Output,
) -> Result<(), Failure> {
    let steps = database.steps().await?;
    let current = steps.iter().filter(|step| step.applied).count();
    let to = args.to.unwrap_or(steps.len());
    if args.dry_run {
        return show(&steps, current, to, place, out);
    }
    if current != to && matches!(place, Place::Server(_)) {
        output::warn(NO_BACKUP);
        let change = format_args!("Take {place} from schema {current} to {to}? [y/N] ");
        if !args.yes && stdin().is_terminal() && !output::agreed(change)? {
            return Err(Failure::Silent(Exit::Failed));
        }
    }
    let change = database.migrate(Some(to)).await?;
    if out.is_json() {
        return out.json(&json!({
            "database": place.to_string(),
            "from": change.from,
            "to": change.to,
            "backup": change.backup,
        }));
    }
    if change.from == change.to {
        return out.line(format_args!("{place} has schema {to}; there is nothing to do."));
    }
    out.line(format_args!("{place} went from schema {} to {}.", change.from, change.to))?;
    if let Some(backup) = &change.backup {
        out.line(format_args!("As it was before, it is kept in {}.", backup.display()))?;
    }
    if change.to < change.from {
        let next = "From now on use the memory-mcp that works with this schema: this one would bring \
                    it back, unless database.upgrade is manual.";
        out.line(next)?;
    }
    Ok(())
}

/// What would be done, step by step.
fn show(
    steps: &[SchemaStep],
    current: usize,
    to: usize,
    place: &Place,
    out: &mut Output,
) -> Result<(), Failure> {
    let fate = |step: &SchemaStep| match (step.applied, step.number <= to) {
        (true, true) => "applied",
        (false, false) => "not applied",
        (false, true) => "would be applied",
        (true, false) if step.no_way_back.is_some() => "cannot be taken back",
        (true, false) => "would be taken back",
    };
    let backup = current > 0 && current != to && matches!(place, Place::File(_));
    if out.is_json() {
        let step = |step: &SchemaStep| -> Value {
            json!({
                "step": step.number,
                "name": step.name,
                "applied": step.applied,
                "fate": fate(step),
                "no_way_back": step.no_way_back,
            })
        };
        return out.json(&json!({
            "database": place.to_string(),
            "dry_run": true,
            "from": current,
            "to": to,
            "backup": backup,
            "steps": steps.iter().map(step).collect::<Vec<_>>(),
        }));
    }
    for step in steps {
        out.line(format_args!("{:>4}  {:<20} {}", step.number, step.name, fate(step)))?;
        if let Some(reason) = step.no_way_back.filter(|_| step.applied && step.number > to) {
            out.line(paint(DIM, format_args!("      {reason}")))?;
        }
    }
    if backup {
        out.line("The file would be kept as it is in a backup beside it.")?;
    } else if current != to && matches!(place, Place::Server(_)) {
        out.line(NO_BACKUP)?;
    }
    out.line(paint(DIM, format_args!("{place} has schema {current}; nothing was changed.")))
}
