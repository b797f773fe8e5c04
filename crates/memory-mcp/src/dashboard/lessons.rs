//! What was learned: patterns and heuristics, and playbooks, with their evidence.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use memory_core::learning::{LessonKind, ScoredLesson};
use memory_core::store::{Filter, LessonQuery};
use memory_core::{EpisodeStore as _, Error, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, OfProject, answer, scope};
use crate::mcp::Projects;
use crate::telemetry::Telemetry;

/// Lessons of a page, at most.
const LESSONS: usize = 100;

#[derive(Deserialize)]
pub(super) struct Wanted {
    project: Option<String>,
    kind: Option<String>,
    task_type: Option<String>,
}

/// `GET /api/lessons`: those with the most evidence first.
pub(super) async fn lessons(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let scope = scope(&open, wanted.project)?;
    let kinds = match wanted.kind.as_deref().filter(|kind| !kind.is_empty()) {
        None => Vec::new(),
        Some(name) => vec![kind(name)?],
    };
    let store = telemetry.memory().store();
    let query = LessonQuery { scope, episodes: Vec::new(), kinds, limit: LESSONS };
    let (found, now) = (store.lessons(&query).await?, telemetry.memory().now());
    let lessons: Vec<Value> = found.iter().map(|it| lesson(it, now)).collect();
    answer(store.stale_possible(), json!({ "lessons": lessons, "most": LESSONS }))
}

fn kind(name: &str) -> Result<LessonKind, Error> {
    LessonKind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
        let names = LessonKind::ALL.map(LessonKind::as_str).join(", ");
        Error::invalid("kind", format!("is none of {names}"))
    })
}

/// A lesson with how sure it is.
pub(super) fn lesson(scored: &ScoredLesson, now: Timestamp) -> Value {
    let ScoredLesson { lesson, stats, evidence } = scored;
    json!({
        "id": lesson.id,
        "project": lesson.project,
        "kind": lesson.lesson_kind,
        "task_type": lesson.task_type,
        "condition": lesson.condition,
        "action": lesson.action,
        "stats": stats,
        "confidence": stats.confidence(now),
        "doubt": stats.doubt(now),
        "is_wrong": stats.is_wrong(),
        "evidence": evidence,
    })
}

/// `GET /api/task-types`: what there are playbooks for.
pub(super) async fn task_types(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Query(OfProject { project }): Query<OfProject>,
) -> Answer {
    let store = telemetry.memory().store();
    let found = store.task_types(&scope(&open, project)?).await?;
    answer(store.stale_possible(), json!({ "task_types": found }))
}

/// `GET /api/playbook`: what runs of a task type share.
pub(super) async fn playbook(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let scope = scope(&open, wanted.project)?;
    let filter = Filter { task_type: wanted.task_type, ..Filter::default() };
    let book = telemetry.memory().playbook(&scope, filter).await?;
    answer(telemetry.memory().store().stale_possible(), book)
}
