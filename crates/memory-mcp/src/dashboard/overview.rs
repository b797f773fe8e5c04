//! What the memory holds.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use memory_core::store::ActivityQuery;
use memory_core::{EpisodeStore as _, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, answer, scope};
use crate::mcp::Projects;
use crate::telemetry::Telemetry;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// Days looked back on, at most.
const MAX_DAYS: i64 = 366;

/// Up to so many days, hours are told apart, and days.
const DAYS_BY_HOUR: i64 = 2;
const DAYS_BY_DAY: i64 = 92;

#[derive(Deserialize)]
pub(super) struct Wanted {
    project: Option<String>,
    days: Option<i64>,
}

/// `GET /api/overview`: counts, and episodes over time by outcome.
pub(super) async fn overview(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(open): Extension<Projects>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let scope = scope(&open, wanted.project)?;
    let store = telemetry.memory().store();
    let days = wanted.days.unwrap_or(30).clamp(1, MAX_DAYS);
    let period_us = if days <= DAYS_BY_HOUR {
        HOUR_US
    } else if days <= DAYS_BY_DAY {
        DAY_US
    } else {
        7 * DAY_US
    };
    let now = telemetry.memory().now();
    // Whole periods, the present one the last.
    let from = ((now.0 - days * DAY_US) / period_us + 1) * period_us;
    let query = ActivityQuery { scope: scope.clone(), since: Timestamp(from), period_us };
    let (counts, activity) =
        futures::future::try_join(store.counts(&scope), store.activity(&query)).await?;
    answer(
        store.stale_possible(),
        json!({
            "counts": counts,
            "projects": if open.0.is_empty() { &activity.projects } else { &*open.0 },
            "from": Timestamp(from),
            "now": now,
            "period_ms": period_us / 1000,
            "periods": activity.periods,
        }),
    )
}
