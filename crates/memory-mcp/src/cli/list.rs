//! `memory-mcp list`.

use memory_core::store::{EpisodeStore, ListQuery, Scope};
use memory_core::{Episode, EpisodeId, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Failure;
use super::args::ListArgs;
use super::output::{CODE, DIM, Output, TITLE, one_line, outcome_style, paint, utc, width};
use super::session::{LocalMemory, Session};

/// Columns before the task.
const BEFORE_TASK: usize = 36 + 2 + 16 + 2 + 9 + 2 + 6 + 2;

/// Episodes read at a time.
const PAGE: usize = 500;

pub(super) async fn run(
    args: &ListArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut query = ListQuery {
        scope: session.scope(),
        filter: args.filter.to_filter(memory.now())?,
        after: args.after.clone(),
        limit: 0,
    };
    let mut left = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut episodes = Vec::new();
    while left > 0 {
        query.limit = left.min(PAGE);
        let page = memory.store().list(&query).await?;
        left -= page.episodes.len().min(left);
        episodes.extend(page.episodes.iter().map(|e| Row::of(e)));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if out.is_json() {
        return out.json(&json!({ "episodes": episodes, "next": query.after }));
    }
    if episodes.is_empty() {
        return nothing(&query, out);
    }
    table(&episodes, out)?;
    if let Some(next) = query.after {
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

fn table(rows: &[Row], out: &mut Output) -> Result<(), Failure> {
    let room = width().saturating_sub(BEFORE_TASK).max(24);
    let head = format!("{:36}  {:16}  {:9}  {:6}  TASK", "ID", "BEGUN", "OUTCOME", "REWARD");
    out.line(paint(TITLE, head))?;
    for row in rows {
        let begun: String = utc(row.started_at).chars().take(16).collect();
        let outcome = paint(outcome_style(row.outcome), format_args!("{:9}", row.outcome));
        let reward = row.reward.map_or("-".into(), |score| format!("{score:.2}"));
        let task = one_line(&row.task_description, room);
        let id = paint(CODE, row.id);
        out.line(format_args!("{id}  {begun:16}  {outcome}  {reward:>6}  {task}"))?;
    }
    Ok(())
}

/// What a listing says of an episode.
#[derive(Serialize)]
struct Row {
    id: EpisodeId,
    project: String,
    task_type: String,
    task_description: String,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    outcome: &'static str,
    reward: Option<f64>,
    steps: usize,
    version: u64,
}

impl Row {
    fn of(episode: &Episode) -> Self {
        Row {
            id: episode.id,
            project: episode.project.clone(),
            task_type: episode.task_type.clone(),
            task_description: episode.task_description.clone(),
            started_at: episode.started_at,
            ended_at: episode.ended_at,
            outcome: episode.state(),
            reward: episode.reward.as_ref().map(|r| r.score),
            steps: episode.steps.len(),
            version: episode.version,
        }
    }
}
