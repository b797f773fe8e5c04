//! How much of a query an episode covers, and when that is nothing.
//!
//! Every term of the query carries information: its inverse document frequency over the whole
//! store. What an episode covers is the share of that information which its fields contain, so rare
//! words decide, and common words alone never make an episode relevant.
//!
//! A run is relevant when its task, or all of its fields together, cover enough:
//!
//! ```text
//! share of the task + 0.8 * likeness of the wording >= clamp(0.69 + 0.05 * ln E, 0.52, 0.74)
//! share of all fields                               >= clamp(0.8 + 0.05 * ln E, 0.6, 0.9)
//! E = episodes * C(words of the query, words found) * product of (df / episodes)
//! ```
//!
//! `E` is how many episodes would have as many of the words by chance. The more improbable a match,
//! the less it needs to cover; where several would match by accident, it must cover most. Likeness is
//! Ochiai's coefficient of all terms, function words included: words that come from anywhere are not
//! put as a task is.
//!
//! Notes are relevant, as many as are nearly as good as the best, when one of them is:
//!
//! ```text
//! share + 0.5 * worth - 0.02 * ln E >= 0.88        worth: see `notes`
//! ```

use super::document::{context_text, reflection_text, steps_text};
use super::needed::{Credit, Needed};
use super::terms::is_stop_word;
use super::text::analyze;
use crate::episode::Episode;

/// What a term is worth where it is found: the task says what an episode is about, its steps
/// mention many things in passing.
const TASK: f64 = 1.0;
const CONTEXT: f64 = 0.8;
const REFLECTION: f64 = 0.6;
const STEPS: f64 = 0.5;

/// Bytes of steps looked at for ranking.
const STEPS_BYTES: usize = 8 * 1024;

/// What a match must cover: see the module's formula.
struct Required {
    at_even: f64,
    least: f64,
    most: f64,
}

const PER_LN: f64 = 0.05;

/// Of the task alone, with its likeness. Measured on recorded runs: 19 of 20 queries of random words
/// from the index stay below, 19 of 20 paraphrases of recorded tasks above.
const REQUIRED_OF_TASK: Required = Required { at_even: 0.69, least: 0.52, most: 0.74 };
const LIKENESS: f64 = 0.8;

/// Of all fields together: long runs mention many things, so more is asked.
const REQUIRED_OF_ALL: Required = Required { at_even: 0.8, least: 0.6, most: 0.9 };

/// Of a note. Measured on conversations in the same way: 19 of 20, and 4 of 5 questions.
const REQUIRED_OF_NOTE: f64 = 0.88;
const NOTE_WORTH: f64 = 0.5;
const NOTE_PER_LN: f64 = 0.02;

/// How an episode answers a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Match {
    /// The analyzed task: runs with the same are runs of one task.
    pub(super) analyzed: String,
    /// The analyzed task is the query, word for word.
    pub(super) same_task: bool,
    /// Share of the query's information in the task alone, 0 to 1.
    pub(super) task: f64,
    /// Share of the query's information in all fields, those weighted, 0 to 1.
    pub(super) coverage: f64,
    /// Share of the task's content terms that the query has.
    pub(super) focus: f64,
    /// Dice coefficient of the task's terms and the query's, function words included: of tasks on
    /// the same subject it finds the one that is worded alike.
    pub(super) wording: f64,
    /// Whether it means anything; of a note, whether it would as a run.
    pub(super) is_relevant: bool,
    /// `ln E` of the task.
    ln_chance: f64,
    /// The words of the query that were found, most telling first.
    pub(super) words: Vec<String>,
}

impl Match {
    /// How `episode` answers `needed`.
    pub(super) fn of(episode: &Episode, needed: &Needed) -> Self {
        let mut credit = needed.no_credit();
        let analyzed = analyze(&episode.task_description);
        let (focus, wording, alike) = likeness(needed, &analyzed, &mut credit);
        let (task, task_chance) = (needed.share(&credit), needed.ln_chance(&credit));
        needed.give_all(&context_text(episode), CONTEXT, &mut credit);
        needed.give_all(&reflection_text(episode), REFLECTION, &mut credit);
        if credit.iter().any(|c| c.is_none()) {
            needed.give_all(&steps_text(episode, STEPS_BYTES), STEPS, &mut credit);
        }
        let same_task = !analyzed.is_empty() && analyzed == needed.analyzed;
        let anywhere = (needed.share_anywhere(&credit), needed.ln_chance_of_own_words(&credit));
        Match {
            same_task,
            task,
            coverage: needed.share(&credit),
            focus,
            wording,
            is_relevant: same_task
                || REQUIRED_OF_TASK.is_met(task + LIKENESS * alike, task_chance)
                || REQUIRED_OF_ALL.is_met(anywhere.0, anywhere.1),
            ln_chance: task_chance,
            words: needed.telling_words(&credit),
            analyzed,
        }
    }

    /// Whether a note of this worth means anything.
    pub(super) fn is_relevant_note(&self, worth: f64) -> bool {
        self.same_task
            || self.task + NOTE_WORTH * worth - NOTE_PER_LN * self.ln_chance >= REQUIRED_OF_NOTE
    }
}

/// Gives credit for the task's terms. Returns the share of its content terms that the query has,
/// and of all terms of both the Dice coefficient and Ochiai's, which minds a difference in length less.
fn likeness(needed: &Needed, analyzed: &str, credit: &mut [Credit]) -> (f64, f64, f64) {
    let mut unmet = needed.bag.clone();
    let (mut all, mut common, mut content, mut shared) = (0usize, 0usize, 0usize, 0usize);
    for term in analyzed.split(' ') {
        all += 1;
        if let Some(left) = unmet.get_mut(term).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
        let is_known = needed.give(term, TASK, credit);
        content += usize::from(is_known || !is_stop_word(term));
        shared += usize::from(is_known);
    }
    let terms: usize = needed.bag.values().sum();
    let wording = 2.0 * common as f64 / (all + terms) as f64;
    let alike = common as f64 / ((all * terms).max(1) as f64).sqrt();
    (shared as f64 / content.max(1) as f64, wording, alike)
}

impl Required {
    fn is_met(&self, share: f64, ln_chance: f64) -> bool {
        share >= (self.at_even + PER_LN * ln_chance).clamp(self.least, self.most)
    }
}
