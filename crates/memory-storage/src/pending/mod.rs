//! Between the cache and a remote database: steps are journaled on this machine before they go
//! there, and writes may wait here until it can be reached.
//!
//! A journaled or queued write is always delivered as itself, under its own write id, in order, and
//! never folded into another one. So delivering it again is a replay, whoever does it and however
//! often, and a later write based on what waited finds in the database the version it expects.
//!
//! - `buffered`: the store and the file together; what is known of running episodes
//! - `write`: what is journaled, what is sent, what is queued
//! - `read`, `overlay`: what the database holds, and on top of it what waits
//! - `drain`: delivery, in the background and on request

mod buffered;
mod drain;
mod overlay;
mod read;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use memory_core::clock::Clock;
use memory_core::learning::ScoredLesson;
use memory_core::recall::FeedbackCounts;
use memory_core::store::{
    Activity, ActivityQuery, Carried, Changes, Counts, EpisodeStore, LessonQuery, ListQuery, Page,
    Recollection, Relation, ScanPage, ScanQuery, Scope, SearchQuery, SearchResult, TaskType,
    Watermark, Write, Written,
};
use memory_core::{Episode, EpisodeId, Result};
use memory_storage_turso::TursoStore;
use memory_storage_turso::pending::{PendingFile, PendingFileConfig};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use buffered::Buffered;

/// How long a shutdown waits for what is journaled to reach the database. What does not is safe in
/// the file, and the next process on this machine delivers it.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Settings of the journal and the outbox in front of a remote database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingConfig {
    /// The file; best next to nothing that is ever deleted.
    pub path: PathBuf,
    /// How long steps may stay in the journal before they are sent.
    pub flush_after: Duration,
    /// What becomes of writes while the database cannot be reached.
    pub when_offline: WhenOffline,
    /// Writes that may wait.
    pub max_entries: u64,
    /// Bytes of writes that may wait.
    pub max_bytes: u64,
}

impl Default for PendingConfig {
    fn default() -> Self {
        let PendingFileConfig { path, max_entries, max_bytes } = PendingFileConfig::default();
        let (flush_after, when_offline) = (Duration::from_secs(5), WhenOffline::Refuse);
        PendingConfig { path, flush_after, when_offline, max_entries, max_bytes }
    }
}

/// What becomes of writes while the database cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenOffline {
    /// They are refused, with an error that says so.
    #[default]
    Refuse,
    /// They are kept on this machine and delivered later.
    Queue,
}

/// A durable store, with a journal and an outbox on this machine in front of it or without.
pub struct PendingStore<D = TursoStore>(Way<D>);

enum Way<D> {
    /// A local database needs neither.
    Direct(D),
    Buffered {
        store: Arc<Buffered<D>>,
        drain: JoinHandle<()>,
    },
}

impl<D: EpisodeStore> PendingStore<D> {
    /// Everything goes straight to `durable`.
    pub fn direct(durable: D) -> Self {
        PendingStore(Way::Direct(durable))
    }

    /// Opens the file of `config` in front of `durable`, the database behind `url` (which is stored,
    /// so it must not hold credentials), and begins to deliver what waits in it.
    ///
    /// # Errors
    ///
    /// As [`PendingFile::open`].
    pub async fn open(
        durable: D,
        url: &str,
        config: PendingConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let store = Arc::new(Buffered::open(durable, url, config, clock).await?);
        let drain = tokio::spawn(drain::run(store.clone()));
        Ok(PendingStore(Way::Buffered { store, drain }))
    }

    /// The store behind it.
    pub fn durable(&self) -> &D {
        match &self.0 {
            Way::Direct(durable) => durable,
            Way::Buffered { store, .. } => &store.durable,
        }
    }

    /// The file, to list and count what waits; `None` on a local database.
    pub fn pending(&self) -> Option<&PendingFile> {
        match &self.0 {
            Way::Direct(_) => None,
            Way::Buffered { store, .. } => Some(&store.file),
        }
    }

    /// Delivers everything that waits for this database, now.
    ///
    /// # Errors
    ///
    /// The database's. What was not delivered waits on.
    pub async fn flush(&self) -> Result<()> {
        match &self.0 {
            Way::Direct(_) => Ok(()),
            Way::Buffered { store, .. } => store.flush().await,
        }
    }

    /// Lets a refused entry be delivered again. False: there is none of that number.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub async fn retry(&self, seq: u64) -> Result<bool> {
        match &self.0 {
            Way::Direct(_) => Ok(false),
            Way::Buffered { store, .. } => {
                let found = store.file.retry(seq).await?;
                store.wake.notify_one();
                Ok(found)
            }
        }
    }

    /// Delivers what it can within some seconds and lets go of the file.
    async fn release(&self) {
        if let Way::Buffered { store, drain } = &self.0 {
            drain.abort();
            match tokio::time::timeout(CLOSE_WITHIN, store.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "steps stay in pending.db"),
                Err(_) => tracing::warn!("steps stay in pending.db: the database is too slow"),
            }
            store.give_lease().await;
            store.file.close().await;
        }
    }
}

impl PendingStore<TursoStore> {
    /// Delivers what it can within some seconds, then lets go of the file and the database.
    pub async fn close(&self) {
        self.release().await;
        self.durable().close().await;
    }
}

impl<D> Drop for PendingStore<D> {
    fn drop(&mut self) {
        if let Way::Buffered { drain, .. } = &self.0 {
            drain.abort();
        }
    }
}

impl<D: EpisodeStore> EpisodeStore for PendingStore<D> {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        match &self.0 {
            Way::Direct(durable) => durable.write(writes).await,
            Way::Buffered { store, .. } => store.write(writes).await,
        }
    }

    async fn get(&self, scope: &Scope, ids: &[EpisodeId]) -> Result<Vec<Option<Arc<Episode>>>> {
        match &self.0 {
            Way::Direct(durable) => durable.get(scope, ids).await,
            Way::Buffered { store, .. } => store.get(scope, ids).await,
        }
    }

    async fn get_base(&self, scope: &Scope, id: EpisodeId) -> Result<Option<Arc<Episode>>> {
        match &self.0 {
            Way::Direct(durable) => durable.get_base(scope, id).await,
            Way::Buffered { store, .. } => store.get_base(scope, id).await,
        }
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        match &self.0 {
            Way::Direct(durable) => durable.list(query).await,
            Way::Buffered { store, .. } => store.list(query).await,
        }
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchResult> {
        self.durable().search(query).await
    }

    async fn said(&self, ids: &[EpisodeId]) -> Result<Vec<FeedbackCounts>> {
        self.durable().said(ids).await
    }

    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<ScoredLesson>> {
        self.durable().lessons(query).await
    }

    async fn relations(&self, scope: &Scope, id: EpisodeId) -> Result<Vec<Relation>> {
        self.durable().relations(scope, id).await
    }

    async fn recollect(&self, ids: &[EpisodeId], lessons: &LessonQuery) -> Result<Recollection> {
        match &self.0 {
            Way::Direct(durable) => durable.recollect(ids, lessons).await,
            Way::Buffered { store, .. } => store.recollect(ids, lessons).await,
        }
    }

    async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        match &self.0 {
            Way::Direct(durable) => durable.changes(since).await,
            Way::Buffered { store, .. } => store.changes(since).await,
        }
    }

    /// An export is to hold everything: what waits is delivered first.
    async fn carried(&self, since: &Watermark) -> Result<Option<Carried>> {
        match &self.0 {
            Way::Direct(durable) => durable.carried(since).await,
            Way::Buffered { store, .. } => store.carried(since).await,
        }
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage> {
        if query.after.is_none() {
            self.flush().await?;
        }
        self.durable().scan(query).await
    }

    async fn maintain(&self) -> Result<()> {
        self.durable().maintain().await
    }

    async fn counts(&self, scope: &Scope) -> Result<Counts> {
        self.durable().counts(scope).await
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Activity> {
        self.durable().activity(query).await
    }

    async fn task_types(&self, scope: &Scope) -> Result<Vec<TaskType>> {
        self.durable().task_types(scope).await
    }
}
