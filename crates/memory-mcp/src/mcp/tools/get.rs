//! Get one episode.

use std::fmt::Write as _;

use memory_core::learning::handoff;
use memory_core::{Episode, EpisodeId, EpisodeStore, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::{BRIEF_CHARS, EpisodeHead, FULL_CHARS, StepView};
use super::{Effect, Output, Tool, bounded};
use crate::mcp::arguments::parsed;
use crate::mcp::session::Session;

/// Steps shown with an episode, unless the call says otherwise: about 4,000 tokens at most.
const STEPS_SHOWN: u32 = 20;
const MAX_STEPS_SHOWN: u32 = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GetEpisode {
    #[serde(deserialize_with = "parsed")]
    #[schemars(with = "String")]
    episode_id: EpisodeId,
    from_step: Option<u32>,
    /// Default 20; 1 shows it in full.
    step_count: Option<u32>,
    project: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EpisodeDetail {
    episode: EpisodeHead,
    steps: Vec<StepView>,
    total_steps: usize,
    // Where to go on. No doc comments here: definitions have to be small.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<usize>,
    // What whoever goes on with a running episode needs to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    handoff: Option<String>,
}

impl Tool for GetEpisode {
    const NAME: &'static str = "get_episode";
    const TITLE: &'static str = "Get episode";
    const DESCRIPTION: &'static str =
        "An episode with its steps, shortened; of a running one the hand-off.";
    const EFFECT: Effect = Effect::Reads;
    type Output = EpisodeDetail;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<EpisodeDetail> {
        let from = bounded("from_step", self.from_step, 1, 1..=u32::MAX)?;
        let count = bounded("step_count", self.step_count, STEPS_SHOWN, 0..=MAX_STEPS_SHOWN)?;
        let episode =
            session.memory.require(&session.scope(self.project)?, self.episode_id).await?;
        Ok(EpisodeDetail::of(&episode, from, count))
    }
}

/// An episode as a text to be read, with as many steps as a call may ask for.
pub(in crate::mcp) fn whole(episode: &Episode) -> String {
    EpisodeDetail::of(episode, 1, MAX_STEPS_SHOWN as usize).text()
}

impl EpisodeDetail {
    fn of(episode: &Episode, from: usize, count: usize) -> Self {
        let max = if count == 1 { FULL_CHARS } else { BRIEF_CHARS };
        let steps = episode.steps.iter().skip(from - 1).take(count);
        let next = from.saturating_add(count);
        EpisodeDetail {
            episode: EpisodeHead::of(episode),
            steps: steps.map(|step| StepView::of(step, max)).collect(),
            total_steps: episode.steps.len(),
            next_step: (next <= episode.steps.len()).then_some(next),
            handoff: episode.is_running().then(|| handoff(episode)),
        }
    }
}

impl Output for EpisodeDetail {
    fn text(&self) -> String {
        let mut text = self.episode.text();
        let _ = write!(text, "\n{} steps", self.total_steps);
        for step in &self.steps {
            let _ = write!(text, "\n{}", step.text());
        }
        if let Some(next) = self.next_step {
            let _ = write!(text, "\nMore: from_step {next}");
        }
        if let Some(handoff) = &self.handoff {
            let _ = write!(text, "\n\n{handoff}");
        }
        text
    }
}
