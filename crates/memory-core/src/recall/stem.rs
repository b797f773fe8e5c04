//! The stems of English words, through a small cache: half of all text is a few thousand words.

use std::cell::RefCell;

use frostem::{Algorithm, Stemmer};

use super::forms::base;

/// Slots of the cache of each thread; a power of two. About 200 KB when full.
const SLOTS: usize = 4096;

#[derive(Clone, Default)]
struct Slot {
    word: String,
    stem: String,
}

thread_local! {
    static CACHE: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

/// Calls `then` with the stem of a lower-case ASCII word.
pub(super) fn with_stem(word: &str, then: impl FnOnce(&str)) {
    let stem = |word: &str| {
        let word = base(word).unwrap_or(word);
        Stemmer::new(Algorithm::English).stem(word).into_owned()
    };
    CACHE.with(|cache| {
        // `then` may ask for another stem: it gets one without the cache.
        let Ok(mut slots) = cache.try_borrow_mut() else { return then(&stem(word)) };
        if slots.is_empty() {
            slots.resize(SLOTS, Slot::default());
        }
        let Some(slot) = slots.get_mut(place(word)) else { return then(&stem(word)) };
        if slot.word != word {
            slot.stem = stem(word);
            word.clone_into(&mut slot.word);
        }
        then(&slot.stem);
    });
}

/// FNV-1a (Fowler, Noll and Vo), folded to a slot.
fn place(word: &str) -> usize {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stem(word: &str) -> String {
        let mut out = String::new();
        with_stem(word, |stem| out = stem.to_owned());
        out
    }

    #[test]
    fn a_cached_stem_is_the_stem() {
        for _ in 0..2 {
            assert_eq!(stem("running"), "run");
            assert_eq!(stem("databases"), "databas");
            assert_eq!(stem("bought"), "buy");
            // More words than slots: every slot is taken over again and again.
            for i in 0..2 * SLOTS {
                let letters: String =
                    i.to_string().bytes().map(|b| char::from(b - b'0' + b'q')).collect();
                assert_eq!(stem(&letters), Stemmer::new(Algorithm::English).stem(&letters));
            }
        }
    }

    #[test]
    fn a_stem_can_be_asked_for_while_one_is_looked_at() {
        with_stem("tests", |outer| {
            assert_eq!(stem("tests"), outer);
        });
    }
}
