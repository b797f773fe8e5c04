//! Results of queries, kept for as long as nothing is known to have changed.
//!
//! The key is the whole query; the entry carries the state of the database known before it was asked.
//! Any change that becomes known moves that state and so ends every entry at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use memory_core::EpisodeId;
use memory_core::learning::ScoredLesson;
use memory_core::store::SearchResult;
use memory_storage_redb::index::{Index, Weighed};
use memory_storage_redb::{Policy, State, Ttl};

use crate::feed::Version;
use crate::report::TierReport;

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
            Answer::Search(found) => found.hits.len() * 160 + found.document_frequency.len() * 8,
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
pub(crate) struct Queries {
    /// Of 0 bytes there are none to keep.
    off: bool,
    index: Index<Arc<str>, Item>,
    admissions: AtomicU64,
    evictions: AtomicU64,
}

impl Queries {
    pub(crate) fn new(policy: Policy, bytes: u64) -> Self {
        let entries = usize::try_from(bytes / 2048).unwrap_or(64).max(64);
        let index = Index::new(policy, bytes, entries);
        Queries {
            off: bytes == 0,
            index,
            admissions: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Kept>> {
        self.index.get(&Arc::from(key)).map(|item| item.0)
    }

    /// What it holds, and what came and went.
    pub(crate) fn report(&self) -> TierReport {
        TierReport {
            admissions: self.admissions.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: self.index.len() as u64,
            bytes: self.index.weight(),
            ..TierReport::default()
        }
    }

    /// Keeps what a query found that was asked at `seen`, when `version` was known.
    pub(crate) fn keep(&self, key: &str, answer: Answer, version: Version, seen: Instant) {
        if self.off {
            return;
        }
        let weight = (answer.bytes() + key.len() + 256) as u64;
        let kept = Kept { answer, version, seen, weight };
        let gone = self.index.insert(Arc::from(key), Item(Arc::new(kept)));
        self.admissions.fetch_add(1, Ordering::Relaxed);
        self.evictions.fetch_add(gone.len() as u64, Ordering::Relaxed);
    }
}
