//! `memory-mcp checkpoint ID NOTE...` and `memory-mcp resume ID`.

use memory_core::learning::handoff;
use memory_core::{EpisodeId, Step};
use serde_json::json;

use super::Failure;
use super::args::{CheckpointArgs, ShowArgs};
use super::output::{Output, plain};
use super::session::{LocalMemory, Session};

pub(super) async fn note(
    args: &CheckpointArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let id: EpisodeId = args.id.parse()?;
    let steps = vec![Step::checkpoint(args.note.join(" "))];
    let logged = memory.log_steps(&session.scope(), id, steps, None).await?;
    if out.is_json() {
        return out.json(&json!({ "id": id, "step": logged.first, "kept": logged.kept }));
    }
    out.line(format_args!(
        "Noted as step {} of {id}; `memory-mcp resume {id}` shows it.",
        logged.first
    ))
}

pub(super) async fn resume(
    args: &ShowArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let id: EpisodeId = args.id.parse()?;
    let episode = memory.require(&session.scope(), id).await?;
    if !episode.is_running() {
        return Err(Failure::usage(format!("episode {id} is completed: {}", episode.state()))
            .hint("`memory-mcp show` tells what came of it"));
    }
    let text = handoff(&episode);
    if out.is_json() {
        return out.json(&json!({ "id": id, "steps": episode.steps.len(), "handoff": text }));
    }
    out.line(plain(&text))
}
