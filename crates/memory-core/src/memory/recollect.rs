//! Recall, feedback, forget.

use std::sync::Arc;

use super::Memory;
use crate::episode::{Episode, EpisodeId};
use crate::error::Result;
use crate::learning::{self, Playbook, ScoredLesson};
use crate::recall::similar::lets_through;
use crate::recall::{self, Candidates, Mode, Nearest, Ranking, Recall, RecallQuery, Similar};
use crate::store::{
    EpisodeStore, Feedback, Filter, Forget, LessonQuery, ListQuery, Relation, Scope, SearchHit,
    SearchQuery, SearchResult, Write,
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
        let (search, similar) = (query.search(), query.similar());
        let (found, similar) =
            futures::join!(self.store().search(&search), self.store().similar(&similar));
        let mut found = found?;
        let (nearest, mode, degraded) = match similar {
            Similar::Off => (Nearest::default(), Mode::Lexical, None),
            Similar::Unavailable(reason) => (Nearest::default(), Mode::Lexical, Some(reason)),
            Similar::Found(nearest) => (nearest, Mode::LexicalAndEmbeddings, None),
        };
        let ids = recall::candidates(&found, query.thorough);
        found.join_synonyms();
        let beyond = nearest.beyond(&ids);
        let mut ranked = (Ranking::default(), Vec::new());
        if ids.is_empty() && beyond.is_empty() {
            let none = Candidates { found: &found, episodes: &[], nearest: &nearest };
            ranked.0 = recall::rank(query, &none, self.now());
        } else {
            let read = self.read_candidates(&search, &mut found, &ids, &beyond).await?;
            let candidates = Candidates { found: &found, episodes: &read.0, nearest: &nearest };
            ranked = (recall::rank(query, &candidates, self.now()), read.1);
        }
        (ranked.0.mode, ranked.0.degraded) = (mode, degraded);
        Ok(ranked)
    }

    /// Reads what words found, and what meaning found beyond them: that joins the hits, with a score
    /// of 0, where the filter lets it through.
    async fn read_candidates(
        &self,
        search: &SearchQuery,
        found: &mut SearchResult,
        by_words: &[EpisodeId],
        beyond: &[EpisodeId],
    ) -> Result<(Vec<Arc<Episode>>, Vec<ScoredLesson>)> {
        let best =
            |ids: &[EpisodeId]| ids.iter().take(LESSON_EPISODES).copied().collect::<Vec<_>>();
        let lessons = LessonQuery {
            scope: search.scope.clone(),
            episodes: [best(by_words), best(beyond)].concat(),
            kinds: Vec::new(),
            limit: LESSONS,
        };
        let ids = [by_words, beyond].concat();
        // A request of its own, beside the other and only where there is something to be asked: a
        // search by words, which knows this of its hits, does not wait for the embedding of the query.
        let said = async {
            if beyond.is_empty() { Ok(Vec::new()) } else { self.store().said(beyond).await }
        };
        let (read, said) = futures::join!(self.store().recollect(&ids, &lessons), said);
        let (read, said) = (read?, said?);
        let (words, meaning) = read.episodes.split_at_checked(by_words.len()).unwrap_or_default();
        let mut episodes: Vec<_> = words.iter().flatten().cloned().collect();
        for (episode, feedback) in meaning.iter().zip(said) {
            let passes = |episode: &&Arc<Episode>| lets_through(&search.filter, episode);
            let Some(episode) = episode.as_ref().filter(passes) else { continue };
            let (id, score, bytes, nearby) = (episode.id, 0.0, 0, Vec::new());
            // Words may have found it too, only too far down to be read.
            if !found.hits.iter().any(|hit| hit.id == id) {
                found.hits.push(SearchHit { id, score, feedback, bytes, nearby });
            }
            episodes.push(episode.clone());
        }
        Ok((episodes, read.lessons))
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
