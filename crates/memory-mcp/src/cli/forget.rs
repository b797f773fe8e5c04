//! `memory-mcp forget ID...`.

use std::io::{IsTerminal, stdin};

use memory_core::EpisodeId;
use memory_core::store::EpisodeStore;
use serde_json::json;

use super::args::ForgetArgs;
use super::output::{self, Output, one_line};
use super::session::{LocalMemory, Session};
use super::{Exit, Failure};

pub(super) async fn run(
    args: &ForgetArgs,
    memory: &LocalMemory,
    session: &Session,
) -> Result<(), Failure> {
    let ids = ids(args)?;
    let scope = session.scope();
    let found = memory.store().get(&scope, &ids).await?;
    let missing: Vec<String> =
        ids.iter().zip(&found).filter(|(_, e)| e.is_none()).map(|(id, _)| id.to_string()).collect();
    // A purge that was interrupted finds them forgotten already, and goes on.
    if !missing.is_empty() && !args.purge {
        return Err(Failure::not_found(format!("there is no episode {}", missing.join(", ")))
            .hint("nothing was forgotten; `memory-mcp list` shows the episodes"));
    }
    if !args.yes && stdin().is_terminal() {
        let tasks = found.iter().flatten().map(|e| (e.id, one_line(&e.task_description, 60)));
        for (id, task) in tasks {
            output::say(format_args!("{id}  {task}"));
        }
        if !output::agreed(format_args!("Forget {} for good? [y/N] ", episodes(ids.len())))? {
            return Err(Failure::Silent(Exit::Failed));
        }
    }
    for id in &ids {
        memory.forget(&scope, *id).await?;
    }
    Ok(())
}

pub(super) fn ids(args: &ForgetArgs) -> Result<Vec<EpisodeId>, Failure> {
    Ok(args.ids.iter().map(|id| id.parse()).collect::<Result<_, _>>()?)
}

pub(super) fn tell(args: &ForgetArgs, out: &mut Output) -> Result<(), Failure> {
    let ids = ids(args)?;
    if out.is_json() {
        return out.json(&json!({ "forgotten": ids, "purged": args.purge }));
    }
    let end = if args.purge { "for good, and purged" } else { "for good" };
    out.line(format_args!("Forgot {} {end}.", episodes(ids.len())))
}

fn episodes(count: usize) -> String {
    if count == 1 { "1 episode".into() } else { format!("{count} episodes") }
}
