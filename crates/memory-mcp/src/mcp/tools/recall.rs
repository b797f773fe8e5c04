//! What helps with a task.

use std::borrow::Cow;

use memory_core::recall::{Recall, RecallQuery};
use memory_core::{EpisodeId, EpisodeStore, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::filter::FilterArguments;
use super::{Effect, Output, Tool};
use crate::mcp::arguments::{or_default, parsed_option};
use crate::mcp::session::Session;

/// Tokens of a recall that was asked for, unless the call says otherwise: the agent wants to know.
const BUDGET_TOKENS: u32 = 1500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecallForTask {
    /// The task or problem, with error messages.
    task: String,
    #[serde(default, deserialize_with = "or_default")]
    filter: FilterArguments,
    /// Episodes; default 5.
    limit: Option<u32>,
    /// Default 1500.
    budget_tokens: Option<u32>,
    /// Yours.
    #[serde(default, deserialize_with = "parsed_option")]
    #[schemars(with = "Option<String>")]
    episode_id: Option<EpisodeId>,
    project: Option<String>,
}

/// What was found, as the domain renders it.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Recalled(Recall);

impl Recalled {
    /// Asks the memory.
    pub(super) async fn by<S: EpisodeStore>(
        session: &Session<S>,
        query: &RecallQuery,
    ) -> Result<Self> {
        session.memory.recall(query).await.map(Recalled)
    }

    /// Remembers which episode asked.
    pub(super) fn attribute<S: EpisodeStore>(&self, session: &Session<S>, id: EpisodeId) {
        session.memory.attribute(id, &self.0);
    }
}

impl JsonSchema for Recalled {
    fn schema_name() -> Cow<'static, str> {
        "Recalled".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "mode": {"type": "string"},
                "nothing_relevant": {"type": "string"},
                "items": {"type": "array"},
                "lessons": {"type": "array"},
                "left_out": {"type": "integer"},
                "tokens": {"type": "integer"},
            },
        })
    }
}

impl Output for Recalled {
    fn text(&self) -> String {
        self.0.to_text()
    }
}

impl Tool for RecallForTask {
    const NAME: &'static str = "recall";
    const TITLE: &'static str = "Recall";
    const DESCRIPTION: &'static str =
        "Earlier episodes and lessons that help with a task or problem, if any.";
    const EFFECT: Effect = Effect::Reads;
    type Output = Recalled;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Recalled> {
        let mut query = RecallQuery::new(self.task, session.scope(self.project)?);
        query.filter = self.filter.build(session.memory.now())?;
        if let Some(limit) = self.limit {
            query.limit = size(limit);
        }
        query.budget_tokens = size(self.budget_tokens.unwrap_or(BUDGET_TOKENS));
        let recalled = Recalled::by(session, &query).await?;
        if let Some(id) = self.episode_id {
            recalled.attribute(session, id);
        }
        Ok(recalled)
    }
}

/// A count; those that no memory can hold are as good as the largest.
pub(super) fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
