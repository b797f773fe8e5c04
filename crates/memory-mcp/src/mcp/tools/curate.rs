//! Feedback on what was recalled, and forgetting.

use memory_core::store::{Feedback, FeedbackVerdict};
use memory_core::{EpisodeId, EpisodeStore, LessonId, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Effect, Output, Tool};
use crate::mcp::arguments::{parsed, parsed_option};
use crate::mcp::session::Session;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiveFeedback {
    /// Id of the recalled episode or lesson.
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "String")]
    subject_id: LessonId,
    /// wrong: never recall it again.
    #[schemars(schema_with = "verdicts")]
    verdict: FeedbackVerdict,
    /// Where it did or did not help.
    #[serde(default, deserialize_with = "parsed_option")]
    #[schemars(with = "Option<String>")]
    episode_id: Option<EpisodeId>,
    project: Option<String>,
}

fn verdicts(_: &mut SchemaGenerator) -> Schema {
    use FeedbackVerdict::{DidNotHelp, Helped, Wrong};
    json_schema!({"type": "string", "enum": [Helped, DidNotHelp, Wrong]})
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Noted {
    subject_id: String,
    #[schemars(with = "String")]
    verdict: FeedbackVerdict,
}

impl Tool for GiveFeedback {
    const NAME: &'static str = "feedback";
    const TITLE: &'static str = "Feedback";
    const DESCRIPTION: &'static str =
        "Say whether something recalled was of use; the last word counts.";
    const EFFECT: Effect = Effect::Sets;
    type Output = Noted;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Noted> {
        let feedback = Feedback {
            subject: self.subject_id,
            by: self.episode_id.unwrap_or(session.id),
            project: session.project(self.project)?,
            verdict: self.verdict,
            at: session.memory.now(),
        };
        session.memory.feedback(feedback).await?;
        Ok(Noted { subject_id: self.subject_id.to_string(), verdict: self.verdict })
    }
}

impl Output for Noted {
    fn text(&self) -> String {
        format!("Feedback on {} is noted.", self.subject_id)
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetEpisode {
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "String")]
    episode_id: EpisodeId,
    project: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Forgotten {
    episode_id: String,
}

impl Tool for ForgetEpisode {
    const NAME: &'static str = "forget_episode";
    const TITLE: &'static str = "Forget episode";
    const DESCRIPTION: &'static str =
        "Delete an episode for good, and its part in what was learned.";
    const EFFECT: Effect = Effect::Deletes;
    type Output = Forgotten;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Forgotten> {
        session.memory.forget(&session.scope(self.project)?, self.episode_id).await?;
        Ok(Forgotten { episode_id: self.episode_id.to_string() })
    }
}

impl Output for Forgotten {
    fn text(&self) -> String {
        format!("Episode {} is forgotten.", self.episode_id)
    }
}
