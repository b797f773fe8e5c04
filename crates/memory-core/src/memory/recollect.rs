//! Recall, feedback, forget.

use super::Memory;
use crate::episode::EpisodeId;
use crate::error::Result;
use crate::learning::{self, Playbook, ScoredLesson};
use crate::recall::{self, Candidates, Ranking, Recall, RecallQuery};
use crate::store::{
    EpisodeStore, Feedback, Filter, Forget, LessonQuery, ListQuery, Relation, Scope, Write,
};

/// The best hits whose lessons are read, in the same round trip as the episodes and so before these
/// are ranked.
const LESSON_EPISODES: usize = 16;

/// Runs that a playbook is drawn from: the latest say what works now.
const PLAYBOOK_RUNS: usize = 200;

/// Lessons that are read for one recall, those with the most evidence first: enough that the calls
/// of a task, which few runs made, are among them. The budget leaves room for a few.
const LESSONS: usize = 160;

impl<S: EpisodeStore> Memory<S> {
    /// What helps with a task: similar episodes and the lessons behind them, within a token budget.
    pub async fn recall(&self, query: &RecallQuery) -> Result<Recall> {
        let (ranking, lessons) = self.ranked(query).await?;
        Ok(recall::render(query, &ranking, &lessons, self.now()))
    }

    /// The ranking behind [`recall`](Self::recall), before it is put into a token budget.
    pub async fn ranking(&self, query: &RecallQuery) -> Result<Ranking> {
        Ok(self.ranked(query).await?.0)
    }

    async fn ranked(&self, query: &RecallQuery) -> Result<(Ranking, Vec<ScoredLesson>)> {
        query.validate()?;
        let found = self.store().search(&query.search()).await?;
        if found.hits.is_empty() {
            let none = Candidates { found: &found, episodes: &[] };
            return Ok((recall::rank(query, &none, self.now()), Vec::new()));
        }
        let ids = recall::candidates(&found);
        let lessons = LessonQuery {
            scope: query.scope.clone(),
            episodes: ids.iter().take(LESSON_EPISODES).copied().collect(),
            kinds: Vec::new(),
            limit: LESSONS,
        };
        let read = self.store().recollect(&ids, &lessons).await?;
        let episodes: Vec<_> = read.episodes.into_iter().flatten().collect();
        let candidates = Candidates { found: &found, episodes: &episodes };
        Ok((recall::rank(query, &candidates, self.now()), read.lessons))
    }

    /// Records whether something recalled was of use. The last word per (subject, by) counts.
    pub async fn feedback(&self, feedback: Feedback) -> Result<()> {
        self.write_one(Write::Feedback(feedback)).await.map(|_| ())
    }

    /// What the latest runs that `filter` lets through share: see [`learning::playbook()`].
    pub async fn playbook(&self, scope: &Scope, filter: Filter) -> Result<Playbook> {
        let mut query =
            ListQuery { scope: scope.clone(), filter, after: None, limit: PLAYBOOK_RUNS };
        let mut episodes = Vec::new();
        loop {
            let page = self.store().list(&query).await?;
            episodes.extend(page.episodes);
            query.limit = PLAYBOOK_RUNS.saturating_sub(episodes.len());
            query.after = page.next;
            if query.limit == 0 || query.after.is_none() {
                return Ok(learning::playbook(&episodes));
            }
        }
    }

    /// Relates two episodes of a project. Doing it again is harmless.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid): it would close a cycle among relations where order
    /// matters. [`Error::NotFound`](crate::Error::NotFound): one of them is not in the project.
    pub async fn relate(&self, relation: Relation) -> Result<()> {
        self.write_one(Write::Relate(relation)).await.map(|_| ())
    }

    /// Deletes an episode and all that points to it. Forgetting it again is harmless.
    pub async fn forget(&self, scope: &Scope, id: EpisodeId) -> Result<()> {
        let forget = Forget { id, scope: scope.clone(), at: self.now() };
        self.write_one(Write::Forget(forget)).await.map(|_| ())
    }
}
