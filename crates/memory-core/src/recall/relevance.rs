//! How much of a query an episode covers, and when that is nothing.
//!
//! Every term of the query carries information: its inverse document frequency over the whole
//! store. What an episode covers is the share of that information which its fields contain, so rare
//! words decide and common words alone never make an episode relevant.

use std::collections::HashMap;

use super::document::{context_text, reflection_text, steps_text};
use super::text::{analyze, for_each_term, query_terms};
use crate::episode::Episode;
use crate::store::SearchResult;

/// What a term is worth where it is found: the task says what an episode is about, its steps
/// mention many things in passing.
const TASK: f64 = 1.0;
const CONTEXT: f64 = 0.8;
const REFLECTION: f64 = 0.6;
const STEPS: f64 = 0.5;

/// Bytes of steps looked at for ranking.
const STEPS_BYTES: usize = 32 * 1024;

/// Share of a query's information that makes a match relevant by itself.
const COVERS_ENOUGH: f64 = 0.5;

/// Share below which a match is never relevant, however improbable.
const COVERS_TOO_LITTLE: f64 = 0.2;

/// A query's terms with what each is worth.
pub(super) struct Needed {
    analyzed: String,
    index: HashMap<String, usize>,
    words: Vec<String>,
    weights: Vec<f64>,
    chances: Vec<f64>,
    total: f64,
    documents: f64,
}

/// How an episode answers a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    /// The analyzed task is the query, word for word.
    pub same_task: bool,
    /// Share of the query's information in the task alone, 0 to 1.
    pub task: f64,
    /// Share of the query's information in all fields, those weighted, 0 to 1.
    pub coverage: f64,
    /// Share of the task's terms that the query has.
    pub focus: f64,
    /// Natural logarithm of how many episodes would match like this by chance.
    pub ln_chance: f64,
    /// The words of the query that were found, most telling first.
    pub words: Vec<String>,
}

impl Needed {
    /// The terms of `task`; document frequencies from the search with the same terms.
    pub(super) fn new(task: &str, found: &SearchResult) -> Self {
        let terms = query_terms(task);
        let most = found.document_frequency.iter().copied().max().unwrap_or(0);
        let documents = found.documents.max(most).max(1) as f64;
        let mut words = vec![String::new(); terms.len()];
        let index: HashMap<String, usize> =
            terms.into_iter().enumerate().map(|(i, term)| (term, i)).collect();
        for_each_term(task, &mut |word, term| {
            if let Some(slot) = index.get(term).and_then(|&i| words.get_mut(i))
                && slot.is_empty()
            {
                word.clone_into(slot);
            }
        });
        let frequency = |i: usize| found.document_frequency.get(i).copied().unwrap_or(0) as f64;
        let weights: Vec<f64> =
            (0..words.len()).map(|i| inverse_frequency(documents, frequency(i))).collect();
        let chances = (0..words.len()).map(|i| (frequency(i).max(1.0) / documents).ln()).collect();
        let total = weights.iter().sum();
        Needed { analyzed: analyze(task), index, words, weights, chances, total, documents }
    }

    /// How `episode` answers.
    pub(super) fn matched(&self, episode: &Episode) -> Match {
        let mut credit = vec![0.0f64; self.words.len()];
        let task = analyze(&episode.task_description);
        let (mut task_terms, mut shared) = (0usize, 0usize);
        for term in task.split(' ').filter(|term| !super::terms::is_stop_word(term)) {
            task_terms += 1;
            if let Some(slot) = self.index.get(term).and_then(|&i| credit.get_mut(i)) {
                shared += 1;
                *slot = TASK;
            }
        }
        let in_task = self.share(&credit);
        let (mut count, mut ln_chance) = (0usize, self.documents.ln());
        for (_, chance) in credit.iter().zip(&self.chances).filter(|(c, _)| **c > 0.0) {
            count += 1;
            ln_chance += chance;
        }
        ln_chance += ln_choose(self.words.len(), count);
        self.mark(&context_text(episode), CONTEXT, &mut credit);
        self.mark(&reflection_text(episode), REFLECTION, &mut credit);
        if credit.contains(&0.0) {
            self.mark(&steps_text(episode, STEPS_BYTES), STEPS, &mut credit);
        }
        Match {
            same_task: !task.is_empty() && task == self.analyzed,
            task: in_task,
            coverage: self.share(&credit),
            focus: shared as f64 / task_terms.max(1) as f64,
            ln_chance,
            words: self.telling_words(&credit),
        }
    }

    fn mark(&self, text: &str, worth: f64, credit: &mut [f64]) {
        for_each_term(text, &mut |_, term| {
            if let Some(slot) = self.index.get(term).and_then(|&i| credit.get_mut(i)) {
                *slot = slot.max(worth);
            }
        });
    }

    fn share(&self, credit: &[f64]) -> f64 {
        if self.total <= 0.0 {
            return 0.0;
        }
        credit.iter().zip(&self.weights).map(|(c, w)| c * w).sum::<f64>() / self.total
    }

    fn telling_words(&self, credit: &[f64]) -> Vec<String> {
        let mut found: Vec<(f64, &String)> = credit
            .iter()
            .zip(&self.weights)
            .zip(&self.words)
            .filter(|((credit, _), _)| **credit > 0.0)
            .map(|((credit, weight), word)| (credit * weight, word))
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, word)| word.clone()).collect()
    }
}

impl Match {
    /// Whether the match means anything.
    pub(super) fn is_relevant(&self) -> bool {
        self.same_task
            || self.coverage >= COVERS_ENOUGH
            || (self.coverage >= COVERS_TOO_LITTLE && self.ln_chance < 0.0)
    }
}

/// BM25's inverse document frequency: positive, and largest for a term that occurs nowhere.
fn inverse_frequency(documents: f64, frequency: f64) -> f64 {
    (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln()
}

/// Natural logarithm of the number of ways to choose `k` of `n`.
fn ln_choose(n: usize, k: usize) -> f64 {
    (1..=k.min(n)).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}
