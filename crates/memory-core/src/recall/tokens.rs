//! An upper estimate of what a text costs in a model's context window.
//!
//! Offline and without a vocabulary of megabytes, the estimate follows how byte-pair tokenizers cut
//! text before they merge: words with the space in front of them, runs of at most three digits,
//! runs of punctuation, runs of white space, other scripts by their bytes. Per piece it charges
//! what such a piece costs when the merges go badly, so that it errs high.

/// Lower-case letters that are surely one token: the common words.
const SHORT_WORD: usize = 4;

/// An upper estimate of the tokens of `text`.
///
/// | piece | tokens |
/// |---|---|
/// | word of letters | 1 up to 4 letters, then 1 for every 3 more |
/// | word with inner capitals (`aB`), or letters next to digits | 1 for every 2 letters |
/// | digits | 1 for every 3 begun, every 2 next to letters |
/// | punctuation | 2 for every 3 characters begun of a run |
/// | white space | 1 for a run that is not one space before a word |
/// | beyond ASCII | 1 for every 2 bytes begun of a character |
pub fn estimate(text: &str) -> usize {
    let mut tokens = 0;
    let mut rest = text;
    let mut after_digit = false;
    while let Some(first) = rest.chars().next() {
        let class = Class::of(first);
        let end = rest.find(|c| Class::of(c) != class).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let before_alnum = after.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        tokens += match class {
            Class::Letter if after_digit || next_is(after, Class::Digit) => run.len().div_ceil(2),
            Class::Letter => word(run),
            Class::Digit if after_letter(text, rest) || next_is(after, Class::Letter) => {
                run.len().div_ceil(2)
            }
            Class::Digit => run.len().div_ceil(3),
            Class::Punctuation => (2 * run.len()).div_ceil(3),
            Class::Space => usize::from(run != " " || !before_alnum),
            Class::Other => run.chars().map(|c| c.len_utf8().div_ceil(2)).sum(),
        };
        after_digit = class == Class::Digit;
        rest = after;
    }
    tokens
}

fn next_is(after: &str, class: Class) -> bool {
    after.chars().next().is_some_and(|c| Class::of(c) == class)
}

fn after_letter(text: &str, rest: &str) -> bool {
    let before = text.get(..text.len() - rest.len()).unwrap_or("");
    before.ends_with(|c: char| c.is_ascii_alphabetic())
}

fn word(run: &str) -> usize {
    let inner = run.get(1..).unwrap_or("");
    let mixed = inner.bytes().any(|b| b.is_ascii_uppercase());
    if mixed { run.len().div_ceil(2) } else { 1 + run.len().saturating_sub(SHORT_WORD).div_ceil(3) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Punctuation,
    Space,
    Other,
}

impl Class {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Digit,
            ' ' | '\t' | '\n' | '\r' => Class::Space,
            c if c.is_ascii() => Class::Punctuation,
            _ => Class::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of the public tokenizers cl100k_base and o200k_base, the larger of the two.
    #[test]
    fn estimates_are_above_what_real_tokenizers_count() {
        for (text, real) in [
            ("find /testbed -type f -name \"*.java\" -exec md5sum {} + | sort", 21),
            ("f32a3a97638afeb2ee2a15cfe335ab72", 19),
            ("Write a function to find the next smallest palindrome", 9),
        ] {
            let estimate = estimate(text);
            assert!(estimate >= real && estimate <= 2 * real + 4, "{estimate} for {real}: {text}");
        }
    }

    #[test]
    fn more_text_never_costs_less() {
        let text = "Zürich: x=1; naïve 日本 {\"a\":[1,22,333,4444]} fooBar\n\n  end";
        let mut last = 0;
        for (i, _) in text.char_indices() {
            let now = estimate(&text[..i]);
            assert!(now + 2 >= last, "{now} after {last} at {i}");
            last = now;
        }
    }
}
