//! An in-memory index with BM25 over the analyzed fields, and readers of recorded runs.
#![expect(clippy::indexing_slicing, reason = "test support")]

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::learning::{self, Evidence, Lesson, ScoredLesson};
use memory_core::recall::document::Document;
use memory_core::recall::{
    Candidates, FeedbackCounts, Nearest, Ranking, Recall, RecallQuery, rank, render,
};
use memory_core::store::{Scope, SearchHit, SearchResult};
use memory_core::{Episode, EpisodeId, LessonId, Timestamp};

/// Episodes with an inverted index.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) episodes: Vec<Arc<Episode>>,
    pub(crate) feedback: HashMap<EpisodeId, FeedbackCounts>,
    postings: HashMap<String, Vec<(usize, f64)>>,
    lengths: Vec<f64>,
    pub(crate) lessons: HashMap<LessonId, (Lesson, Vec<Evidence>)>,
}

impl Index {
    pub(crate) fn add(&mut self, mut episode: Episode) {
        episode.reward = episode.reward.take().or_else(|| learning::score(&episode));
        if episode.reflection.is_empty() {
            episode.reflection = learning::reflect(&episode);
        }
        for (lesson, evidence) in learning::extract(&episode) {
            episode.lessons.push(lesson.id);
            let entry = self.lessons.entry(lesson.id).or_insert((lesson, Vec::new()));
            entry.1.push(evidence);
        }
        let document = Document::of(&episode);
        let place = self.episodes.len();
        let (mut counts, mut length) = (HashMap::<&str, f64>::new(), 0.0);
        for (field, weight) in [
            (&document.task, 4.0),
            (&document.context, 2.0),
            (&document.steps, 1.0),
            (&document.reflection, 2.0),
        ] {
            for term in field.split(' ').filter(|t| !t.is_empty()) {
                *counts.entry(term).or_default() += weight;
                length += 1.0;
            }
        }
        for (term, count) in counts {
            self.postings.entry(term.to_owned()).or_default().push((place, count));
        }
        self.lengths.push(length);
        self.episodes.push(Arc::new(episode));
    }

    /// The best of the episodes that `visible` lets through.
    pub(crate) fn search(
        &self,
        query: &RecallQuery,
        visible: &dyn Fn(&Episode) -> bool,
    ) -> SearchResult {
        let search = query.search();
        let documents = self.episodes.len() as f64;
        let average = self.lengths.iter().sum::<f64>() / documents.max(1.0);
        let mut scores: HashMap<usize, f64> = HashMap::new();
        let mut document_frequency = Vec::new();
        for term in &search.terms {
            let postings = self.postings.get(term).map_or(&[][..], Vec::as_slice);
            document_frequency.push(postings.len() as u64);
            let df = postings.len() as f64;
            let idf = (1.0 + (documents - df + 0.5) / (df + 0.5)).ln();
            for &(place, count) in postings.iter().filter(|(p, _)| visible(&self.episodes[*p])) {
                let norm = 1.2 * (0.25 + 0.75 * self.lengths[place] / average);
                *scores.entry(place).or_default() += idf * count * 2.2 / (count + norm);
            }
        }
        let mut hits: Vec<SearchHit> = scores
            .into_iter()
            .map(|(place, score)| SearchHit {
                id: self.episodes[place].id,
                score,
                feedback: self.feedback.get(&self.episodes[place].id).copied().unwrap_or_default(),
                bytes: u64::MAX,
                nearby: Vec::new(),
            })
            .collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        hits.truncate(search.limit);
        let documents = self.episodes.len() as u64;
        SearchResult { hits, documents, document_frequency, ..SearchResult::default() }
    }

    pub(crate) fn rank(&self, query: &RecallQuery, visible: &dyn Fn(&Episode) -> bool) -> Ranking {
        let found = self.search(query, visible);
        let ids: std::collections::HashSet<EpisodeId> = found.hits.iter().map(|h| h.id).collect();
        let episodes: Vec<Arc<Episode>> =
            self.episodes.iter().filter(|e| ids.contains(&e.id)).cloned().collect();
        let candidates =
            Candidates { found: &found, episodes: &episodes, nearest: &Nearest::default() };
        rank(query, &candidates, NOW)
    }

    pub(crate) fn recall(
        &self,
        task: &str,
        budget: usize,
        lessons: &[ScoredLesson],
        visible: &dyn Fn(&Episode) -> bool,
    ) -> (Ranking, Recall) {
        let mut query = RecallQuery::new(task, Scope::All);
        query.budget_tokens = budget;
        let ranking = self.rank(&query, visible);
        let recall = render(&query, &ranking, lessons, NOW);
        (ranking, recall)
    }
}

/// When the tests take place.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
