//! Episodes and records that come from files: idempotent by their ids.

use std::collections::HashMap;
use std::sync::Arc;

use super::Memory;
use super::lifecycle::learn;
use crate::episode::{Episode, EpisodeId, RewardSource};
use crate::error::{Error, Result};
use crate::learning;
use crate::record::Record;
use crate::redact;
use crate::store::{EpisodeStore, Save, Scope, Write};

/// What became of one thing that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// It was not there before.
    Added,
    /// It was there in an older state.
    Updated,
    /// It was there already.
    Unchanged,
    /// It was forgotten, and stays so.
    Forgotten,
}

/// What is to be written for one record, or that nothing is.
enum Plan {
    Write(Intake, Box<Write>),
    Done(Intake),
}

impl<S: EpisodeStore> Memory<S> {
    /// Takes in records in order: imported episodes and native records alike. One read and one
    /// write for all of them, so give it hundreds at a time. Each has its own result.
    pub async fn take_in(&self, records: Vec<Record>) -> Result<Vec<Result<Intake>>> {
        let ids: Vec<EpisodeId> = records.iter().filter_map(episode_id).collect();
        let found = self.store().get(&Scope::All, &ids).await?;
        let mut known: HashMap<EpisodeId, Arc<Episode>> =
            found.into_iter().flatten().map(|e| (e.id, e)).collect();

        let mut results = Vec::with_capacity(records.len());
        let mut writes = Vec::new();
        for record in records {
            match self.plan(record, &mut known) {
                Ok(Plan::Write(intake, write)) => {
                    results.push(Ok(intake));
                    writes.push((results.len() - 1, *write));
                }
                Ok(Plan::Done(intake)) => results.push(Ok(intake)),
                Err(e) => results.push(Err(e)),
            }
        }
        if writes.is_empty() {
            return Ok(results);
        }
        let (places, writes): (Vec<usize>, Vec<Write>) = writes.into_iter().unzip();
        for (place, written) in places.into_iter().zip(self.store().write(writes).await?) {
            let slot = results.get_mut(place);
            match (written, slot) {
                (Err(Error::Forgotten { .. }), Some(slot)) => *slot = Ok(Intake::Forgotten),
                (Err(e), Some(slot)) => *slot = Err(e),
                _ => {}
            }
        }
        Ok(results)
    }

    fn plan(&self, record: Record, known: &mut HashMap<EpisodeId, Arc<Episode>>) -> Result<Plan> {
        let added = |write| Ok(Plan::Write(Intake::Added, Box::new(write)));
        match record {
            Record::Episode(episode) => self.plan_episode(*episode, known),
            Record::Pattern(lesson) | Record::Heuristic(lesson) => added(Write::PutLesson(lesson)),
            Record::Feedback(feedback) => added(Write::Feedback(feedback)),
            Record::Relation(relation) => added(Write::Relate(relation)),
            Record::Tombstone(tombstone) => added(Write::PutTombstone(tombstone)),
        }
    }

    fn plan_episode(
        &self,
        mut episode: Episode,
        known: &mut HashMap<EpisodeId, Arc<Episode>>,
    ) -> Result<Plan> {
        redact::redact_episode(&mut episode);
        let stored = known.get(&episode.id);
        let base = stored.map_or(0, |s| s.version);
        if let Some(stored) = stored {
            if stored.project != episode.project {
                return Err(Error::invalid(
                    "project",
                    format!(
                        "is {:?}, but episode {} is already recorded in another project; \
                         import it there, or forget it first",
                        episode.project, episode.id
                    ),
                ));
            }
            if is_unchanged(stored, &episode) {
                return Ok(Plan::Done(Intake::Unchanged));
            }
            if episode.source.is_some() && episode.version <= base {
                episode.version = base + 1;
                keep_judgement(stored, &mut episode);
            }
        }
        episode.version = episode.version.max(1);
        let lessons = if episode.is_running() {
            Vec::new()
        } else if episode.lessons.is_empty() {
            learn(&mut episode)
        } else {
            // An exported episode names its lessons; whatever else they rest on follows as records.
            let mut lessons = learning::extract(&episode);
            lessons.retain(|(lesson, _)| episode.lessons.contains(&lesson.id));
            lessons
        };
        episode.validate()?;
        let intake = if base == 0 { Intake::Added } else { Intake::Updated };
        let episode = Arc::new(episode);
        known.insert(episode.id, episode.clone());
        let write_id = self.fresh_write_id();
        Ok(Plan::Write(intake, Box::new(Write::Save(Save { episode, base, write_id, lessons }))))
    }
}

fn episode_id(record: &Record) -> Option<EpisodeId> {
    match record {
        Record::Episode(episode) => Some(episode.id),
        _ => None,
    }
}

/// An import is unchanged when its source is; a native record when it is no newer.
fn is_unchanged(stored: &Episode, incoming: &Episode) -> bool {
    match (&stored.source, &incoming.source) {
        (Some(a), Some(b)) if incoming.version <= stored.version => a == b,
        _ => incoming.version <= stored.version,
    }
}

/// What a user or an agent said about an episode outlives a later import of the same run, which nobody
/// judged.
fn keep_judgement(stored: &Episode, incoming: &mut Episode) {
    let by_user = stored.reward.as_ref().is_some_and(|r| r.source == RewardSource::User);
    let judged = |episode: &Episode| {
        episode.outcome.as_ref().is_some_and(|outcome| !learning::is_nobodys_word(outcome))
    };
    if by_user || judged(stored) && !judged(incoming) {
        incoming.reward.clone_from(&stored.reward);
        incoming.outcome.clone_from(&stored.outcome);
        incoming.ended_at = incoming.ended_at.or(stored.ended_at);
    }
    for (key, value) in &stored.metadata {
        incoming.metadata.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
