//! Queries that nothing is relevant to, although each of their words occurs: words drawn from
//! episodes that have nothing to do with each other.

use std::collections::BTreeSet;

use memory_core::Episode;
use memory_core::recall::document::searchable_text;
use memory_core::recall::terms::is_stop_word;

use super::random::Random;

/// Words of a query, from and to.
pub const WORDS: (usize, usize) = (3, 8);

/// Letters of a word, from and to: what is longer is no word that somebody types.
const LETTERS: (usize, usize) = (3, 20);

/// Draws queries; the same episodes and seed, the same queries.
pub struct Unrelated {
    /// Of each episode that has any: its words, as often as they occur.
    texts: Vec<Vec<String>>,
    /// All words, each once.
    vocabulary: Vec<String>,
    random: Random,
}

impl Unrelated {
    /// Draws from what is searchable of `episodes`.
    pub fn new<'e>(episodes: impl IntoIterator<Item = &'e Episode>, seed: u64) -> Self {
        let texts: Vec<Vec<String>> = episodes
            .into_iter()
            .map(|episode| words(&searchable_text(episode)))
            .filter(|words| !words.is_empty())
            .collect();
        let vocabulary: BTreeSet<String> = texts.iter().flatten().cloned().collect();
        Unrelated { texts, vocabulary: vocabulary.into_iter().collect(), random: Random::new(seed) }
    }

    /// A query of [`WORDS`] different words, each from another episode if there are as many. Every
    /// other word is drawn from the vocabulary, where most are rare; the others as they occur, which
    /// is mostly common ones. `None` when there are too few words.
    pub fn query(&mut self) -> Option<String> {
        let count = WORDS.0 + self.random.below(WORDS.1 - WORDS.0 + 1);
        let mut chosen: Vec<&str> = Vec::new();
        for _ in 0..16 * count {
            if chosen.len() == count {
                break;
            }
            let word = if chosen.len().is_multiple_of(2) {
                self.random.one_of(&self.vocabulary)
            } else {
                self.random.one_of(&self.texts).and_then(|text| self.random.one_of(text))
            };
            let word = word.map(String::as_str).filter(|word| !chosen.contains(word));
            chosen.extend(word);
        }
        (chosen.len() >= WORDS.0).then(|| chosen.join(" "))
    }
}

fn words(text: &str) -> Vec<String> {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    text.split_whitespace()
        .map(bare)
        .filter(|word| (LETTERS.0..=LETTERS.1).contains(&word.chars().count()))
        .filter(|word| word.chars().all(char::is_alphabetic) && !is_stop_word(word))
        .collect()
}

#[cfg(test)]
mod tests {
    use memory_core::{EpisodeId, Timestamp};

    use super::*;

    #[test]
    fn queries_are_of_words_that_occur_and_the_same_for_a_seed() {
        let episodes: Vec<Episode> =
            ["Fix the login test of the shop", "Bake bread, with rye flour"]
                .iter()
                .map(|task| {
                    Episode::start(EpisodeId::derive(&[task.as_bytes()]), "p", *task, Timestamp(0))
                })
                .collect();
        let draw = |seed| {
            let mut unrelated = Unrelated::new(&episodes, seed);
            (0..50).map(|_| unrelated.query().unwrap()).collect::<Vec<_>>()
        };
        let all = draw(1);
        assert_eq!(all, draw(1));
        assert_ne!(all, draw(2));
        let known = ["fix", "login", "test", "shop", "bake", "bread", "rye", "flour"];
        for query in &all {
            let words: Vec<&str> = query.split(' ').collect();
            assert!((WORDS.0..=WORDS.1).contains(&words.len()), "{query}");
            assert!(words.iter().all(|word| known.contains(word)), "{query}");
        }
        assert!(all.iter().any(|query| query.contains("login") && query.contains("rye")));
        assert_eq!(Unrelated::new(&[], 1).query(), None);
    }
}
