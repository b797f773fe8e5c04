//! What was recalled for which episode. It goes to the store with the episode's next write, so it costs
//! no round trip of its own; the episode's outcome then counts for what was recalled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Memory;
use crate::episode::{EpisodeId, LessonId};
use crate::recall::Recall;
use crate::store::{EpisodeStore, Feedback, FeedbackVerdict, Write};

/// Episodes of which something waits. One that is never written to again would wait for ever.
const MAX_EPISODES: usize = 1000;

/// By episode, what waits for its next write.
#[derive(Debug, Default)]
pub(super) struct Attributions(Mutex<HashMap<EpisodeId, Vec<LessonId>>>);

impl Attributions {
    fn lock(&self) -> MutexGuard<'_, HashMap<EpisodeId, Vec<LessonId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, episode: EpisodeId, subjects: impl IntoIterator<Item = LessonId>) {
        let mut waiting = self.lock();
        if waiting.len() >= MAX_EPISODES && !waiting.contains_key(&episode) {
            waiting.clear();
        }
        let list = waiting.entry(episode).or_default();
        for subject in subjects {
            if !list.contains(&subject) {
                list.push(subject);
            }
        }
    }

    /// What waits for this episode's write, once. To be given back when the write fails.
    pub(super) fn take(&self, episode: EpisodeId) -> Vec<LessonId> {
        self.lock().remove(&episode).unwrap_or_default()
    }

    pub(super) fn give_back(&self, episode: EpisodeId, subjects: Vec<LessonId>) {
        if !subjects.is_empty() {
            self.add(episode, subjects);
        }
    }
}

impl<S: EpisodeStore> Memory<S> {
    /// Remembers that `recall` was returned to an episode: stored with the next steps or the
    /// completion of that episode, whose outcome then counts for what was recalled.
    pub fn attribute(&self, episode: EpisodeId, recall: &Recall) {
        let items = recall.items.iter().map(|item| LessonId::from_bytes(*item.id.as_bytes()));
        self.recalled.add(episode, items.chain(recall.lessons.iter().map(|lesson| lesson.id)));
    }

    /// What waits for a completion, as writes to go along with it.
    pub(super) fn attributions(
        &self,
        project: &str,
        by: EpisodeId,
        subjects: &[LessonId],
    ) -> Vec<Write> {
        let at = self.now();
        let word = |subject: &LessonId| Feedback {
            subject: *subject,
            by,
            project: project.to_owned(),
            verdict: FeedbackVerdict::Recalled,
            at,
        };
        subjects.iter().map(|subject| Write::Feedback(word(subject))).collect()
    }
}
