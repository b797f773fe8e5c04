//! Recall, feedback, forget.

use std::collections::HashMap;

use super::Memory;
use crate::episode::EpisodeId;
use crate::error::Result;
use crate::recall::{self, Candidates, Recall, RecallQuery};
use crate::store::{EpisodeStore, Feedback, Forget, LessonQuery, Scope, Write};

/// Lessons that are read for one recall; the budget leaves room for a few of them.
const LESSONS: usize = 24;

impl<S: EpisodeStore> Memory<S> {
    /// What helps with a task: similar episodes and the lessons behind them, within a token budget.
    pub async fn recall(&self, query: &RecallQuery) -> Result<Recall> {
        query.validate()?;
        let found = self.store().search(&query.search()).await?;
        let ids: Vec<EpisodeId> = found.hits.iter().map(|hit| hit.id).collect();
        let episodes = self.store().get(&query.scope, &ids).await?;
        let episodes: Vec<_> = episodes.into_iter().flatten().collect();
        let feedback = HashMap::new();
        let candidates = Candidates { found: &found, episodes: &episodes, feedback: &feedback };
        let ranking = recall::rank(query, &candidates, self.now());
        let about: Vec<EpisodeId> = ranking.results.iter().map(|r| r.episode.id).collect();
        let lessons = if about.is_empty() {
            Vec::new()
        } else {
            let scope = query.scope.clone();
            let wanted =
                LessonQuery { scope, episodes: about, kinds: Vec::new(), limit: LESSONS };
            self.store().lessons(&wanted).await?
        };
        Ok(recall::render(query, &ranking, &lessons, self.now()))
    }

    /// Records whether something recalled was of use. The last word per (subject, by) counts.
    pub async fn feedback(&self, feedback: Feedback) -> Result<()> {
        self.write_one(Write::Feedback(feedback)).await.map(|_| ())
    }

    /// Deletes an episode and all that points to it. Forgetting it again is harmless.
    pub async fn forget(&self, scope: &Scope, id: EpisodeId) -> Result<()> {
        let forget = Forget { id, scope: scope.clone(), at: self.now() };
        self.write_one(Write::Forget(forget)).await.map(|_| ())
    }
}
