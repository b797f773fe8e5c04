//! What a recall would return, with the scores behind it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use memory_core::EpisodeStore as _;
use memory_core::recall::RecallQuery;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, answer, scope, states};
use super::episodes::row;
use crate::mcp::Projects;
use crate::telemetry::Telemetry;

#[derive(Deserialize)]
pub(super) struct Wanted {
    project: Option<String>,
    #[serde(default)]
    task: String,
    state: Option<String>,
    limit: Option<usize>,
    budget_tokens: Option<usize>,
}

/// `GET /api/recall`: what an agent would be given, and the ranking it was made of. Nothing is counted
/// as recalled.
pub(super) async fn recall(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let memory = telemetry.memory();
    let mut query = RecallQuery::new(wanted.task, scope(&open, wanted.project)?);
    query.filter.states = states(wanted.state.as_deref())?;
    query.limit = wanted.limit.unwrap_or(query.limit);
    query.budget_tokens = wanted.budget_tokens.unwrap_or(query.budget_tokens);
    let recall = memory.recall(&query).await?;
    let ranking = memory.ranking(&query).await?;
    let ranked = ranking.results.iter().map(|ranked| {
        let mut row = row(&ranked.episode);
        let why = json!({
            "score": ranked.score,
            "same_task": ranked.same_task,
            "why": ranked.why,
            "alike": ranked.alike,
        });
        if let (Some(row), Value::Object(why)) = (row.as_object_mut(), why) {
            row.extend(why);
        }
        row
    });
    answer(
        memory.store().stale_possible(),
        json!({
            "ranked": ranked.collect::<Vec<_>>(),
            "candidates": ranking.order.len(),
            "text": recall.to_text(),
            "recall": recall,
        }),
    )
}
