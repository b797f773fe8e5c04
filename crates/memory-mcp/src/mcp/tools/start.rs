//! Start an episode, and recall what helps with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use memory_core::memory::NewEpisode;
use memory_core::recall::RecallQuery;
use memory_core::store::Scope;
use memory_core::{Complexity, Context, EpisodeId, EpisodeStore, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::recall::{Recalled, size};
use super::{Effect, Output, Tool, not_stored_yet, not_stored_yet_text, renamed};
use crate::mcp::arguments::{self, or_default, parsed_option};
use crate::mcp::session::Session;

/// Tokens of memory that come with the start of an episode, unless the call says otherwise.
pub(in crate::mcp) const BUDGET_TOKENS: u32 = 800;

/// The domain's names of fields, and the tool's.
const NAMES: [(&str, &str); 2] =
    [("task_description", "task"), ("budget_tokens", "recall_budget_tokens")];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartEpisode {
    /// In the words in which it was given.
    task: String,
    /// Default: this server's.
    project: Option<String>,
    /// Like bugfix, sql, ops.
    task_type: Option<String>,
    context: Option<ContextArguments>,
    /// Plain values to filter by.
    #[serde(default, deserialize_with = "or_default")]
    metadata: BTreeMap<String, Value>,
    /// Your own UUID: repeating is then harmless.
    #[serde(default, deserialize_with = "parsed_option")]
    #[schemars(with = "Option<String>")]
    episode_id: Option<EpisodeId>,
    /// Default 800; 0 for none.
    recall_budget_tokens: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContextArguments {
    domain: Option<String>,
    language: Option<String>,
    framework: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "complexities")]
    complexity: Option<Complexity>,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
}

fn complexities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["simple", "moderate", "complex"]})
}

impl From<ContextArguments> for Context {
    fn from(given: ContextArguments) -> Self {
        Context {
            domain: given.domain.unwrap_or_default(),
            language: given.language.unwrap_or_default(),
            framework: given.framework.unwrap_or_default(),
            complexity: given.complexity,
            tags: given.tags,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Started {
    episode_id: String,
    project: String,
    // As for logged steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Recalled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recall_failed: Option<String>,
}

impl Tool for StartEpisode {
    const NAME: &'static str = "start_episode";
    const TITLE: &'static str = "Start episode";
    const DESCRIPTION: &'static str = "Call first on a task: gives what earlier episodes teach \
        about it, and an episode_id for log_steps and complete_episode.";
    const EFFECT: Effect = Effect::Adds;
    type Output = Started;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Started> {
        let new = NewEpisode {
            id: self.episode_id,
            project: session.project(self.project)?,
            task_type: self.task_type.unwrap_or_default(),
            task: self.task,
            context: self.context.map(Context::from).unwrap_or_default(),
            metadata: arguments::metadata(self.metadata)?,
        };
        let query = recall_query(&new, self.recall_budget_tokens)?;
        let recall = async {
            match &query {
                Some(query) => Recalled::by(session, query).await.map(Some),
                None => Ok(None),
            }
        };
        let (episode, memory) = futures::join!(session.memory.start_kept(new), recall);
        let (episode, kept) = episode.map_err(|e| renamed(e, &NAMES))?;
        // The episode is on record; that nothing could be recalled must not make it look otherwise.
        let (memory, recall_failed) = match memory {
            Ok(memory) => (memory, None),
            Err(e) => (None, Some(e.to_string())),
        };
        if let Some(memory) = &memory {
            memory.attribute(session, episode.id);
        }
        let (episode_id, project) = (episode.id.to_string(), episode.project.clone());
        Ok(Started { episode_id, project, kept: not_stored_yet(kept), memory, recall_failed })
    }
}

/// The question that a new episode puts to the memory; `None` for a budget of 0.
fn recall_query(new: &NewEpisode, budget_tokens: Option<u32>) -> Result<Option<RecallQuery>> {
    let budget_tokens = budget_tokens.unwrap_or(BUDGET_TOKENS);
    if budget_tokens == 0 {
        return Ok(None);
    }
    let mut query = RecallQuery::new(new.task.as_str(), Scope::Project(new.project.clone()));
    query.budget_tokens = size(budget_tokens);
    query.validate().map_err(|e| renamed(e, &NAMES))?;
    Ok(Some(query))
}

impl Output for Started {
    fn text(&self) -> String {
        let mut text = format!("Episode {} started in project {}.", self.episode_id, self.project);
        text.push_str(&not_stored_yet_text(self.kept));
        if let Some(memory) = &self.memory {
            let _ = write!(text, "\nFrom earlier episodes:\n{}", memory.text());
        }
        if let Some(problem) = &self.recall_failed {
            let _ = write!(text, "\nNothing could be recalled: {problem}");
        }
        text
    }
}
