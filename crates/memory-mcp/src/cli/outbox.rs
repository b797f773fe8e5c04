//! `memory-mcp outbox list | retry | drop`.
//!
//! Works on the file alone, so that it can be used while the server is out of reach.

use std::io::{IsTerminal, stdin};

use memory_core::store::Write;
use memory_storage_turso::pending::{Entry, EntryState, PendingFile};
use serde_json::{Value, json};

use super::args::{OutboxCommand, OutboxDropArgs, OutboxRetryArgs};
use super::output::{self, BAD, DIM, Output, one_line, paint, utc};
use super::session::Session;
use super::{Exit, Failure};
use crate::config::Place;

pub(super) async fn run(
    command: &OutboxCommand,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let config = session.config().pending_file();
    // Opening it would create it, and there is nothing in it then.
    let file = if config.path.is_file() { Some(PendingFile::open(config).await?) } else { None };
    let entries = match &file {
        Some(file) => file.entries().await?,
        None => Vec::new(),
    };
    let done = match (command, &file) {
        (OutboxCommand::List, _) => list(&entries, out),
        (OutboxCommand::Retry(args), Some(file)) => retry(args, file, &entries, session, out).await,
        (OutboxCommand::Drop(args), Some(file)) => discard(args, file, &entries, out).await,
        (OutboxCommand::Retry(args), None) => known(&args.entries, &entries),
        (OutboxCommand::Drop(args), None) => known(&args.entries, &entries),
    };
    if let Some(file) = file {
        file.close().await;
    }
    done
}

fn list(entries: &[Entry], out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(&entries.iter().map(document).collect::<Vec<_>>());
    }
    for entry in entries {
        let Entry { seq, state, at, url, attempts, error, .. } = entry;
        let (state, at) = (state.as_str(), utc(*at));
        out.line(format_args!("{seq:>6}  {state:<9}  {at}  {url}  {}", what(entry)))?;
        if let Some(error) = error {
            let tries = if *attempts > 1 { format!(" ({attempts} times)") } else { String::new() };
            out.line(paint(BAD, format_args!("        {}{tries}", one_line(error, 200))))?;
        }
    }
    let conflicts = entries.iter().filter(|entry| entry.state == EntryState::Conflict).count();
    let end = match (entries.len(), conflicts) {
        (0, _) => "Nothing waits on this machine.".to_owned(),
        (n, 0) => format!("{n} writes wait and are delivered when the server can be reached."),
        (n, refused) => format!(
            "{n} writes; {refused} were refused by the server and need a decision: \
             `memory-mcp outbox retry N` or `memory-mcp outbox drop N`."
        ),
    };
    out.line(paint(DIM, end))
}

async fn retry(
    args: &OutboxRetryArgs,
    file: &PendingFile,
    entries: &[Entry],
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    known(&args.entries, entries)?;
    for seq in &args.entries {
        // Not found: it waits for its turn already.
        file.retry(*seq).await?;
    }
    if matches!(session.place()?, Place::Server(_)) {
        let memory = session.open().await?;
        let flushed = memory.store().durable().flush().await;
        memory.store().durable().close().await;
        flushed.map_err(|e| {
            Failure::from(e).hint("the writes wait, and are delivered when it can be reached")
        })?;
    }
    let left = file.entries().await?;
    let left: Vec<_> = left.iter().filter(|entry| args.entries.contains(&entry.seq)).collect();
    if out.is_json() {
        let left: Vec<_> = left.into_iter().map(document).collect();
        return out.json(&json!({ "retried": args.entries, "left": left }));
    }
    let delivered = args.entries.len().saturating_sub(left.len());
    out.line(format_args!("{delivered} delivered, {} left.", left.len()))?;
    for entry in left {
        let why = entry.error.as_deref().unwrap_or("it waits for the server");
        out.line(format_args!("{:>6}  {}: {}", entry.seq, what(entry), one_line(why, 200)))?;
    }
    Ok(())
}

async fn discard(
    args: &OutboxDropArgs,
    file: &PendingFile,
    entries: &[Entry],
    out: &mut Output,
) -> Result<(), Failure> {
    known(&args.entries, entries)?;
    if !args.yes && stdin().is_terminal() {
        for entry in entries.iter().filter(|entry| args.entries.contains(&entry.seq)) {
            output::say(format_args!("{:>6}  {}", entry.seq, what(entry)));
        }
        if !output::agreed("Drop for good what was never stored? [y/N] ")? {
            return Err(Failure::Silent(Exit::Failed));
        }
    }
    let mut dropped = Vec::new();
    for seq in &args.entries {
        if file.discard(*seq).await? {
            dropped.push(*seq);
        }
    }
    if out.is_json() {
        return out.json(&json!({ "dropped": dropped }));
    }
    out.line(format_args!("Dropped {} for good.", dropped.len()))
}

/// All of them must be there before anything is done.
fn known(wanted: &[u64], entries: &[Entry]) -> Result<(), Failure> {
    let missing = wanted.iter().filter(|seq| !entries.iter().any(|entry| entry.seq == **seq));
    let missing: Vec<String> = missing.map(u64::to_string).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::not_found(format!("nothing waits under the number {}", missing.join(", ")))
        .hint("nothing was changed; `memory-mcp outbox list` shows the numbers"))
}

/// What an entry would do.
fn what(entry: &Entry) -> String {
    match &entry.write {
        Ok(Write::Save(save)) => {
            let task = one_line(&save.episode.task_description, 60);
            format!("{} episode {}: {task}", save.episode.state(), save.episode.id)
        }
        Ok(Write::AppendSteps(append)) => {
            format!("{} steps of episode {}", append.steps.len(), append.id)
        }
        Ok(Write::Forget(forget)) => format!("forget episode {}", forget.id),
        Ok(Write::Feedback(word)) => format!("feedback on {}", word.subject),
        Ok(Write::Relate(relation)) => format!("relation from {}", relation.from),
        Ok(Write::PutLesson(record)) => format!("lesson {}", record.lesson.id),
        Ok(Write::PutTombstone(tombstone)) => format!("tombstone {}", tombstone.id),
        Err(e) => one_line(&e.to_string(), 100),
    }
}

fn document(entry: &Entry) -> Value {
    json!({
        "number": entry.seq,
        "state": entry.state.as_str(),
        "database": entry.url,
        "episode": entry.episode,
        "what": what(entry),
        "accepted_at": entry.at,
        "attempts": entry.attempts,
        "error": entry.error,
    })
}
