//! Candidates by meaning: what is near the query's embedding, and how that is put beside words.
//!
//! A model's similarities mean little by themselves: one model calls two unrelated texts 0.0 alike,
//! another 0.7. So they are measured against the background of all episodes that were compared:
//!
//! ```text
//! closeness = (similarity - middle) / (1 - middle)        0: like any other episode, 1: the same
//! near      = closeness >= 0.3 and (similarity - middle) / spread >= sqrt(2 ln(5 n))
//! relevance = (relevance by words + closeness) / 2
//! ```
//!
//! with `middle` the median, `spread` the standard deviation below it (what is above may be what is
//! looked for) and `n` how many were compared: of so many unrelated episodes, one in ten times a
//! single one would be as near. The sum is the convex combination of normalized scores of Bruch, Gai
//! and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (ACM TOIS 42, 2023), which they
//! find to order better than reciprocal ranks do, and which keeps what a score means. Their weight is
//! tuned by collection; the half here is not tuned to any model.

use std::collections::HashMap;

use crate::episode::{Episode, EpisodeId};
use crate::store::{Filter, Scope};

/// Bytes of an episode that are embedded: many models read about 500 tokens, and say no to more or
/// silently leave it out.
const MAX_TEXT_BYTES: usize = 2000;

/// Episodes that meaning adds to those that words found, at most.
const CANDIDATES: usize = 64;

/// How much of the way from any episode to the query itself a near one is.
const MIN_CLOSENESS: f64 = 0.3;

/// Similarities of unrelated texts vary at least so much, however few of them were seen.
const MIN_SPREAD: f64 = 0.02;

/// What to compare, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimilarQuery {
    /// The task, as it was asked.
    pub text: String,
    /// Whose episodes.
    pub scope: Scope,
}

/// What was found by meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Similar {
    /// Nothing is set up for it.
    Off,
    /// It is set up and does not work now, for this reason.
    Unavailable(String),
    /// What is near.
    Found(Nearest),
}

/// Episodes by the similarity of their embeddings to that of the query, and the background.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Nearest {
    /// Cosine similarities, nearest first.
    pub hits: Vec<(EpisodeId, f64)>,
    /// How many episodes were compared.
    pub compared: u64,
    /// The median of their similarities.
    pub middle: f64,
    /// The standard deviation of those below it.
    pub spread: f64,
}

/// How near an episode is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    /// Cosine.
    pub(super) similarity: f64,
    /// See the module.
    pub(super) closeness: f64,
    /// It would hardly be as near by chance.
    pub(super) is_near: bool,
}

impl Near {
    /// Relevance by words, 0 to 1, and by meaning, as one.
    pub(super) fn fused(self, by_words: f64) -> f64 {
        (by_words + self.closeness) / 2.0
    }
}

impl Nearest {
    fn near(&self, similarity: f64) -> Near {
        let above = similarity - self.middle;
        let closeness = (above / (1.0 - self.middle).max(f64::EPSILON)).clamp(0.0, 1.0);
        let required = (2.0 * (5.0 * self.compared as f64).max(1.0).ln()).sqrt();
        let is_near = closeness >= MIN_CLOSENESS && above / self.spread.max(MIN_SPREAD) >= required;
        Near { similarity, closeness, is_near }
    }

    pub(super) fn by_id(&self) -> HashMap<EpisodeId, Near> {
        self.hits.iter().map(|(id, similarity)| (*id, self.near(*similarity))).collect()
    }

    /// What is near and not among `known`.
    pub(crate) fn beyond(&self, known: &[EpisodeId]) -> Vec<EpisodeId> {
        let near = self.hits.iter().filter(|(_, similarity)| self.near(*similarity).is_near);
        near.map(|(id, _)| *id).filter(|id| !known.contains(id)).take(CANDIDATES).collect()
    }
}

/// What of an episode is embedded: the task, how it ended and what was learned of it.
pub fn embedding_text(episode: &Episode) -> String {
    let mut text = episode.task_description.clone();
    let verdict = episode.outcome.iter().map(|outcome| &outcome.verdict);
    let reflection = &episode.reflection;
    let learned = [&reflection.next_time, &reflection.failed, &reflection.worked];
    for line in verdict.chain(learned.into_iter().flatten()).filter(|line| !line.is_empty()) {
        text.push('\n');
        text.push_str(line);
    }
    shortened(text)
}

/// As much of a text as is embedded.
pub fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}

/// Whether a search with this filter would return the episode.
pub(crate) fn lets_through(filter: &Filter, episode: &Episode) -> bool {
    let is = |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|w| w == found);
    let reward = episode.reward.as_ref().map(|reward| reward.score);
    is(&filter.task_type, &episode.task_type)
        && is(&filter.domain, &episode.context.domain)
        && is(&filter.language, &episode.context.language)
        && (filter.states.is_empty() || filter.states.iter().any(|s| s == episode.state()))
        && filter.min_reward.is_none_or(|least| reward.is_some_and(|reward| reward >= least))
        && filter.since.is_none_or(|since| episode.started_at >= since)
        && filter.until.is_none_or(|until| episode.started_at < until)
        && filter.metadata.as_ref().is_none_or(|wanted| wanted.matches(&episode.metadata))
        && (filter.include_archived || episode.archived_at.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn id(n: u8) -> EpisodeId {
        EpisodeId::derive(&[&[n]])
    }

    #[test]
    fn the_same_similarity_is_near_for_one_model_and_ordinary_for_another() {
        let hits = vec![(id(1), 0.8), (id(2), 0.3)];
        let wide = Nearest { hits: hits.clone(), compared: 1000, middle: 0.1, spread: 0.08 };
        assert_eq!(wide.beyond(&[]), [id(1)]);
        assert!((wide.by_id()[&id(1)].closeness - 7.0 / 9.0).abs() < 1e-9);
        let narrow = Nearest { hits, compared: 1000, middle: 0.75, spread: 0.03 };
        assert!(narrow.beyond(&[]).is_empty(), "as near as many are by chance");
        assert!(wide.beyond(&[id(1)]).is_empty(), "words found it already");
    }

    #[test]
    fn of_more_episodes_a_nearer_one_is_asked_for() {
        let hits = vec![(id(1), 0.42)];
        let few = Nearest { hits, compared: 20, middle: 0.1, spread: 0.08 };
        assert!(few.by_id()[&id(1)].is_near);
        let many = Nearest { compared: 100_000, ..few };
        assert!(!many.by_id()[&id(1)].is_near);
    }

    #[test]
    fn a_filter_holds_for_what_meaning_found_too() {
        let mut episode = Episode::start(id(1), "p", "t", Timestamp(5));
        episode.task_type = "bugfix".into();
        episode.metadata.insert("repo".into(), "api".into());
        let passes = |edit: fn(&mut Filter)| {
            let mut filter = Filter::default();
            edit(&mut filter);
            lets_through(&filter, &episode)
        };
        assert!(passes(|_| {}));
        assert!(passes(|f| f.task_type = Some("bugfix".into())));
        assert!(!passes(|f| f.task_type = Some("ops".into())));
        assert!(!passes(|f| f.states = vec!["success".into()]));
        assert!(!passes(|f| f.min_reward = Some(0.1)));
        assert!(passes(|f| f.since = Some(Timestamp(5))));
        assert!(!passes(|f| f.until = Some(Timestamp(5))));
        assert!(passes(|f| f.metadata = Some("repo = api".parse().unwrap())));
        assert!(!passes(|f| f.metadata = Some("repo = web".parse().unwrap())));
        episode.archived_at = Some(Timestamp(9));
        assert!(!lets_through(&Filter::default(), &episode));
        assert!(lets_through(&Filter { include_archived: true, ..Filter::default() }, &episode));
    }

    #[test]
    fn what_is_embedded_is_the_task_and_what_came_of_it_and_bounded() {
        let mut episode = Episode::start(id(1), "p", "fix the clock", Timestamp(5));
        episode.reflection.next_time.push("freeze it".into());
        assert_eq!(embedding_text(&episode), "fix the clock\nfreeze it");
        episode.task_description = "é".repeat(5000);
        assert_eq!(embedding_text(&episode).len(), MAX_TEXT_BYTES);
    }
}
