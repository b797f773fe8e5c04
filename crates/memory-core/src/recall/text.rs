//! How text becomes index terms, for documents and queries alike.
//!
//! A *run* is a stretch of letters and digits; a *compound* is runs tied by one or two of
//! `_ - . / \ : @` (identifiers, paths, dotted names). Each run gives its term; a compound and a
//! camelCase run also give their joined whole (a path its names too), so `getUserDetails`, `get_user_details` and
//! `get user details` find each other and the exact name still weighs more than its words.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;

use super::stem::with_stem;
use super::terms::is_stop_word;

/// Bytes of one term: a SHA-256 in hex fits; what is longer is no word that anyone searches for.
const MAX_TERM_BYTES: usize = 64;

/// Words longer than this are not English; they are kept unstemmed.
const MAX_STEMMED_BYTES: usize = 32;

/// camelCase longer than this is an encoded blob, not a name.
const MAX_CAMEL_BYTES: usize = 40;

/// Distinct terms of one query. A long task says what it is about in its first words, and every
/// term costs the index one more list to merge.
pub const MAX_QUERY_TERMS: usize = 64;

/// The index terms of `text` in order, separated by spaces: lower case, stemmed, diacritics
/// folded, identifiers and paths both split and whole. Terms are alphanumeric only.
pub fn analyze(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for_each_term(text, &mut |t| {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(t.term);
    });
    out
}

/// The distinct content terms of a query in order, at most [`MAX_QUERY_TERMS`]. Stop words go,
/// unless nothing else is left.
pub fn query_terms(text: &str) -> Vec<String> {
    let (mut content, mut rest) = (Distinct::default(), Distinct::default());
    for_each_term(text, &mut |t| {
        let list = if is_stop_word(t.word) { &mut rest } else { &mut content };
        list.push(t.term);
    });
    if content.order.is_empty() { rest.order } else { content.order }
}

#[derive(Default)]
struct Distinct {
    seen: HashSet<String>,
    order: Vec<String>,
}

impl Distinct {
    fn push(&mut self, term: &str) {
        if self.order.len() < MAX_QUERY_TERMS && self.seen.insert(term.to_owned()) {
            self.order.push(term.to_owned());
        }
    }
}

/// One index term of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'t> {
    /// The folded word.
    pub(super) word: &'t str,
    /// What is indexed for it.
    pub(super) term: &'t str,
    /// Number of the compound it comes from: parts of a name and the whole name share it, the
    /// whole comes last.
    pub(super) unit: usize,
}

/// Calls `sink` with each term, in order. Linear in the length of `text`.
pub(super) fn for_each_term(text: &str, sink: &mut dyn FnMut(Term<'_>)) {
    let mut terms = Terms::new(sink);
    let mut rest = text.trim_start_matches(is_gap);
    while !rest.is_empty() {
        let (run, after) = split_before(rest, is_gap);
        let (suffix, after) = contraction(after);
        match suffix {
            // "Caroline's" is about Caroline.
            "" | "s" | "S" => terms.run(run),
            _ => terms.run(&format!("{run}{suffix}")),
        }
        let (gap, after) = split_before(after, is_word);
        if !is_tie(gap) {
            terms.end_compound();
        } else if !gap.starts_with(['_', '-', '.']) {
            terms.end_segment();
        }
        rest = after;
    }
    terms.end_compound();
}

/// Letters, digits, and the combining marks that belong to a letter before they are folded away.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && (c.is_alphanumeric() || is_diacritic(c)))
}

fn is_gap(c: char) -> bool {
    !is_word(c)
}

fn is_diacritic(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn split_before(text: &str, stop: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

/// What an apostrophe ties to the word before it, if that is an English ending; and the rest.
fn contraction(after: &str) -> (&str, &str) {
    let Some(tail) = after.strip_prefix(['\'', '\u{2019}']) else { return ("", after) };
    let (suffix, rest) = split_before(tail, is_gap);
    let is_ending = matches!(
        suffix,
        "s" | "S" | "t" | "T" | "d" | "m" | "re" | "ve" | "ll" | "D" | "M" | "RE" | "VE" | "LL"
    );
    if is_ending { (suffix, rest) } else { ("", after) }
}

/// True for what holds an identifier, a path or a dotted name together.
fn is_tie(gap: &str) -> bool {
    (1..=2).contains(&gap.len())
        && gap.bytes().all(|b| matches!(b, b'_' | b'-' | b'.' | b'/' | b'\\' | b':' | b'@'))
}

/// True for scripts written without spaces: their terms are pairs of characters.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

struct Terms<'a> {
    sink: &'a mut dyn FnMut(Term<'_>),
    unit: usize,
    /// Buffer for the run at hand.
    lower: String,
    /// The folded runs of the compound so far, and how many there are.
    compound: String,
    runs: usize,
    /// The same of the segment at hand: one name of a path or of a qualified name.
    segment: String,
    segment_runs: usize,
    /// Segments that ended before it.
    segments: usize,
}

impl<'a> Terms<'a> {
    fn new(sink: &'a mut dyn FnMut(Term<'_>)) -> Self {
        Terms {
            sink,
            unit: 0,
            lower: String::new(),
            compound: String::new(),
            runs: 0,
            segment: String::new(),
            segment_runs: 0,
            segments: 0,
        }
    }

    fn run(&mut self, run: &str) {
        if run.is_ascii() {
            if (4..=MAX_CAMEL_BYTES).contains(&run.len()) {
                self.parts(run);
            }
            let mut lower = std::mem::take(&mut self.lower);
            run.clone_into(&mut lower);
            lower.make_ascii_lowercase();
            self.folded(&lower);
            self.lower = lower;
        } else {
            let folded: String = run
                .nfkd()
                .filter(|c| !is_diacritic(*c))
                .nfc()
                .flat_map(char::to_lowercase)
                .filter(|c| c.is_alphanumeric())
                .collect();
            self.folded(&folded);
        }
    }

    /// The words of a camelCase run, and the name in front of trailing digits (`python3`).
    fn parts(&mut self, run: &str) {
        let parts = camel_parts(run);
        if parts.len() > 1 {
            parts.iter().for_each(|part| self.word(&part.to_ascii_lowercase()));
        }
        let name = run.trim_end_matches(|c: char| c.is_ascii_digit());
        if name.len() >= 3 && name.len() < run.len() {
            self.word(&name.to_ascii_lowercase());
        }
    }

    fn folded(&mut self, run: &str) {
        if run.is_empty() {
            return;
        }
        self.runs += 1;
        self.segment_runs += 1;
        for name in [&mut self.compound, &mut self.segment] {
            if name.len() <= MAX_TERM_BYTES {
                name.push_str(run);
            }
        }
        if run.is_ascii() || !run.contains(is_unspaced) {
            self.word(run);
        } else {
            self.unspaced(run);
        }
    }

    /// Pairs of neighbouring characters of unspaced scripts; what else is in the run as words.
    fn unspaced(&mut self, run: &str) {
        let mut rest = run;
        while let Some(first) = rest.chars().next() {
            let same: fn(char) -> bool =
                if is_unspaced(first) { |c| !is_unspaced(c) } else { is_unspaced };
            let (part, after) = split_before(rest, same);
            if !is_unspaced(first) || part.len() == first.len_utf8() {
                self.word(part);
            } else {
                for (a, b) in part.chars().zip(part.chars().skip(1)) {
                    self.word(&String::from_iter([a, b]));
                }
            }
            rest = after;
        }
    }

    /// Gives a name inside a path as a whole: `login_test.py` of `auth/login_test.py`.
    fn end_segment(&mut self) {
        let mut name = std::mem::take(&mut self.segment);
        if self.segment_runs > 1 && name.len() <= MAX_TERM_BYTES {
            self.word(&name);
        }
        name.clear();
        self.segment = name;
        self.segment_runs = 0;
        self.segments += 1;
    }

    fn end_compound(&mut self) {
        if self.segments > 0 {
            self.end_segment();
        }
        let mut compound = std::mem::take(&mut self.compound);
        if self.runs > 1 && compound.len() <= MAX_TERM_BYTES {
            self.word(&compound);
        }
        compound.clear();
        self.compound = compound;
        self.segment.clear();
        (self.runs, self.segment_runs, self.segments) = (0, 0, 0);
        self.unit += 1;
    }

    fn word(&mut self, word: &str) {
        let is_english = (3..=MAX_STEMMED_BYTES).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase());
        if is_english {
            with_stem(word, |term| (self.sink)(Term { word, term, unit: self.unit }));
        } else {
            let end = word.floor_char_boundary(MAX_TERM_BYTES);
            let term = word.get(..end).unwrap_or(word);
            (self.sink)(Term { word, term, unit: self.unit });
        }
    }
}

/// Splits `getUserID` into `get`, `User`, `ID`, and `HTTPServer` into `HTTP`, `Server`.
fn camel_parts(run: &str) -> Vec<&str> {
    let bytes = run.as_bytes();
    let mut cuts = Vec::new();
    for (i, window) in bytes.windows(2).enumerate() {
        let [a, b] = window else { continue };
        let next_is_lower = bytes.get(i + 2).is_some_and(u8::is_ascii_lowercase);
        let lower_to_upper = a.is_ascii_lowercase() && b.is_ascii_uppercase();
        if lower_to_upper || (a.is_ascii_uppercase() && b.is_ascii_uppercase() && next_is_lower) {
            cuts.push(i + 1);
        }
    }
    // More cuts than words of three letters on average: an encoded blob, not a name.
    if cuts.is_empty() || run.len() < 3 * (cuts.len() + 1) {
        return vec![run];
    }
    let ends = cuts.iter().copied().chain([run.len()]);
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts.zip(ends).filter_map(|(start, end)| run.get(start..end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded_and_stemmed() {
        assert_eq!(analyze("Running the TESTS, naïve Café"), "run the test naiv cafe");
        assert_eq!(analyze("Caroline's dogs don't bark"), "carolin dog dont bark");
    }

    #[test]
    fn identifiers_and_paths_are_found_split_and_whole() {
        assert_eq!(analyze("getUserDetails"), "get user detail getuserdetail");
        assert_eq!(analyze("get_user_details"), "get user detail getuserdetail");
        assert_eq!(analyze("/usr/local/bin"), "usr local bin usrlocalbin");
        assert_eq!(analyze("src/login_test.py"), "src login test py logintestpi srclogintestpi");
        assert_eq!(analyze("HTTPServer std::io"), "http server httpserver std io stdio");
        assert_eq!(analyze("python3 3.14"), "python python3 3 14 314");
    }

    #[test]
    fn sentences_do_not_tie_words() {
        assert_eq!(analyze("the end. Next, one - two"), "the end next one two");
        assert_eq!(analyze("wait...what"), "wait what");
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(analyze("日本語Python入門"), "日本 本語 python 入門");
        assert_eq!(analyze("한국어 ｆｕｌｌ"), "한국어 full");
    }

    #[test]
    fn stop_words_count_only_when_nothing_else_is_there() {
        assert_eq!(query_terms("What is the name of the dog? The dog!"), ["name", "dog"]);
        assert_eq!(query_terms("who are you"), ["who", "are", "you"]);
        assert!(query_terms("?! ...").is_empty());
    }

    #[test]
    fn long_terms_and_queries_are_bounded() {
        let blob = "x".repeat(10_000);
        assert_eq!(analyze(&blob).len(), MAX_TERM_BYTES);
        let many: String = (0..1000).map(|i| format!("w{i} ")).collect();
        assert_eq!(query_terms(&many).len(), MAX_QUERY_TERMS);
    }

    #[test]
    fn any_text_gives_alphanumeric_terms() {
        let mut state = 7u64;
        for _ in 0..2000 {
            let text: String = (0..40)
                .filter_map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let wild = (state >> 33) as u32 % 0x11_0000;
                    let near = [0x27, 0x5f, 0x41, 0x61, 0x301, 0x4e00, 0x2019, 0xdf];
                    char::from_u32(if state.is_multiple_of(3) {
                        wild
                    } else {
                        near[state as usize % 8]
                    })
                })
                .collect();
            for term in analyze(&text).split(' ').filter(|t| !t.is_empty()) {
                assert!(term.chars().all(char::is_alphanumeric), "{term:?} of {text:?}");
                assert!(term.len() <= MAX_TERM_BYTES);
            }
        }
    }
}
