//! Complete an episode.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use memory_core::learning::Lesson;
use memory_core::memory::Completion;
use memory_core::{
    EpisodeId, EpisodeStore, Outcome, OutcomeKind, Reflection, Result, Reward, RewardSource,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::view::{BRIEF_CHARS, line, score};
use super::{Effect, Output, Tool, not_stored_yet, not_stored_yet_text, renamed};
use crate::mcp::arguments::{or_default, parsed};
use crate::mcp::session::Session;

/// Lessons that the answer to a completion names; recall finds all of them.
const LESSONS_SHOWN: usize = 10;

/// The domain's names of fields, and the tool's.
const NAMES: [(&str, &str); 3] =
    [("outcome.verdict", "verdict"), ("outcome.at_step", "at_step"), ("reward.score", "reward")];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompleteEpisode {
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "String")]
    episode_id: EpisodeId,
    /// abstained: you declined; abandoned: work stopped; unjudged: unknown.
    #[schemars(schema_with = "outcomes")]
    outcome: OutcomeKind,
    /// What was achieved, or why it failed.
    verdict: Option<String>,
    /// For abstained: at which step.
    at_step: Option<u32>,
    /// 0 to 1, if one was given; else computed.
    reward: Option<f64>,
    /// Else drawn from the steps.
    reflection: Option<ReflectionArguments>,
    project: Option<String>,
}

fn outcomes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": OutcomeKind::ALL})
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ReflectionArguments {
    #[serde(deserialize_with = "or_default")]
    worked: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    failed: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    next_time: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Completed {
    episode_id: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<f64>,
    steps: usize,
    lessons: Vec<LessonView>,
    total_lessons: usize,
    // As for logged steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'static str>,
}

/// What an episode taught.
#[derive(Serialize, JsonSchema)]
struct LessonView {
    lesson_id: String,
    kind: &'static str,
    condition: String,
    action: String,
}

impl LessonView {
    fn of(lesson: &Lesson) -> Self {
        LessonView {
            lesson_id: lesson.id.to_string(),
            kind: lesson.lesson_kind.as_str(),
            condition: line(&lesson.condition, BRIEF_CHARS),
            action: line(&lesson.action, BRIEF_CHARS),
        }
    }
}

impl Tool for CompleteEpisode {
    const NAME: &'static str = "complete_episode";
    const TITLE: &'static str = "Complete episode";
    const DESCRIPTION: &'static str = "End an episode, well or not: it is scored, and recalled \
        with its lessons.";
    const EFFECT: Effect = Effect::Sets;
    type Output = Completed;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Completed> {
        let (scope, id) = (session.scope(self.project)?, self.episode_id);
        let reflection = self.reflection.unwrap_or_default();
        let completion = Completion {
            outcome: Outcome {
                kind: self.outcome,
                verdict: self.verdict.unwrap_or_default(),
                at_step: self.at_step,
            },
            reward: self.reward.map(|score| Reward {
                score,
                source: RewardSource::Environment,
                components: BTreeMap::new(),
            }),
            reflection: Reflection {
                worked: reflection.worked,
                failed: reflection.failed,
                next_time: reflection.next_time,
            },
        };
        let done = session
            .memory
            .complete(&scope, id, completion)
            .await
            .map_err(|e| renamed(e, &NAMES))?;
        Ok(Completed {
            episode_id: id.to_string(),
            outcome: done.episode.state(),
            reward: score(done.episode.reward.as_ref()),
            steps: done.episode.steps.len(),
            lessons: done.lessons.iter().take(LESSONS_SHOWN).map(LessonView::of).collect(),
            total_lessons: done.lessons.len(),
            kept: not_stored_yet(done.kept),
        })
    }
}

impl Output for Completed {
    fn text(&self) -> String {
        let Completed { episode_id, outcome, steps, total_lessons, kept, .. } = self;
        let kept = not_stored_yet_text(*kept);
        let reward = self.reward.map_or(String::new(), |r| format!(", reward {r}"));
        let mut text = format!(
            "Episode {episode_id} completed: {outcome}{reward}, {steps} steps, {total_lessons} lessons.{kept}"
        );
        for lesson in &self.lessons {
            let LessonView { lesson_id, kind, condition, action } = lesson;
            let _ = write!(text, "\n{lesson_id} ({kind}): {condition} -> {action}");
        }
        text
    }
}
