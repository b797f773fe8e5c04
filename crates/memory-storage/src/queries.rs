//! Results of queries, kept for as long as nothing is known to have changed.
//!
//! The key is the whole query; the entry carries the state of the database known before it was asked.
//! Any change that becomes known moves that state and so ends every entry at once.

use std::sync::Arc;
use std::time::Instant;

use memory_core::EpisodeId;
use memory_core::learning::ScoredLesson;
use memory_core::store::SearchResult;
use memory_storage_redb::index::{Index, Weighed};
use memory_storage_redb::{Policy, State, Ttl};

use crate::feed::Version;

/// What a query found.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Search(SearchResult),
    Lessons(Vec<ScoredLesson>),
    /// The episodes themselves are in the cache under their ids.
    List {
        ids: Vec<EpisodeId>,
        next: Option<String>,
    },
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Answer::Search(found) => found.hits.len() * 64 + found.document_frequency.len() * 8,
            // A lesson's texts: a few sequences of tool names, a condition, an action.
            Answer::Lessons(lessons) => lessons.len() * 1024,
            Answer::List { ids, .. } => ids.len() * 16 + 64,
        }
    }
}

/// A kept answer.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) answer: Answer,
    pub(crate) version: Version,
    seen: Instant,
    weight: u64,
}

impl Kept {
    pub(crate) fn current_at(&self, confirmed: Option<Instant>) -> Option<Instant> {
        confirmed.max(Some(self.seen))
    }

    pub(crate) fn budget(&self, ttl: Ttl, current_at: Instant) -> std::time::Duration {
        ttl.budget(State::Query, current_at.saturating_duration_since(self.seen))
    }
}

#[derive(Clone)]
struct Item(Arc<Kept>);

impl Weighed for Item {
    fn weight(&self) -> u64 {
        self.0.weight
    }
}

/// The kept answers.
pub(crate) struct Queries(Index<Arc<str>, Item>);

impl Queries {
    pub(crate) fn new(policy: Policy, bytes: u64) -> Self {
        Queries(Index::new(policy, bytes, usize::try_from(bytes / 2048).unwrap_or(64).max(64)))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Kept>> {
        self.0.get(&Arc::from(key)).map(|item| item.0)
    }

    /// Keeps what a query found that was asked at `seen`, when `version` was known.
    pub(crate) fn keep(&self, key: &str, answer: Answer, version: Version, seen: Instant) {
        let weight = (answer.bytes() + key.len() + 256) as u64;
        let kept = Kept { answer, version, seen, weight };
        self.0.insert(Arc::from(key), Item(Arc::new(kept)));
    }
}
