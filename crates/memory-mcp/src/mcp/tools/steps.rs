//! Log steps of a running episode.

use memory_core::{EpisodeId, EpisodeStore, Error, RawJson, Result, Step, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Effect, Output, Tool, not_stored_yet, not_stored_yet_text};
use crate::mcp::arguments::{or_default, parsed};
use crate::mcp::session::Session;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogSteps {
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "String")]
    episode_id: EpisodeId,
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(with = "Vec<StepArguments>")]
    steps: Vec<StepArguments>,
    /// For whoever goes on: state, next.
    checkpoint: Option<String>,
    /// Number of the first, from 1: repeating is then harmless.
    first_step: Option<u32>,
    project: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct StepArguments {
    tool: Option<String>,
    /// What was done: command, call, message.
    action: Option<String>,
    // Taken as it comes; objects are what it is.
    #[schemars(with = "Map<String, Value>")]
    parameters: RawJson,
    /// What came back; shorten if long.
    observation: Option<String>,
    success: Option<bool>,
    error: Option<String>,
    latency_ms: Option<u64>,
    tokens: Option<u64>,
    /// RFC 3339.
    #[schemars(with = "Option<String>")]
    at: Option<Timestamp>,
}

impl From<StepArguments> for Step {
    fn from(given: StepArguments) -> Self {
        Step {
            number: 0,
            tool: given.tool.unwrap_or_default(),
            action: given.action.unwrap_or_default(),
            parameters: given.parameters,
            observation: given.observation.unwrap_or_default(),
            success: given.success,
            error: given.error,
            latency_ms: given.latency_ms,
            tokens: given.tokens,
            at: given.at,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Logged {
    episode_id: String,
    first_step: u32,
    total_steps: u32,
    // Not a doc comment: definitions have to be small, and the value says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'static str>,
}

impl Tool for LogSteps {
    const NAME: &'static str = "log_steps";
    const TITLE: &'static str = "Log steps";
    const DESCRIPTION: &'static str = "Record steps of a running episode, failed ones too: what got \
        past an error becomes a lesson.";
    const EFFECT: Effect = Effect::Adds;
    type Output = Logged;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Logged> {
        if self.first_step == Some(0) {
            return Err(Error::invalid("first_step", "is 0; steps are counted from 1"));
        }
        let mut steps: Vec<Step> = self.steps.into_iter().map(Step::from).collect();
        steps.extend(self.checkpoint.map(Step::checkpoint));
        let (scope, id) = (session.scope(self.project)?, self.episode_id);
        let logged = session.memory.log_steps(&scope, id, steps, self.first_step).await?;
        Ok(Logged {
            episode_id: id.to_string(),
            first_step: logged.first,
            total_steps: logged.total,
            kept: not_stored_yet(logged.kept),
        })
    }
}

impl Output for Logged {
    fn text(&self) -> String {
        let Logged { episode_id, first_step, total_steps, kept } = self;
        let kept = not_stored_yet_text(*kept);
        format!(
            "Logged from step {first_step}; episode {episode_id} has {total_steps} steps.{kept}"
        )
    }
}
