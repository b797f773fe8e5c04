//! Episodes: filtered, searched, and one by itself.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use memory_core::learning::trace::{recoveries, step_error};
use memory_core::recall::text::query_terms;
use memory_core::store::{Filter, LessonQuery, ListQuery, Scope, SearchQuery};
use memory_core::{Episode, EpisodeId, EpisodeStore as _, Error, Result, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{
    Answer, OfProject, Problem, answer, condition, none_if_empty, scope, states, time,
};
use super::lessons::lesson;
use crate::mcp::Projects;
use crate::telemetry::Telemetry;

/// Episodes of a page, and of a search.
const PAGE: usize = 25;
const MAX_PAGE: usize = 100;

/// Steps shown at a time.
const STEPS: usize = 200;

/// Characters of one text of a step; the step by itself has all of them.
const MAX_CHARS: usize = 4000;

/// Characters of a task in a row.
const TASK_CHARS: usize = 400;

/// Lessons shown with an episode.
const LESSONS: usize = 20;

/// What the page's form asks for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    project: Option<String>,
    #[serde(default, deserialize_with = "none_if_empty")]
    q: Option<String>,
    #[serde(default, deserialize_with = "none_if_empty")]
    state: Option<String>,
    #[serde(default, deserialize_with = "none_if_empty")]
    task_type: Option<String>,
    #[serde(default, deserialize_with = "none_if_empty")]
    since: Option<String>,
    #[serde(default, deserialize_with = "none_if_empty")]
    until: Option<String>,
    #[serde(default, rename = "where", deserialize_with = "none_if_empty")]
    condition: Option<String>,
    #[serde(default, deserialize_with = "none_if_empty")]
    cursor: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    fn filter(&self) -> Result<Filter> {
        Ok(Filter {
            task_type: self.task_type.clone(),
            states: states(self.state.as_deref())?,
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
            metadata: condition(self.condition.as_deref())?,
            include_archived: true,
            ..Filter::default()
        })
    }
}

/// `GET /api/episodes`: a page of those that match, newest first; of a search the best, best first.
pub(super) async fn list(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let scope = scope(&open, wanted.project.clone())?;
    let (filter, store) = (wanted.filter()?, telemetry.memory().store());
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let document = match &wanted.q {
        Some(words) => {
            let terms = query_terms(words);
            let query =
                SearchQuery { scope: scope.clone(), terms, synonyms: Vec::new(), filter, limit };
            let found = store.search(&query).await?;
            let ids: Vec<EpisodeId> = found.hits.iter().map(|hit| hit.id).collect();
            let episodes = store.get(&scope, &ids).await?;
            let rows = found.hits.iter().zip(&episodes).filter_map(|(hit, episode)| {
                let mut row = row(episode.as_ref()?);
                row.as_object_mut()?.insert("score".into(), hit.score.into());
                Some(row)
            });
            json!({ "episodes": rows.collect::<Vec<_>>(), "next": null })
        }
        None => {
            let query = ListQuery { scope, filter, after: wanted.cursor.clone(), limit };
            let page = store.list(&query).await?;
            let rows: Vec<Value> = page.episodes.iter().map(|episode| row(episode)).collect();
            json!({ "episodes": rows, "next": page.next })
        }
    };
    answer(store.stale_possible(), document)
}

pub(super) fn row(episode: &Episode) -> Value {
    json!({
        "id": episode.id,
        "project": episode.project,
        "task": shortened(&episode.task_description, TASK_CHARS).0,
        "task_type": episode.task_type,
        "state": episode.state(),
        "reward": episode.reward.as_ref().map(|reward| reward.score),
        "started_at": episode.started_at,
        "ended_at": episode.ended_at,
        "steps": episode.steps.len(),
        "errors": episode.steps.iter().filter(|step| step_error(step).is_some()).count(),
    })
}

#[derive(Deserialize)]
pub(super) struct From {
    project: Option<String>,
    from: Option<usize>,
}

/// `GET /api/episodes/ID`: one with its steps, from the `from`th on, and what it taught.
pub(super) async fn show(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Path(id): Path<String>,
    Query(From { project, from }): Query<From>,
) -> Answer {
    let (scope, episode) = found(&telemetry, &open, &id, project).await?;
    let store = telemetry.memory().store();
    let query = LessonQuery {
        scope: scope.clone(),
        episodes: vec![episode.id],
        kinds: Vec::new(),
        limit: LESSONS,
    };
    // The episode may be in the cache while the database is away: the rest is left out then.
    let lessons = if_there(store.lessons(&query).await)?.unwrap_or_default();
    let relations = if_there(store.relations(&scope, episode.id).await)?.unwrap_or_default();
    let from = from.unwrap_or(0);
    let recovered = recoveries(&episode.steps);
    let steps = episode.steps.iter().enumerate().skip(from).take(STEPS).map(|(index, step)| {
        let past = recovered.iter().find(|recovery| recovery.next == index);
        let got_past =
            past.and_then(|recovery| episode.steps.get(recovery.failed)).map(|s| s.number);
        step_view(step, MAX_CHARS, got_past)
    });
    let mut head = row(&episode);
    let more = json!({
        "task": episode.task_description,
        "context": episode.context,
        "outcome": episode.outcome,
        "reward_detail": episode.reward,
        "reflection": episode.reflection,
        "metadata": episode.metadata,
        "source": episode.source,
        "version": episode.version,
        "archived_at": episode.archived_at,
    });
    if let (Some(head), Value::Object(more)) = (head.as_object_mut(), more) {
        head.extend(more);
    }
    let now = telemetry.memory().now();
    answer(
        store.stale_possible(),
        json!({
            "episode": head,
            "from": from,
            "steps": steps.collect::<Vec<_>>(),
            "recoveries": recovered.len(),
            "lessons": lessons.iter().map(|it| lesson(it, now)).collect::<Vec<_>>(),
            "relations": relations,
        }),
    )
}

/// `GET /api/episodes/ID/steps/N`: one step, all of it.
pub(super) async fn step(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Path((id, number)): Path<(String, u32)>,
    Query(OfProject { project }): Query<OfProject>,
) -> Answer {
    let (_, episode) = found(&telemetry, &open, &id, project).await?;
    let step = episode.steps.iter().find(|step| step.number == number);
    let step =
        step.ok_or_else(|| Problem(StatusCode::NOT_FOUND, "there is no such step".into()))?;
    answer(telemetry.memory().store().stale_possible(), step_view(step, usize::MAX, None))
}

/// An episode that is open to the caller. One of another project is as good as none.
async fn found(
    telemetry: &Telemetry,
    open: &Projects,
    id: &str,
    project: Option<String>,
) -> Result<(Scope, Arc<Episode>), Problem> {
    let id: EpisodeId = id.parse()?;
    let store = telemetry.memory().store();
    // Without a project named: any that is open, one after the other.
    let scopes = match project {
        None if !open.0.is_empty() => open.0.iter().cloned().map(Scope::Project).collect(),
        project => vec![scope(open, project)?],
    };
    for scope in scopes {
        if let Some(episode) = store.get(&scope, &[id]).await?.into_iter().next().flatten() {
            return Ok((Scope::Project(episode.project.clone()), episode));
        }
    }
    Err(Problem(StatusCode::NOT_FOUND, format!("there is no episode {id} in what is open to you")))
}

fn if_there<T>(read: Result<T>) -> Result<Option<T>, Error> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.is_retryable() => Ok(None),
        Err(e) => Err(e),
    }
}

/// A step with its texts cut at `max` characters; `got_past`: the failed step that it got past.
fn step_view(step: &Step, max: usize, got_past: Option<u32>) -> Value {
    let mut is_cut = false;
    let mut text = |text: &str| {
        let (shown, cut) = shortened(text, max);
        is_cut |= cut;
        shown
    };
    let parameters = if step.parameters.is_empty() { "" } else { step.parameters.as_str() };
    let (action, parameters) = (text(&step.action), text(parameters));
    let observation = text(&step.observation);
    let error = step.error.as_deref().map(&mut text);
    json!({
        "number": step.number,
        "tool": step.tool,
        "action": action,
        "parameters": parameters,
        "observation": observation,
        "error": error,
        "failed": step_error(step).is_some(),
        "success": step.success,
        "checkpoint": step.is_checkpoint(),
        "got_past": got_past,
        "latency_ms": step.latency_ms,
        "tokens": step.tokens,
        "at": step.at,
        "is_cut": is_cut,
    })
}

/// The first characters of a text, and whether that is less than all.
fn shortened(text: &str, max: usize) -> (String, bool) {
    match text.char_indices().nth(max) {
        Some((end, _)) => (text.get(..end).unwrap_or_default().to_owned(), true),
        None => (text.to_owned(), false),
    }
}
