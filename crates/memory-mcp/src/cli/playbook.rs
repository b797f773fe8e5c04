//! `memory-mcp playbook TASK_TYPE`.

use memory_core::learning::playbook::Entry;
use memory_core::store::Filter;
use serde_json::json;

use super::Failure;
use super::args::PlaybookArgs;
use super::output::{DIM, Output, TITLE, one_line, paint, width, wrap};
use super::session::{LocalMemory, Session};

pub(super) async fn run(
    args: &PlaybookArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let filter = Filter { task_type: Some(args.task_type.clone()), ..Filter::default() };
    let book = memory.playbook(&session.scope(), filter).await?;
    let name = one_line(&args.task_type, 80);
    if book.runs == 0 {
        let message = format!("there is no judged episode of the task type {name}");
        return Err(
            Failure::not_found(message).hint("`memory-mcp list --json` shows the task types")
        );
    }
    if out.is_json() {
        return out.json(&json!({ "task_type": args.task_type, "playbook": book }));
    }
    let head = format!("{name}: {} runs, {} went well", book.runs, book.successes);
    out.line(paint(TITLE, head))?;
    part("Steps that runs which went well share", &book.steps, out)?;
    part("Errors of the other runs", &book.errors, out)?;
    part("What got past an error", &book.recoveries, out)
}

fn part(title: &str, entries: &[Entry], out: &mut Output) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    out.gap()?;
    out.line(paint(TITLE, title))?;
    for Entry { what, runs, of, evidence } in entries {
        out.line(wrap(&format!("{what} ({runs} of {of})"), "  - ", width()))?;
        let ids: Vec<String> = evidence.iter().take(1).map(ToString::to_string).collect();
        out.line(paint(DIM, format_args!("    {}", ids.join(" "))))?;
    }
    Ok(())
}
