//! An episode in a listing, and by itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use memory_core::{Episode, MetadataValue, Reflection};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{BRIEF_CHARS, FULL_CHARS, ROW_CHARS, cut, line, score};

/// A row of a listing.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct EpisodeRow {
    pub(in crate::mcp::tools) episode_id: String,
    pub(in crate::mcp::tools) task: String,
    pub(in crate::mcp::tools) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::mcp::tools) reward: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::mcp::tools) task_type: String,
    pub(in crate::mcp::tools) started_at: String,
    pub(in crate::mcp::tools) steps: usize,
}

impl EpisodeRow {
    pub(in crate::mcp::tools) fn of(episode: &Episode) -> Self {
        EpisodeRow {
            episode_id: episode.id.to_string(),
            task: line(&episode.task_description, ROW_CHARS),
            state: episode.state(),
            reward: score(episode.reward.as_ref()),
            task_type: episode.task_type.clone(),
            started_at: episode.started_at.to_string(),
            steps: episode.steps.len(),
        }
    }

    pub(in crate::mcp::tools) fn text(&self) -> String {
        let EpisodeRow { episode_id, task, state, started_at, steps, .. } = self;
        let reward = self.reward.map_or(String::new(), |r| format!(" {r}"));
        let kind = if self.task_type.is_empty() { "" } else { " " };
        let started = started_at.get(..16).unwrap_or(started_at);
        format!(
            "{episode_id} {started} {state}{reward}{kind}{}, {steps} steps: {task}",
            self.task_type
        )
    }
}

/// An episode's task on one line, and what became of it.
pub(in crate::mcp) fn headline(episode: &Episode) -> (String, String) {
    let EpisodeRow { task, state, started_at, steps, .. } = EpisodeRow::of(episode);
    let started = started_at.get(..10).unwrap_or(&started_at);
    (task, format!("{state}, {steps} steps, {started}"))
}

/// An episode without its steps.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct EpisodeHead {
    pub(in crate::mcp::tools) episode_id: String,
    pub(in crate::mcp::tools) project: String,
    pub(in crate::mcp::tools) task: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    task_type: String,
    pub(in crate::mcp::tools) state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    verdict: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<f64>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    context: Map<String, Value>,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    reflection: Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "Map<String, Value>")]
    metadata: BTreeMap<String, MetadataValue>,
}

impl EpisodeHead {
    pub(in crate::mcp::tools) fn of(episode: &Episode) -> Self {
        EpisodeHead {
            episode_id: episode.id.to_string(),
            project: episode.project.clone(),
            task: cut(&episode.task_description, FULL_CHARS),
            task_type: episode.task_type.clone(),
            state: episode.state(),
            verdict: episode
                .outcome
                .as_ref()
                .map_or(String::new(), |o| cut(&o.verdict, FULL_CHARS)),
            reward: score(episode.reward.as_ref()),
            context: said(&episode.context),
            started_at: episode.started_at.to_string(),
            ended_at: episode.ended_at.map(|t| t.to_string()),
            reflection: said(&brief(&episode.reflection)),
            metadata: episode.metadata.clone(),
        }
    }

    pub(in crate::mcp::tools) fn text(&self) -> String {
        let mut text =
            format!("Episode {} of project {}: {}", self.episode_id, self.project, self.state);
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = write!(text, "\n{name}: {value}");
            }
        };
        line("task", &self.task);
        line("type", &self.task_type);
        line("verdict", &self.verdict);
        line("reward", &self.reward.map_or(String::new(), |r| r.to_string()));
        for (name, value) in self.context.iter().chain(&self.reflection) {
            match value {
                Value::String(value) => line(name, value),
                Value::Array(values) => {
                    values.iter().filter_map(Value::as_str).for_each(|value| line(name, value));
                }
                other => line(name, &other.to_string()),
            }
        }
        text
    }
}

/// The fields that say something.
fn said(value: &impl Serialize) -> Map<String, Value> {
    let empty = |value: &Value| value.is_null() || value == "" || value == &Value::Array(vec![]);
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields.into_iter().filter(|(_, v)| !empty(v)).collect(),
        _ => Map::new(),
    }
}

fn brief(reflection: &Reflection) -> Reflection {
    let short = |lines: &[String]| lines.iter().map(|l| cut(l, 4 * BRIEF_CHARS)).collect();
    Reflection {
        worked: short(&reflection.worked),
        failed: short(&reflection.failed),
        next_time: short(&reflection.next_time),
    }
}
