//! The database, with a connection that fails on command.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use memory_core::learning::ScoredLesson;
use memory_core::recall::FeedbackCounts;
use memory_core::store::{
    Activity, ActivityQuery, Changes, Counts, EpisodeStore, LessonQuery, ListQuery, Page,
    Recollection, Relation, ScanPage, ScanQuery, Scope, SearchQuery, SearchResult, TaskType,
    Watermark, Write, Written,
};
use memory_core::{Episode, EpisodeId, Error, Result};
use memory_storage_turso::TursoStore;

/// A real store whose connection fails on command.
#[derive(Clone)]
pub(crate) struct Shaky {
    pub(crate) store: Arc<TursoStore>,
    /// What happens to the next write: 1 it is not sent, 2 its answer is lost.
    pub(crate) next_write: Arc<AtomicU8>,
    pub(crate) outage: Arc<AtomicBool>,
    /// The feed tells nothing, as if its rows had been lost.
    pub(crate) deaf: Arc<AtomicBool>,
}

impl Shaky {
    fn reachable(&self) -> Result<()> {
        if self.outage.load(Ordering::SeqCst) {
            return Err(Error::Unavailable { reason: "outage".into() });
        }
        Ok(())
    }
}

impl EpisodeStore for Shaky {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        self.reachable()?;
        match self.next_write.swap(0, Ordering::SeqCst) {
            1 => Err(Error::Unavailable { reason: "not sent".into() }),
            2 => {
                self.store.write(writes).await?;
                Err(Error::Unknown { reason: "the answer was lost".into() })
            }
            _ => self.store.write(writes).await,
        }
    }

    async fn get(&self, scope: &Scope, ids: &[EpisodeId]) -> Result<Vec<Option<Arc<Episode>>>> {
        self.reachable()?;
        self.store.get(scope, ids).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.reachable()?;
        self.store.list(query).await
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchResult> {
        self.reachable()?;
        self.store.search(query).await
    }

    async fn said(&self, ids: &[EpisodeId]) -> Result<Vec<FeedbackCounts>> {
        self.reachable()?;
        self.store.said(ids).await
    }

    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<ScoredLesson>> {
        self.reachable()?;
        self.store.lessons(query).await
    }

    async fn relations(&self, scope: &Scope, id: EpisodeId) -> Result<Vec<Relation>> {
        self.reachable()?;
        self.store.relations(scope, id).await
    }

    async fn recollect(&self, ids: &[EpisodeId], lessons: &LessonQuery) -> Result<Recollection> {
        self.reachable()?;
        self.store.recollect(ids, lessons).await
    }

    async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        self.reachable()?;
        match since {
            Some(since) if self.deaf.load(Ordering::SeqCst) => {
                let watermark = since.clone();
                Ok(Changes { entries: Vec::new(), watermark, jumped: false })
            }
            _ => self.store.changes(since).await,
        }
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage> {
        self.store.scan(query).await
    }

    async fn counts(&self, scope: &Scope) -> Result<Counts> {
        self.store.counts(scope).await
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Activity> {
        self.store.activity(query).await
    }

    async fn task_types(&self, scope: &Scope) -> Result<Vec<TaskType>> {
        self.store.task_types(scope).await
    }
}
