//! Tasks in other words: a third of the words dropped, others replaced from a fixed list.

use std::collections::HashMap;

use super::random::Random;

/// A word and what is put in its place, a pair a line. Recall has a list of its own.
const WORDS: &str = include_str!("paraphrase.txt");

/// Says texts otherwise; the same seed, the same words.
pub struct Paraphraser {
    words: HashMap<&'static str, &'static str>,
    random: Random,
}

impl Paraphraser {
    /// With the list of the project.
    pub fn new(seed: u64) -> Self {
        let pairs = WORDS.lines().filter(|line| !line.starts_with('#'));
        let words = pairs.filter_map(|line| line.split_once(' ')).collect();
        Paraphraser { words, random: Random::new(seed) }
    }

    /// `text` without about a third of its words, those of the list replaced. Never empty.
    pub fn say(&mut self, text: &str) -> String {
        let kept: Vec<&str> =
            text.split_whitespace().filter(|_| self.random.below(3) > 0).collect();
        if kept.is_empty() {
            return text.to_owned();
        }
        let said = kept.iter().map(|word| {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            self.words.get(bare.as_str()).copied().unwrap_or(word)
        });
        said.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_words_goes_and_others_are_replaced() {
        let mut paraphraser = Paraphraser::new(1);
        let text = "zeta ".repeat(3000);
        let kept = paraphraser.say(&text).split(' ').count();
        assert!((1900..2100).contains(&kept), "{kept}");
        let files = paraphraser.say(&"find files, ".repeat(50));
        assert!(files.contains("locate") && files.contains("documents"), "{files}");
        assert!(!files.contains("find"), "{files}");
        assert_eq!(Paraphraser::new(4).say("a b c d e"), Paraphraser::new(4).say("a b c d e"));
        assert!(!Paraphraser::new(7).say("x").is_empty());
    }
}
