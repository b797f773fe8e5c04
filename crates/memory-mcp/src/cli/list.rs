//! `memory-mcp list`.

use std::sync::Arc;

use memory_core::store::{EpisodeStore, ListQuery, Scope};
use memory_core::{Episode, OutcomeKind};
use serde_json::{Value, json};

use super::Failure;
use super::args::ListArgs;
use super::output::{BAD, CODE, DIM, FAIR, GOOD, Output, TITLE, one_line, paint, width};
use super::session::Session;

/// Columns before the task.
const BEFORE_TASK: usize = 36 + 2 + 16 + 2 + 9 + 2 + 6 + 2;

pub(super) async fn run(
    args: &ListArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let memory = session.open().await?;
    let query = ListQuery {
        scope: session.scope(),
        filter: args.filter.to_filter(memory.now())?,
        after: args.after.clone(),
        limit: args.limit,
    };
    let page = memory.store().list(&query).await?;
    if out.is_json() {
        let episodes: Vec<Value> = page.episodes.iter().map(|e| summary(e)).collect();
        return out.json(&json!({ "episodes": episodes, "next": page.next }));
    }
    if page.episodes.is_empty() {
        return nothing(&query, out);
    }
    table(&page.episodes, out)?;
    if let Some(next) = page.next {
        out.line(paint(DIM, format_args!("more: --after {next}")))?;
    }
    Ok(())
}

fn nothing(query: &ListQuery, out: &mut Output) -> Result<(), Failure> {
    let place = match &query.scope {
        Scope::All => String::new(),
        Scope::Project(project) => format!(" in project {}", one_line(project, 80)),
    };
    out.line(format_args!("No episodes{place} match."))?;
    out.line(paint(DIM, "`memory-mcp import PATH` takes some in, `memory-mcp serve` records them."))
}

fn table(episodes: &[Arc<Episode>], out: &mut Output) -> Result<(), Failure> {
    let room = width().saturating_sub(BEFORE_TASK).max(24);
    let head = format!("{:36}  {:16}  {:9}  {:6}  TASK", "ID", "BEGUN", "OUTCOME", "REWARD");
    out.line(paint(TITLE, head))?;
    for episode in episodes {
        out.line(format_args!(
            "{}  {:16}  {}  {:>6}  {}",
            paint(CODE, episode.id),
            minute(episode),
            state(episode, 9),
            reward(episode),
            one_line(&episode.task_description, room),
        ))?;
    }
    Ok(())
}

/// When it began, to the minute.
pub(super) fn minute(episode: &Episode) -> String {
    let time = episode.started_at.to_string().replacen('T', " ", 1);
    time.chars().take(16).collect()
}

/// The outcome in its colour, padded to `width`.
pub(super) fn state(episode: &Episode, width: usize) -> String {
    let style = match episode.outcome.as_ref().map(|o| o.kind) {
        Some(OutcomeKind::Success) => GOOD,
        Some(OutcomeKind::Partial) => FAIR,
        Some(OutcomeKind::Failure) => BAD,
        _ => DIM,
    };
    paint(style, format_args!("{:width$}", episode.state()))
}

/// The score with two digits, or `-`.
pub(super) fn reward(episode: &Episode) -> String {
    episode.reward.as_ref().map_or("-".into(), |r| format!("{:.2}", r.score))
}

/// What a program gets of an episode in a listing.
fn summary(episode: &Episode) -> Value {
    json!({
        "id": episode.id,
        "project": episode.project,
        "task_type": episode.task_type,
        "task_description": episode.task_description,
        "started_at": episode.started_at,
        "ended_at": episode.ended_at,
        "outcome": episode.state(),
        "reward": episode.reward.as_ref().map(|r| r.score),
        "steps": episode.steps.len(),
        "version": episode.version,
    })
}
