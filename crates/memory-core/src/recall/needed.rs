//! What a query needs: its terms, what each is worth, and which words stand for it.

use std::collections::HashMap;

use super::synonyms::{SYNONYM, synonyms};
use super::text::{analyze, for_each_term, query_terms};
use crate::store::SearchResult;

/// A query's terms with what each is worth.
pub(super) struct Needed {
    /// The whole query, analyzed.
    pub(super) analyzed: String,
    /// All its terms, function words included, with how often each occurs.
    pub(super) bag: HashMap<String, usize>,
    /// Content terms and their synonyms.
    entries: HashMap<String, Entry>,
    terms: Vec<Needle>,
    units: Vec<Unit>,
    total: f64,
    documents: f64,
}

/// Which term of the query a word stands for, and whether it is that term itself.
#[derive(Clone, Copy)]
struct Entry {
    term: usize,
    exact: bool,
}

/// One term of the query.
struct Needle {
    /// Its inverse document frequency.
    weight: f64,
    /// Natural logarithm of the chance that any one episode has it.
    ln_chance: f64,
}

/// One word of the query, or one name with its parts: parts and whole are no independent evidence.
struct Unit {
    word: String,
    /// Indexes of its terms; of a name the whole is the last.
    terms: Vec<usize>,
    /// Of the whole.
    weight: f64,
}

/// What an episode has of one term.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Credit {
    /// 0 to 1: by the field it was found in, less for a synonym.
    worth: f64,
    /// The term itself was found, not just a synonym.
    exact: bool,
}

impl Needed {
    /// The terms of `task`; document frequencies from the search with the same terms. Those of
    /// `aside`, a part of the task, need not be found.
    pub(super) fn new(task: &str, found: &SearchResult, aside: &str) -> Self {
        let most = found.document_frequency.iter().copied().max().unwrap_or(0);
        let documents = found.documents.max(most).max(1) as f64;
        let words = query_terms(task);
        let mut terms = needles(words.len(), documents, &found.document_frequency);
        let aside = query_terms(aside);
        for (needle, _) in terms.iter_mut().zip(&words).filter(|(_, word)| aside.contains(word)) {
            *needle = Needle { weight: 0.0, ln_chance: 0.0 };
        }
        let mut entries = HashMap::new();
        for (term, word) in words.iter().enumerate() {
            entries.insert(word.clone(), Entry { term, exact: true });
        }
        for (term, word) in words.iter().enumerate() {
            for synonym in synonyms(word) {
                entries.entry(synonym.clone()).or_insert(Entry { term, exact: false });
            }
        }
        let units = units(task, &entries, &terms);
        let total = units.iter().map(|unit| unit.weight).sum();
        let analyzed = analyze(task);
        let mut bag: HashMap<String, usize> = HashMap::new();
        for term in analyzed.split(' ') {
            *bag.entry(term.to_owned()).or_default() += 1;
        }
        Needed { analyzed, bag, entries, terms, units, total, documents }
    }

    /// True for a content term of the query itself.
    pub(super) fn asks_for(&self, term: &str) -> bool {
        self.entries.get(term).is_some_and(|entry| entry.exact)
    }

    /// How often an analyzed text has each term; a synonym counts for `synonym`.
    pub(super) fn counts(&self, analyzed: &str, synonym: f64) -> Vec<f64> {
        let mut counts = vec![0.0; self.terms.len()];
        for entry in analyzed.split(' ').filter_map(|term| self.entries.get(term)) {
            if let Some(count) = counts.get_mut(entry.term) {
                *count += if entry.exact { 1.0 } else { synonym };
            }
        }
        counts
    }

    /// The inverse document frequency of each term: over the whole store, and over `texts` texts of
    /// which each term is in so many. Their mean; 0 for a term that none of the texts has.
    pub(super) fn weights_among(&self, texts: usize, frequencies: &[usize]) -> Vec<f64> {
        let weight = |(term, df): (&Needle, &usize)| match *df {
            0 => 0.0,
            df => (term.weight + inverse_frequency(texts as f64, df as f64)) / 2.0,
        };
        self.terms.iter().zip(frequencies).map(weight).collect()
    }

    /// An episode that has nothing of the query yet.
    pub(super) fn no_credit(&self) -> Vec<Credit> {
        vec![Credit::default(); self.terms.len()]
    }

    /// Credits a term that was found in a field of this worth; false when the query lacks it.
    pub(super) fn give(&self, term: &str, worth: f64, credit: &mut [Credit]) -> bool {
        let Some(entry) = self.entries.get(term) else { return false };
        let Some(slot) = credit.get_mut(entry.term) else { return false };
        let worth = if entry.exact { worth } else { worth * SYNONYM };
        slot.worth = slot.worth.max(worth);
        slot.exact |= entry.exact;
        true
    }

    /// Credits every term of `text`.
    pub(super) fn give_all(&self, text: &str, worth: f64, credit: &mut [Credit]) {
        for_each_term(text, &mut |t| {
            self.give(t.term, worth, credit);
        });
    }

    /// Share of the query's information that is credited, 0 to 1.
    pub(super) fn share(&self, credit: &[Credit]) -> f64 {
        self.share_by(credit, |credit| credit.worth)
    }

    /// The same with everything that was found in any field counted in full.
    pub(super) fn share_anywhere(&self, credit: &[Credit]) -> f64 {
        self.share_by(credit, |credit| f64::from(u8::from(credit.exact)))
    }

    fn share_by(&self, credit: &[Credit], worth: fn(&Credit) -> f64) -> f64 {
        if self.total <= 0.0 {
            return 0.0;
        }
        self.units.iter().map(|unit| self.found(unit, credit, worth)).sum::<f64>() / self.total
    }

    /// What is found of a unit: its whole, or its parts up to what the whole is worth.
    fn found(&self, unit: &Unit, credit: &[Credit], worth: fn(&Credit) -> f64) -> f64 {
        let value = |i: &usize| {
            let (credit, term) = (credit.get(*i), self.terms.get(*i));
            credit.zip(term).map_or(0.0, |(credit, term)| worth(credit) * term.weight)
        };
        let whole = unit.terms.last().map_or(0.0, value);
        if whole > 0.0 { whole } else { unit.terms.iter().map(value).sum::<f64>().min(unit.weight) }
    }

    /// How many episodes, as a natural logarithm, would have as many of the query's words by
    /// chance: their number, times the ways to choose the words, times the chance of each word. One
    /// for which a synonym was found counts like the word itself.
    /// The idea is that of the E-value in sequence search (Karlin and Altschul 1990).
    pub(super) fn ln_chance(&self, credit: &[Credit]) -> f64 {
        self.ln_chance_by(credit, |credit| !credit.is_none())
    }

    /// The same by the query's own words alone.
    pub(super) fn ln_chance_of_own_words(&self, credit: &[Credit]) -> f64 {
        self.ln_chance_by(credit, |credit| credit.exact)
    }

    fn ln_chance_by(&self, credit: &[Credit], counts: fn(Credit) -> bool) -> f64 {
        let chance = |unit: &Unit| {
            let found = unit.terms.iter().filter(|i| credit.get(**i).is_some_and(|c| counts(*c)));
            found.filter_map(|i| self.terms.get(*i)).map(|term| term.ln_chance).reduce(f64::min)
        };
        let found: Vec<f64> = self.units.iter().filter_map(chance).collect();
        self.documents.ln() + ln_choose(self.units.len(), found.len()) + found.iter().sum::<f64>()
    }

    /// The words of the query that are credited, most telling first.
    pub(super) fn telling_words(&self, credit: &[Credit]) -> Vec<String> {
        let mut found: Vec<(f64, &String)> = self
            .units
            .iter()
            .map(|unit| (self.found(unit, credit, |credit| credit.worth), &unit.word))
            .filter(|(worth, _)| *worth > 0.0)
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.into_iter().map(|(_, word)| word.clone()).collect()
    }
}

impl Credit {
    /// True when not even a synonym was found.
    pub(super) fn is_none(self) -> bool {
        self.worth <= 0.0
    }
}

/// A term that occurs nowhere tells no episode from another, but it is something the query is
/// about: it weighs as much as the others do on average.
fn needles(count: usize, documents: f64, frequencies: &[u64]) -> Vec<Needle> {
    let frequency = |i: usize| frequencies.get(i).copied().unwrap_or(0) as f64;
    let seen: Vec<f64> = (0..count)
        .map(frequency)
        .filter(|f| *f > 0.0)
        .map(|f| inverse_frequency(documents, f))
        .collect();
    let unseen = if seen.is_empty() {
        inverse_frequency(documents, 0.0)
    } else {
        seen.iter().sum::<f64>() / seen.len() as f64
    };
    (0..count)
        .map(frequency)
        .map(|f| Needle {
            weight: if f > 0.0 { inverse_frequency(documents, f) } else { unseen },
            ln_chance: (f.max(1.0) / documents).ln(),
        })
        .collect()
}

/// The query's words in order, each once, with the terms they give.
fn units(task: &str, entries: &HashMap<String, Entry>, terms: &[Needle]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let (mut current, mut taken) = (usize::MAX, vec![false; terms.len()]);
    for_each_term(task, &mut |t| {
        let Some(entry) = entries.get(t.term).filter(|entry| entry.exact) else { return };
        let Some(taken) = taken.get_mut(entry.term).filter(|taken| !**taken) else { return };
        *taken = true;
        let weight = terms.get(entry.term).map_or(0.0, |term| term.weight);
        match units.last_mut() {
            Some(unit) if current == t.unit => {
                t.word.clone_into(&mut unit.word);
                unit.terms.push(entry.term);
                unit.weight = unit.weight.max(weight);
            }
            _ => units.push(Unit { word: t.word.to_owned(), terms: vec![entry.term], weight }),
        }
        current = t.unit;
    });
    units
}

/// BM25's inverse document frequency: positive, and largest for a term that occurs nowhere.
fn inverse_frequency(documents: f64, frequency: f64) -> f64 {
    (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln()
}

/// Natural logarithm of the number of ways to choose `k` of `n`.
fn ln_choose(n: usize, k: usize) -> f64 {
    (1..=k.min(n)).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}
