//! Start, log steps, complete.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Memory;
use crate::episode::{
    Context, Episode, EpisodeId, MetadataValue, Outcome, Reflection, Reward, Step, WriteId,
};
use crate::error::{Error, Result};
use crate::learning::{self, Evidence, Lesson};
use crate::redact;
use crate::store::{AppendSteps, EpisodeStore, Kept, Save, Scope, Write, Written};

/// How often a completion is tried again when steps arrive at the same moment.
const COMPLETE_ATTEMPTS: usize = 8;

/// What is known about a task when work on it begins.
#[derive(Debug, Clone, Default)]
pub struct NewEpisode {
    /// Made by the client, if it wants a retry of the start to be harmless; else a fresh one.
    pub id: Option<EpisodeId>,
    /// The scope.
    pub project: String,
    /// What kind of task; may be empty.
    pub task_type: String,
    /// The task.
    pub task: String,
    /// Where it takes place.
    pub context: Context,
    /// For filters.
    pub metadata: BTreeMap<String, MetadataValue>,
}

/// The answer to logging steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepsLogged {
    /// Number of the first step of the call.
    pub first: u32,
    /// Steps of the episode now.
    pub total: u32,
    /// Where they are.
    pub kept: Kept,
}

/// How an episode ended.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The outcome.
    pub outcome: Outcome,
    /// The reward, if an environment or a user gave one; else it is computed.
    pub reward: Option<Reward>,
    /// The agent's own reflection; else one is drawn from the steps.
    pub reflection: Reflection,
}

/// A completed episode and what it taught.
#[derive(Debug, Clone)]
pub struct Completed {
    /// As stored.
    pub episode: Arc<Episode>,
    /// Patterns and heuristics it is evidence for.
    pub lessons: Vec<Lesson>,
    /// Where it is.
    pub kept: Kept,
}

impl<S: EpisodeStore> Memory<S> {
    /// Records that work on a task began. Durable when it returns.
    pub async fn start(&self, new: NewEpisode) -> Result<Arc<Episode>> {
        Ok(self.start_kept(new).await?.0)
    }

    /// Like [`start`](Self::start), and says where the record is.
    pub async fn start_kept(&self, new: NewEpisode) -> Result<(Arc<Episode>, Kept)> {
        let now = self.now();
        let id = new.id.unwrap_or_else(|| EpisodeId::generate(now));
        let mut episode = Episode::start(id, new.project, new.task, now);
        episode.task_type = new.task_type;
        episode.context = new.context;
        episode.metadata = new.metadata;
        redact::redact_episode(&mut episode);
        episode.validate()?;
        let episode = Arc::new(episode);
        // Derived from the id alone: starting the same episode again is a replay, not a conflict.
        let write_id = WriteId::derive(&[b"start", id.as_bytes()]);
        let save = Save { episode: episode.clone(), base: 0, write_id, lessons: Vec::new() };
        let Written { kept, .. } = self.write_one(Write::Save(save)).await?;
        Ok((episode, kept))
    }

    /// Adds steps to a running episode. `first` is the number the first of them must get; a caller
    /// that gives it can repeat the call after a lost answer without adding the steps twice.
    pub async fn log_steps(
        &self,
        scope: &Scope,
        id: EpisodeId,
        mut steps: Vec<Step>,
        first: Option<u32>,
    ) -> Result<StepsLogged> {
        if steps.is_empty() {
            return Err(Error::invalid("steps", "is empty; give at least one step"));
        }
        let now = self.now();
        for (i, step) in steps.iter_mut().enumerate() {
            redact::redact_step(step);
            step.validate().map_err(|e| e.within(&format!("steps[{i}]")))?;
            step.at.get_or_insert(now);
        }
        let count = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let write_id = match first {
            Some(n) => replay_id(id, n, &steps)?,
            None => self.fresh_write_id(),
        };
        let recalled = self.recalled.take(id);
        let append = AppendSteps {
            id,
            scope: scope.clone(),
            steps,
            first,
            write_id,
            recalled: recalled.clone(),
        };
        let written = self.write_one(Write::AppendSteps(append)).await;
        let written = written.inspect_err(|_| self.recalled.give_back(id, recalled))?;
        let first = first.unwrap_or_else(|| written.steps.saturating_sub(count) + 1);
        Ok(StepsLogged { first, total: written.steps, kept: written.kept })
    }

    /// Records how an episode ended, scores it, reflects on it, and merges what it taught.
    ///
    /// Completing it again with the same outcome returns what is stored; with another outcome it is
    /// an [`Error::Completed`].
    pub async fn complete(
        &self,
        scope: &Scope,
        id: EpisodeId,
        completion: Completion,
    ) -> Result<Completed> {
        completion.outcome.validate()?;
        if let Some(reward) = &completion.reward {
            reward.validate()?;
        }
        let write_id = self.fresh_write_id();
        let mut attempt = 1;
        // Good enough for the first attempt: when it is too old, the write says so.
        let mut base = self.store().get_base(scope, id).await?.filter(|base| base.is_running());
        loop {
            let stored = match base.take() {
                Some(base) => base,
                None => self.require(scope, id).await?,
            };
            if let Some(outcome) = &stored.outcome {
                if outcome.kind == completion.outcome.kind {
                    let lessons = learning::extract(&stored).into_iter().map(|(l, _)| l).collect();
                    return Ok(Completed { episode: stored, lessons, kept: Kept::Stored });
                }
                return Err(Error::Completed { id, outcome: outcome.kind.to_string() });
            }
            let (episode, lessons) = self.finish(&stored, &completion)?;
            let episode = Arc::new(episode);
            let save = Save { episode: episode.clone(), base: stored.version, write_id, lessons };
            let lessons = save.lessons.iter().map(|(lesson, _)| lesson.clone()).collect();
            let recalled = self.recalled.take(id);
            let mut writes = self.attributions(&episode.project, id, &recalled);
            writes.push(Write::Save(save));
            let written = self.write_last(writes).await;
            match written.inspect_err(|_| self.recalled.give_back(id, recalled)) {
                Ok(Written { kept, .. }) => return Ok(Completed { episode, lessons, kept }),
                // Steps were logged between the read and the write: take them in as well.
                Err(Error::Conflict { .. }) if attempt < COMPLETE_ATTEMPTS => attempt += 1,
                Err(e) => return Err(e),
            }
        }
    }

    /// The completed form of a running episode, with what it teaches.
    fn finish(
        &self,
        running: &Episode,
        completion: &Completion,
    ) -> Result<(Episode, Vec<(Lesson, Evidence)>)> {
        let mut episode = running.clone();
        // A clock that went backwards must not end an episode before it began.
        episode.ended_at = Some(self.now().max(running.started_at));
        episode.outcome = Some(completion.outcome.clone());
        episode.reward = completion.reward.clone();
        episode.reflection = completion.reflection.clone();
        episode.version = running.version + 1;
        redact::redact_episode(&mut episode);
        let lessons = learn(&mut episode);
        episode.validate()?;
        Ok((episode, lessons))
    }

    /// The episode, or [`Error::NotFound`].
    pub async fn require(&self, scope: &Scope, id: EpisodeId) -> Result<Arc<Episode>> {
        let found = self.store().get(scope, &[id]).await?;
        found.into_iter().next().flatten().ok_or_else(|| not_found(id))
    }
}

/// An episode that is not in the scope.
pub(super) fn not_found(id: EpisodeId) -> Error {
    Error::NotFound {
        kind: "episode",
        id: id.to_string(),
        hint: "check the id and the project, or start a new episode",
    }
}

/// Fills in what a completed episode does not say itself (reward, reflection), and draws its lessons.
pub(super) fn learn(episode: &mut Episode) -> Vec<(Lesson, Evidence)> {
    if episode.reward.is_none() {
        episode.reward = learning::score(episode);
    }
    if episode.reflection.is_empty() {
        episode.reflection = learning::reflect(episode);
    }
    let lessons = learning::extract(episode);
    episode.lessons = lessons.iter().map(|(lesson, _)| lesson.id).collect();
    lessons
}

/// The same steps at the same place of the same episode are the same write.
fn replay_id(id: EpisodeId, first: u32, steps: &[Step]) -> Result<WriteId> {
    let mut parts = vec![id.as_bytes().to_vec(), first.to_be_bytes().to_vec()];
    for step in steps {
        // The time of a repeated call differs; what was done does not.
        let step = Step { at: None, ..step.clone() };
        let text = serde_json::to_vec(&step).map_err(|e| Error::invalid("steps", e.to_string()))?;
        parts.push(text);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(WriteId::derive(&parts))
}
