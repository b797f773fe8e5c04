//! Somebody's verdict on an episode that is completed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Memory;
use super::lifecycle::learn;
use crate::episode::{Episode, EpisodeId, Outcome, OutcomeKind, Reflection, Reward, RewardSource};
use crate::error::{Error, Result};
use crate::learning;
use crate::redact;
use crate::store::{EpisodeStore, Save, Scope, Write};

/// How often a rating is tried again when somebody writes to the episode at the same moment.
const ATTEMPTS: usize = 8;

impl<S: EpisodeStore> Memory<S> {
    /// Takes a person's word on a completed episode in place of whatever its outcome was. Its lessons are
    /// drawn anew, so their statistics move with it. `note` says why; empty: only that a user said so.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: it is still running. [`Error::NotFound`]: it is not in the scope.
    pub async fn rate(
        &self,
        scope: &Scope,
        id: EpisodeId,
        kind: OutcomeKind,
        note: &str,
    ) -> Result<Arc<Episode>> {
        let write_id = self.fresh_write_id();
        let mut attempt = 1;
        loop {
            let stored = self.require(scope, id).await?;
            let (episode, lessons) = rated(&stored, kind, note)?;
            let episode = Arc::new(episode);
            let save = Save { episode: episode.clone(), base: stored.version, write_id, lessons };
            match self.write_one(Write::Save(save)).await {
                Ok(_) => return Ok(episode),
                Err(Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(e) => return Err(e),
            }
        }
    }
}

type Lessons = Vec<(learning::Lesson, learning::Evidence)>;

fn rated(stored: &Episode, kind: OutcomeKind, note: &str) -> Result<(Episode, Lessons)> {
    if stored.is_running() {
        let problem =
            format!("{} is still running; complete it, or rate it when it has ended", stored.id);
        return Err(Error::invalid("episode", problem));
    }
    let mut episode = stored.clone();
    let verdict = match note.trim() {
        "" => format!("a user rated it {kind}"),
        note => note.to_owned(),
    };
    episode.outcome = Some(Outcome::new(kind, verdict));
    let score = if kind == OutcomeKind::Success { 1.0 } else { 0.0 };
    episode.reward =
        Some(Reward { score, source: RewardSource::User, components: BTreeMap::new() });
    // What was drawn from the old outcome is drawn anew; what somebody wrote stays.
    if stored.reflection == learning::reflect(stored) {
        episode.reflection = Reflection::default();
    }
    episode.version = stored.version + 1;
    redact::redact_episode(&mut episode);
    let lessons = learn(&mut episode);
    episode.validate()?;
    Ok((episode, lessons))
}
