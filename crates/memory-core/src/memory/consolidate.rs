//! Consolidation: runs that repeat another one, and old ones where the user wants that, are archived.
//!
//! An archived episode stays as it is and can be shown; recall no longer returns it, but what it taught:
//! it remains evidence for its lessons. Each is archived by a write that is conditional on the version
//! that was looked at, so that agents may go on meanwhile and whoever is interrupted begins again.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Memory;
use crate::clock::Timestamp;
use crate::episode::{Episode, EpisodeId, LessonId, OutcomeKind};
use crate::error::{Error, Result};
use crate::learning::trace::action_text;
use crate::learning::{self, Evidence, Lesson};
use crate::recall::text::analyze;
use crate::store::{
    EpisodeStore, Filter, LessonQuery, ListQuery, Relation, RelationKind, Save, Scope, Write,
};

/// Episodes that are read, and archived, at a time.
const PAGE: usize = 100;

/// Lessons that so many episodes are evidence for, at most: a page of the store.
const LESSONS: usize = 1000;

/// What to consolidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Consolidate {
    /// Whose episodes.
    pub scope: Scope,
    /// Episodes that ended before are archived; `None`: age alone is no reason.
    pub archive_before: Option<Timestamp>,
    /// Only say what would be archived.
    pub dry_run: bool,
}

/// What was, or would be, archived.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Consolidated {
    /// Finished episodes that were looked at.
    pub looked_at: u64,
    /// In the order in which they were looked at: the latest first.
    pub archived: Vec<Archived>,
    /// Left as they are, because somebody changed them meanwhile.
    pub changed_meanwhile: u64,
}

/// One episode that is archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Archived {
    /// The episode.
    pub id: EpisodeId,
    /// Its task.
    pub task: String,
    /// The later run that it repeats; absent: it is old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<EpisodeId>,
    /// Lessons that it stays evidence for.
    pub lessons: usize,
}

impl<S: EpisodeStore> Memory<S> {
    /// Archives what repeats a later run (same project, task, actions and outcome), noting which, and
    /// what is older than the policy keeps. Tells `progress` after each page. Running it again finds
    /// nothing more to do.
    ///
    /// # Errors
    ///
    /// Those of the store; what was archived until then is.
    pub async fn consolidate(
        &self,
        what: &Consolidate,
        mut progress: impl FnMut(&Consolidated) + Send,
    ) -> Result<Consolidated> {
        let mut done = Consolidated::default();
        let mut latest: HashMap<[u8; 16], EpisodeId> = HashMap::new();
        let mut query = ListQuery {
            scope: what.scope.clone(),
            filter: Filter {
                states: OutcomeKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec(),
                ..Filter::default()
            },
            after: None,
            limit: PAGE,
        };
        loop {
            let page = self.store().list(&query).await?;
            let mut due: Vec<(Arc<Episode>, Option<EpisodeId>)> = Vec::new();
            for episode in page.episodes {
                done.looked_at += 1;
                let original =
                    repeated(&episode).and_then(|key| first_seen(&mut latest, key, episode.id));
                let ended = episode.ended_at.unwrap_or(episode.started_at);
                if original.is_some() || what.archive_before.is_some_and(|before| ended < before) {
                    due.push((episode, original));
                }
            }
            if what.dry_run {
                done.archived.extend(due.iter().map(|(episode, of)| archived(episode, *of)));
            } else if !due.is_empty() {
                self.archive(&what.scope, due, &mut done).await?;
            }
            progress(&done);
            query.after = page.next;
            if query.after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn archive(
        &self,
        scope: &Scope,
        due: Vec<(Arc<Episode>, Option<EpisodeId>)>,
        done: &mut Consolidated,
    ) -> Result<()> {
        let lessons = self.lessons_of(scope, &due).await?;
        let mut writes = Vec::with_capacity(2 * due.len());
        for (episode, original) in &due {
            // First, so that no archived duplicate is without it.
            if let Some(original) = original {
                writes.push(Write::Relate(Relation {
                    project: episode.project.clone(),
                    from: episode.id,
                    relation: RelationKind::Duplicates,
                    to: *original,
                    at: self.now(),
                }));
            }
            writes.push(Write::Save(self.archiving(episode, &lessons)));
        }
        let mut results = self.store().write(writes).await?.into_iter();
        for (episode, original) in &due {
            if original.is_some() {
                // One of them was forgotten: then there is nothing to be noted.
                let _ = results.next();
            }
            match results.next() {
                Some(Ok(_)) => done.archived.push(archived(episode, *original)),
                Some(Err(Error::Conflict { .. } | Error::Forgotten { .. })) => {
                    done.changed_meanwhile += 1;
                }
                Some(Err(e)) => return Err(e),
                None => {}
            }
        }
        Ok(())
    }

    /// A save replaces what an episode is evidence for, so it has to bring along what it is.
    fn archiving(&self, episode: &Episode, known: &HashMap<LessonId, Lesson>) -> Save {
        let mut changed = episode.clone();
        changed.archived_at = Some(self.now());
        changed.version += 1;
        let evidence = Evidence {
            episode: episode.id,
            success: episode.outcome.as_ref().is_some_and(|o| o.kind == OutcomeKind::Success),
            at: episode.ended_at.unwrap_or(episode.started_at),
        };
        let lessons = episode.lessons.iter().filter_map(|id| known.get(id));
        let lessons = lessons.map(|lesson| (lesson.clone(), evidence.clone())).collect();
        let (base, write_id) = (episode.version, self.fresh_write_id());
        Save { episode: Arc::new(changed), base, write_id, lessons }
    }

    /// The lessons of some episodes, as they are stored; those that are not among the first of a page
    /// as they would be drawn today.
    async fn lessons_of(
        &self,
        scope: &Scope,
        due: &[(Arc<Episode>, Option<EpisodeId>)],
    ) -> Result<HashMap<LessonId, Lesson>> {
        let drawn = due.iter().flat_map(|(episode, _)| learning::extract(episode));
        let mut known: HashMap<LessonId, Lesson> =
            drawn.map(|(lesson, _)| (lesson.id, lesson)).collect();
        let episodes = due.iter().map(|(episode, _)| episode.id).collect();
        let (scope, kinds, limit) = (scope.clone(), Vec::new(), LESSONS);
        let stored = self.store().lessons(&LessonQuery { scope, episodes, kinds, limit }).await?;
        known.extend(stored.into_iter().map(|scored| (scored.lesson.id, scored.lesson)));
        Ok(known)
    }
}

fn archived(episode: &Episode, duplicate_of: Option<EpisodeId>) -> Archived {
    let (id, task) = (episode.id, episode.task_description.clone());
    Archived { id, task, duplicate_of, lessons: episode.lessons.len() }
}

/// The run with this key that was seen before; the first one is remembered.
fn first_seen(
    latest: &mut HashMap<[u8; 16], EpisodeId>,
    key: [u8; 16],
    id: EpisodeId,
) -> Option<EpisodeId> {
    match latest.get(&key) {
        Some(first) => Some(*first),
        None => {
            latest.insert(key, id);
            None
        }
    }
}

/// What a run has in common with its repetitions: recall shows them as one. A note, which has no steps,
/// repeats nothing: the same words elsewhere in a conversation mean something else.
fn repeated(episode: &Episode) -> Option<[u8; 16]> {
    let outcome = episode.outcome.as_ref()?;
    if episode.steps.is_empty() {
        return None;
    }
    let reward = episode.reward.as_ref().map_or(-1.0, |reward| reward.score);
    let mut digest = Sha256::new();
    let mut add = |part: &str| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    };
    add(&episode.project);
    add(&episode.task_type);
    add(&analyze(&episode.task_description));
    add(outcome.kind.as_str());
    add(&reward.to_string());
    for step in &episode.steps {
        add(&action_text(step).split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let digest = digest.finalize();
    digest.first_chunk::<16>().copied()
}
