//! What answers a question among notes: episodes without steps, such as the turns of a conversation.
//!
//! ```text
//! worth = sum of w * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length)) / sum of w
//!       + 0.25 when the speaker is in the query + 0.1 when it tells the time or number asked for
//!       - 0.05 when it asks itself
//!       + a part of the worth of what stands around it
//! ```
//!
//! This is BM25 (Robertson and Zaragoza 2009) among the candidates, as a share of what a text with
//! every word of the query would get. `w` is half the inverse document frequency in the store, half
//! that among the candidates: a name that every turn of a conversation has tells them not apart. A
//! synonym counts less than the word itself. Turns are short, so length says little.

use std::collections::HashMap;
use std::sync::Arc;

use super::asked::Asked;
use super::needed::Needed;
use super::surroundings::lent;
use super::text::analyze;
use crate::episode::{Episode, EpisodeId};
use crate::store::SearchHit;

const K1: f64 = 0.8;
const B: f64 = 0.15;

/// What a synonym counts in a note: in so few words it is easily a coincidence.
const SYNONYM: f64 = 0.4;

/// Who is asked about speaks of it more often than the other one does.
const SPEAKER: f64 = 0.25;

/// A time or a number where one is asked for.
const TELLS: f64 = 0.1;

/// A question is seldom the answer to one.
const ASKS: f64 = 0.05;

/// Bytes before the colon of `Name: what they said`, at most.
const MAX_SPEAKER_BYTES: usize = 40;

/// True for an episode that is a text alone.
pub(super) fn is_note(episode: &Episode) -> bool {
    episode.steps.is_empty()
}

/// What each of `notes` is worth as an answer to `query`: a full match about 1.
pub(super) fn worth(
    query: &str,
    needed: &Needed,
    notes: &[(&Arc<Episode>, &str)],
    hits: &HashMap<EpisodeId, &SearchHit>,
) -> Vec<f64> {
    let asked = Asked::of(query);
    let mut worth = bm25(needed, notes);
    for ((note, _), worth) in notes.iter().zip(&mut worth) {
        let text = note.task_description.trim_end();
        if speaker(text).is_some_and(|name| analyze(name).split(' ').any(|t| needed.asks_for(t))) {
            *worth += SPEAKER;
        }
        if asked.is_some_and(|asked| asked.is_told_by(text)) {
            *worth += TELLS;
        }
        if text.ends_with('?') {
            *worth -= ASKS;
        }
    }
    let lent = lent(notes, hits, &worth);
    worth.iter().zip(lent).map(|(own, lent)| own + lent).collect()
}

fn bm25(needed: &Needed, notes: &[(&Arc<Episode>, &str)]) -> Vec<f64> {
    let counts: Vec<Vec<f64>> =
        notes.iter().map(|(_, analyzed)| needed.counts(analyzed, SYNONYM)).collect();
    let lengths: Vec<f64> =
        notes.iter().map(|(_, analyzed)| analyzed.split(' ').count() as f64).collect();
    let mean = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
    let terms = counts.first().map_or(0, Vec::len);
    let has = |counts: &&Vec<f64>, term: usize| counts.get(term).is_some_and(|n| *n > 0.0);
    let frequencies: Vec<usize> =
        (0..terms).map(|term| counts.iter().filter(|c| has(c, term)).count()).collect();
    let weights = needed.weights_among(notes.len(), &frequencies);
    let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let score = |(counts, length): (&Vec<f64>, &f64)| {
        let norm = K1 * (1.0 - B + B * length / mean);
        let parts = counts.iter().zip(&weights).map(|(n, w)| w * n * (K1 + 1.0) / (n + norm));
        parts.sum::<f64>() / total
    };
    counts.iter().zip(&lengths).map(score).collect()
}

/// The name in `Name: what they said`.
fn speaker(text: &str) -> Option<&str> {
    let (name, said) = text.split_once(':')?;
    let is_name = name.len() <= MAX_SPEAKER_BYTES
        && name.starts_with(char::is_uppercase)
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '\''));
    (is_name && said.starts_with(' ')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_is_a_name_before_a_colon() {
        assert_eq!(speaker("Maya: hello"), Some("Maya"));
        assert_eq!(speaker("Dr. O'Neil-Smith: hello"), Some("Dr. O'Neil-Smith"));
        for text in ["hello", "https://x", "fix: the test", "Maya:", "Std::io: x"] {
            assert_eq!(speaker(text), None, "{text}");
        }
    }
}
