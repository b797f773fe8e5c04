//! One side's records of one kind, in the order of their keys.

use std::collections::VecDeque;

use memory_core::record::{Record, RecordKind};
use memory_core::store::{EpisodeStore, ScanQuery, Scope};
use memory_core::{EpisodeId, Result};
use memory_storage_turso::TursoStore;

/// Records of one page; a page of large episodes ends earlier.
const PAGE: usize = 256;

/// What names a record among those of its kind; ordered as a scan is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn of(record: &Record) -> Self {
        Key(match record {
            Record::Episode(episode) => return Key::of_episode(episode.id),
            Record::Tombstone(tombstone) => return Key::of_episode(tombstone.id),
            Record::Pattern(record) | Record::Heuristic(record) => {
                record.lesson.id.as_bytes().to_vec()
            }
            Record::Feedback(word) => [*word.subject.as_bytes(), *word.by.as_bytes()].concat(),
            Record::Relation(relation) => {
                // Its name in JSON is its name in the database, by which a scan sorts.
                let word = serde_json::to_value(relation.relation).unwrap_or_default();
                let word = word.as_str().unwrap_or_default().as_bytes();
                [relation.from.as_bytes(), word, &[0], relation.to.as_bytes()].concat()
            }
        })
    }

    pub(super) fn of_episode(id: EpisodeId) -> Self {
        Key(id.as_bytes().to_vec())
    }
}

/// Reads page by page; holds one page.
pub(super) struct Stream<'a> {
    store: &'a TursoStore,
    query: ScanQuery,
    held: VecDeque<Record>,
    ended: bool,
}

impl<'a> Stream<'a> {
    pub(super) fn new(store: &'a TursoStore, scope: &Scope, kind: RecordKind) -> Self {
        let query = ScanQuery { scope: scope.clone(), kind, after: None, limit: PAGE };
        Stream { store, query, held: VecDeque::new(), ended: false }
    }

    /// The next records; none at the end.
    pub(super) async fn page(&mut self) -> Result<VecDeque<Record>> {
        self.fill().await?;
        Ok(std::mem::take(&mut self.held))
    }

    /// The record of this key. To be asked for keys in their order.
    pub(super) async fn at(&mut self, key: &Key) -> Result<Option<Record>> {
        loop {
            self.fill().await?;
            let Some(first) = self.held.front().map(Key::of) else { return Ok(None) };
            if first > *key {
                return Ok(None);
            }
            let record = self.held.pop_front();
            if first == *key {
                return Ok(record);
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        while self.held.is_empty() && !self.ended {
            let page = self.store.scan(&self.query).await?;
            self.held = page.records.into();
            self.ended = page.next.is_none();
            self.query.after = page.next;
        }
        Ok(())
    }
}
