//! Dictionaries: one made ready for use, the shipped one, and those that this process knows.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use memory_core::envelope::{DictionaryId, NO_DICTIONARY};
use sha2::{Digest, Sha256};
use zstd::zstd_safe::{CDict, DDict};

use super::compress::LEVEL;

/// Made of the quickstart's sample runs by `memory-bench dictionary`. A release that ships another
/// one must go on knowing this one: payloads name it.
const SHIPPED: &[u8] = include_bytes!("shipped.dict");

/// Dictionaries kept at a time; one that is read with takes some 60 KB. Beyond it all are let go and
/// fetched again when they are needed. More than a page of episodes can name.
const MAX_KNOWN: usize = 2 * crate::read::MAX_PAGE;

/// A dictionary, made ready when it is first used.
pub struct Dictionary {
    id: DictionaryId,
    bytes: Vec<u8>,
    for_compression: OnceLock<CDict<'static>>,
    for_decompression: OnceLock<DDict<'static>>,
}

impl Dictionary {
    /// The dictionary of these bytes. Anything at all can be one, if not a good one.
    pub fn new(bytes: Vec<u8>) -> Self {
        let id = match Sha256::digest(&bytes).first_chunk() {
            Some(first) if *first != NO_DICTIONARY => *first,
            _ => [1, 0, 0, 0],
        };
        let (for_compression, for_decompression) = (OnceLock::new(), OnceLock::new());
        Dictionary { id, bytes, for_compression, for_decompression }
    }

    /// The one that comes with the program, for projects that have none of their own.
    pub fn shipped() -> &'static Arc<Dictionary> {
        static MADE: LazyLock<Arc<Dictionary>> =
            LazyLock::new(|| Arc::new(Dictionary::new(SHIPPED.to_vec())));
        &MADE
    }

    /// What payloads call it.
    pub fn id(&self) -> DictionaryId {
        self.id
    }

    /// Its content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn for_compression(&self) -> &CDict<'static> {
        self.for_compression.get_or_init(|| CDict::create(&self.bytes, LEVEL))
    }

    pub(super) fn for_decompression(&self) -> &DDict<'static> {
        self.for_decompression.get_or_init(|| DDict::create(&self.bytes))
    }
}

impl fmt::Debug for Dictionary {
    /// Without its content, which is text of episodes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", name(self.id), self.bytes.len())
    }
}

/// What an error says of a dictionary that is not to be had.
pub(super) fn missing(id: DictionaryId) -> String {
    format!("it is compressed with dictionary {}, which the database does not hold", name(id))
}

fn name(id: DictionaryId) -> String {
    crate::write::hex(&id)
}

/// What is known of a project's dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// The database was not asked yet.
    No,
    /// It was, up to this number.
    UpTo(i64),
}

/// The dictionaries that this process knows.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries(RwLock<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<DictionaryId, Arc<Dictionary>>,
    projects: HashMap<String, Project>,
    /// The project that was asked for last: what has no project itself is most likely of this one.
    latest: Option<String>,
}

#[derive(Debug, Default)]
struct Project {
    up_to: i64,
    current: Option<Arc<Dictionary>>,
}

impl Dictionaries {
    /// The dictionary that payloads call this.
    pub(crate) fn get(&self, id: DictionaryId) -> Option<Arc<Dictionary>> {
        let shipped = Dictionary::shipped();
        if shipped.id() == id {
            return Some(shipped.clone());
        }
        self.read().known.get(&id).cloned()
    }

    /// The one that a project's episodes are written with, if it has one of its own.
    pub(crate) fn current(&self, project: &str) -> Option<Arc<Dictionary>> {
        self.read().projects.get(project)?.current.clone()
    }

    /// Up to which number the dictionaries of a project are known.
    pub(crate) fn known(&self, project: &str) -> Known {
        self.read().projects.get(project).map_or(Known::No, |known| Known::UpTo(known.up_to))
    }

    /// The project that was asked for last.
    pub(crate) fn latest(&self) -> Option<String> {
        self.read().latest.clone()
    }

    /// The database was asked for the dictionaries of a project.
    pub(crate) fn asked(&self, project: &str) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        state.projects.entry(project.to_owned()).or_default();
        state.latest = Some(project.to_owned());
    }

    /// Takes in a dictionary of the database, the `n`-th there.
    pub(crate) fn learn(&self, project: &str, n: i64, retired: bool, dictionary: Dictionary) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if state.known.len() >= MAX_KNOWN {
            *state = State::default();
        }
        let dictionary =
            state.known.entry(dictionary.id()).or_insert_with(|| Arc::new(dictionary)).clone();
        let known = state.projects.entry(project.to_owned()).or_default();
        if n > known.up_to {
            known.up_to = n;
            known.current = Some(dictionary).filter(|_| !retired);
        }
    }

    /// Nothing is known any more of what a project's episodes are to be written with.
    pub(crate) fn forget_current(&self, project: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).projects.remove(project);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_one_is_written_with_and_a_retired_one_is_only_read_with() {
        let all = Dictionaries::default();
        assert_eq!((all.known("p"), all.current("p").is_none()), (Known::No, true));
        let [a, b] = [b"first", b"secon"].map(|bytes| Dictionary::new(bytes.to_vec()));
        let (a_id, b_id) = (a.id(), b.id());
        all.learn("p", 2, false, b);
        all.learn("p", 1, false, a);
        assert_eq!(all.current("p").map(|d| d.id()), Some(b_id));
        assert!(all.get(a_id).is_some() && all.current("q").is_none());
        all.learn("p", 3, true, Dictionary::new(b"third".to_vec()));
        assert!(all.current("p").is_none(), "the newest one is retired");
        all.forget_current("p");
        assert_eq!(all.known("p"), Known::No);
        assert!(all.get(b_id).is_some(), "it is still read with");
    }

    #[test]
    fn so_many_dictionaries_are_let_go() {
        let all = Dictionaries::default();
        for n in 0..3000_i64 {
            all.learn("p", n, false, Dictionary::new(n.to_le_bytes().to_vec()));
        }
        assert!(all.read().known.len() <= MAX_KNOWN);
        assert!(all.get(Dictionary::shipped().id()).is_some());
    }
}
