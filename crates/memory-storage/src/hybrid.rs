//! Cache-first reads, durable-first writes.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use memory_core::learning::ScoredLesson;
use memory_core::recall::{FeedbackCounts, Similar, SimilarQuery};
use memory_core::store::{
    Activity, ActivityQuery, Changes, Counts, EpisodeStore, LessonQuery, ListQuery, Page,
    Recollection, Relation, ScanPage, ScanQuery, Scope, SearchQuery, SearchResult, TaskType,
    Watermark, Write, Written,
};
use memory_core::{Episode, EpisodeId, Result, SystemClock};
use memory_storage_redb::{Cache, CacheConfig, CacheMetrics};
use memory_storage_turso::{RemoteConfig, TursoConfig, TursoStore};
use tokio::task::JoinHandle;

use crate::background;
use crate::check::CacheCheck;
use crate::embeddings::{Embeddings, EmbeddingsConfig, Filled};
use crate::metrics::Metrics;
use crate::pending::{PendingConfig, PendingStore};
use crate::queries::{Answer, Queries};
use crate::report::{CacheReport, LastReport};
use crate::shared::{Shared, place_at};

/// Of the memory budget, the part for results of queries.
const QUERIES: u64 = 32;

/// Where the database is.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum DatabaseConfig {
    /// A file on this machine.
    Local(TursoConfig),
    /// A libSQL server or Turso Cloud, behind a journal and an outbox on this machine.
    Remote {
        /// The connection.
        remote: RemoteConfig,
        /// The journal and the outbox.
        pending: PendingConfig,
    },
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        DatabaseConfig::Local(TursoConfig::default())
    }
}

/// Settings of the whole storage.
#[derive(Debug, Clone, Default)]
pub struct HybridConfig {
    /// The durable store.
    pub database: DatabaseConfig,
    /// The cache in front of it.
    pub cache: CacheConfig,
    /// The endpoint that makes embeddings, where there is one.
    pub embeddings: Option<EmbeddingsConfig>,
}

/// Where the durable store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A file on this machine: looking for changes costs microseconds.
    Local,
    /// A server: looking for changes costs a round trip.
    Remote,
}

/// How current answers from the cache are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The database could not be reached when it was last tried: answers from the cache may be older
    /// than the bound, and are to be marked so.
    pub stale_possible: bool,
    /// How long ago the change feed was last read to its end; `None`: not yet.
    pub confirmed_ago: Option<Duration>,
    /// Answers so far that could not be confirmed.
    pub stale_serves: u64,
}

/// A durable store with a cache in front of it.
pub struct HybridStorage<D: EpisodeStore = PendingStore> {
    /// In front of the others: it is dropped first.
    last_report: LastReport<D>,
    place: Door<D>,
    metrics: Arc<Metrics>,
    background: Background,
    embeddings: Option<Embeddings>,
}

/// The background work; ends when this is dropped.
struct Background(Option<JoinHandle<()>>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The way to the durable store: through the cache, or straight when there is none.
enum Door<D: EpisodeStore> {
    Cached(Arc<Shared<D>>),
    Straight(D),
}

impl HybridStorage {
    /// Opens the database and the cache in front of it. A local file is created if need be; a server
    /// need not be reachable yet.
    ///
    /// # Errors
    ///
    /// Those of [`TursoStore::open`], [`TursoStore::connect`] and [`PendingStore::open`]. A cache
    /// file that cannot be had is none: it is logged, and done without.
    pub async fn open(config: HybridConfig) -> Result<Self> {
        let with_embeddings = |store: &TursoStore| {
            let config = config.embeddings.as_ref();
            config.map(|config| Embeddings::new(config, store.vectors())).transpose()
        };
        let (durable, place, embeddings) = match config.database {
            DatabaseConfig::Local(file) => {
                let store = TursoStore::open(file).await?;
                let embeddings = with_embeddings(&store)?;
                (PendingStore::direct(store), Place::Local, embeddings)
            }
            DatabaseConfig::Remote { remote, pending } => {
                let url = remote.url.to_string();
                let server = TursoStore::connect(remote)?;
                let embeddings = with_embeddings(&server)?;
                let clock = Arc::new(SystemClock);
                let store = PendingStore::open(server, &url, pending, clock).await?;
                (store, Place::Remote, embeddings)
            }
        };
        Ok(HybridStorage { embeddings, ..Self::new(durable, place, &config.cache) })
    }

    /// Makes the embeddings that are missing: see [`Embeddings::fill`]. `None`: no endpoint is
    /// configured.
    ///
    /// # Errors
    ///
    /// Those of [`Embeddings::fill`].
    pub async fn embed_missing(
        &self,
        progress: impl FnMut(&Filled) + Send,
    ) -> Result<Option<Filled>> {
        let Some(embeddings) = &self.embeddings else { return Ok(None) };
        embeddings.fill(self.durable().durable(), progress).await.map(Some)
    }
}

impl<D: EpisodeStore> HybridStorage<D> {
    /// Puts a cache in front of `durable`. Opens the cache file where there is one to be: a few
    /// milliseconds. To be called within a Tokio runtime, which runs the background work.
    pub fn new(durable: D, place: Place, config: &CacheConfig) -> Self {
        let metrics = Arc::new(Metrics::default());
        if config.memory_bytes == 0 {
            let background = Background(None);
            let last_report = LastReport(Weak::new());
            return HybridStorage {
                last_report,
                place: Door::Straight(durable),
                metrics,
                background,
                embeddings: None,
            };
        }
        let remote = place == Place::Remote;
        let for_queries = if config.query_results { config.memory_bytes / QUERIES } else { 0 };
        let for_episodes = config.memory_bytes - for_queries;
        let cache =
            Cache::open(&CacheConfig { memory_bytes: for_episodes, ..config.clone() }, remote);
        let queries = Queries::new(config.policy, for_queries);
        let (ttl, bound) = (config.ttl, config.max_staleness);
        let shared = Shared::new(durable, remote, cache, queries, ttl, bound, metrics.clone());
        let shared = Arc::new(shared);
        let running = tokio::runtime::Handle::try_current().ok();
        let background = running.map(|rt| rt.spawn(background::run(Arc::downgrade(&shared))));
        HybridStorage {
            last_report: LastReport(Arc::downgrade(&shared)),
            place: Door::Cached(shared),
            metrics,
            background: Background(background),
            embeddings: None,
        }
    }

    /// The store behind the cache.
    pub fn durable(&self) -> &D {
        match &self.place {
            Door::Cached(shared) => &shared.durable,
            Door::Straight(durable) => durable,
        }
    }

    /// Recall by meaning; `None`: no endpoint is configured.
    pub fn embeddings(&self) -> Option<&Embeddings> {
        self.embeddings.as_ref()
    }

    /// What reads and writes did since start.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the tiers of the cache did since start; `None` without a cache.
    pub fn cache_metrics(&self) -> Option<&CacheMetrics> {
        match &self.place {
            Door::Cached(shared) => Some(shared.cache.metrics()),
            Door::Straight(_) => None,
        }
    }

    /// What the cache did by tier, in this process and in earlier ones on its cache file; `None`
    /// without a cache. [`CacheReport::of_directory`] tells of all processes.
    pub fn cache_report(&self) -> Option<CacheReport> {
        match &self.place {
            Door::Cached(shared) => Some(shared.report()),
            Door::Straight(_) => None,
        }
    }

    /// The cache file of this process, where there is one.
    pub fn cache_file(&self) -> Option<&Path> {
        match &self.place {
            Door::Cached(shared) => shared.cache.file(),
            Door::Straight(_) => None,
        }
    }

    /// How current answers are now. A reply given while `stale_possible` should say so.
    pub fn freshness(&self) -> Freshness {
        let stale_serves = self.metrics.stale_serves.load(Ordering::Relaxed);
        match &self.place {
            Door::Cached(shared) => Freshness {
                stale_possible: shared.feed.is_failing(),
                confirmed_ago: shared.feed.confirmed_at().map(|at| at.elapsed()),
                stale_serves,
            },
            Door::Straight(_) => {
                Freshness { stale_possible: false, confirmed_ago: None, stale_serves }
            }
        }
    }

    /// Compares everything cached with the database and drops what differs; tells `progress` how many
    /// of how many are done.
    ///
    /// # Errors
    ///
    /// Those of the database; what was not compared is as it was.
    pub async fn check_cache(&self, progress: impl FnMut(usize, usize)) -> Result<CacheCheck> {
        match &self.place {
            Door::Cached(shared) => shared.check(progress).await,
            Door::Straight(_) => Ok(CacheCheck::default()),
        }
    }

    /// Ends the background work, lets go of the cache file and gives back the durable store, once
    /// nobody else uses the storage.
    pub async fn close(mut self) -> Option<D> {
        if let Some(task) = self.background.0.take() {
            task.abort();
            // Cancelled, as asked for.
            let _ = task.await;
        }
        drop(self.last_report);
        match self.place {
            Door::Cached(shared) => Arc::try_unwrap(shared).ok().map(|shared| shared.durable),
            Door::Straight(durable) => Some(durable),
        }
    }
}

fn within(scope: &Scope, found: &mut [Option<Arc<Episode>>]) {
    for slot in found {
        slot.take_if(|episode| !scope.contains(&episode.project));
    }
}

impl<D: EpisodeStore> EpisodeStore for HybridStorage<D> {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        match &self.place {
            Door::Cached(shared) => shared.write(writes).await,
            Door::Straight(durable) => durable.write(writes).await,
        }
    }

    async fn get(&self, scope: &Scope, ids: &[EpisodeId]) -> Result<Vec<Option<Arc<Episode>>>> {
        let shared = match &self.place {
            Door::Cached(shared) => shared,
            Door::Straight(durable) => return durable.get(scope, ids).await,
        };
        let mut found = shared.get(ids).await?;
        within(scope, &mut found);
        Ok(found)
    }

    /// What is held in memory, whatever its age; else what the store below takes for good enough.
    async fn get_base(&self, scope: &Scope, id: EpisodeId) -> Result<Option<Arc<Episode>>> {
        if let Door::Cached(shared) = &self.place
            && let Some(entry) = shared.cache.peek(&id)
            && let Some(episode) = entry.episode().filter(|e| scope.contains(&e.project))
        {
            return Ok(Some(episode.clone()));
        }
        self.durable().get_base(scope, id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let shared = match &self.place {
            Door::Cached(shared) => shared,
            Door::Straight(durable) => return durable.list(query).await,
        };
        let key = format!("list {query:?}");
        if let Some(Answer::List { ids, next }) = shared.kept(&key).await? {
            let found = self.get(&query.scope, &ids).await?;
            let episodes: Vec<_> = found.into_iter().flatten().collect();
            // One that is gone by now: then the page is another one.
            if episodes.len() == ids.len() {
                return Ok(Page { episodes, next });
            }
        }
        let (version, now) = (shared.feed.version(), Instant::now());
        let mark = shared.cache.mark(now);
        let page = shared.durable.list(query).await?;
        for episode in &page.episodes {
            shared.cache.fill(mark, episode.id, Some(episode));
        }
        let answer = || Answer::List {
            ids: page.episodes.iter().map(|episode| episode.id).collect(),
            next: page.next.clone(),
        };
        shared.keep(&key, answer, version, now);
        Ok(page)
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchResult> {
        let shared = match &self.place {
            Door::Cached(shared) => shared,
            Door::Straight(durable) => return durable.search(query).await,
        };
        let key = format!("search {query:?}");
        if let Some(Answer::Search(found)) = shared.kept(&key).await? {
            return Ok(found);
        }
        let (version, now) = (shared.feed.version(), Instant::now());
        let found = shared.durable.search(query).await?;
        shared.keep(&key, || Answer::Search(found.clone()), version, now);
        Ok(found)
    }

    async fn similar(&self, query: &SimilarQuery) -> Similar {
        match &self.embeddings {
            Some(embeddings) => embeddings.similar(query).await,
            None => Similar::Off,
        }
    }

    async fn said(&self, ids: &[EpisodeId]) -> Result<Vec<FeedbackCounts>> {
        self.durable().said(ids).await
    }

    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<ScoredLesson>> {
        let shared = match &self.place {
            Door::Cached(shared) => shared,
            Door::Straight(durable) => return durable.lessons(query).await,
        };
        let key = format!("lessons {query:?}");
        if let Some(Answer::Lessons(lessons)) = shared.kept(&key).await? {
            return Ok(lessons);
        }
        let (version, now) = (shared.feed.version(), Instant::now());
        let lessons = shared.durable.lessons(query).await?;
        shared.keep(&key, || Answer::Lessons(lessons.clone()), version, now);
        Ok(lessons)
    }

    async fn relations(&self, scope: &Scope, id: EpisodeId) -> Result<Vec<Relation>> {
        self.durable().relations(scope, id).await
    }

    async fn recollect(&self, ids: &[EpisodeId], query: &LessonQuery) -> Result<Recollection> {
        let shared = match &self.place {
            Door::Cached(shared) => shared,
            Door::Straight(durable) => return durable.recollect(ids, query).await,
        };
        let key = format!("lessons {query:?}");
        if let Some(Answer::Lessons(lessons)) = shared.kept(&key).await? {
            let episodes = self.get(&query.scope, ids).await?;
            return Ok(Recollection { episodes, lessons });
        }
        let held = shared.held(ids).await?;
        let missing: Vec<(usize, EpisodeId)> = held
            .iter()
            .zip(ids)
            .enumerate()
            .filter(|(_, (entry, _))| entry.is_none())
            .map(|(place, (_, id))| (place, *id))
            .collect();
        if missing.is_empty() {
            let lessons = self.lessons(query).await?;
            Metrics::add(&self.metrics.hits, ids.len());
            let mut found: Vec<_> =
                held.iter().map(|entry| entry.as_ref()?.episode().cloned()).collect();
            within(&query.scope, &mut found);
            return Ok(Recollection { episodes: found, lessons });
        }
        Metrics::add(&self.metrics.hits, ids.len() - missing.len());
        Metrics::add(&self.metrics.misses, missing.len());
        // The episodes that are missing come along with the lessons: joining somebody else's fetch
        // of them would save nothing.
        let wanted: Vec<EpisodeId> = missing.iter().map(|(_, id)| *id).collect();
        let (version, now) = (shared.feed.version(), Instant::now());
        let mark = shared.cache.mark(now);
        let recollected = shared.durable.recollect(&wanted, query).await?;
        let Recollection { episodes: fetched, lessons } = recollected;
        let mut found: Vec<_> = held.iter().map(|e| e.as_ref()?.episode().cloned()).collect();
        for ((place, id), episode) in missing.into_iter().zip(fetched) {
            // Nothing found within the scope says nothing about the others.
            if episode.is_some() {
                shared.cache.fill(mark, id, episode.as_ref());
            }
            place_at(&mut found, place, episode);
        }
        shared.keep(&key, || Answer::Lessons(lessons.clone()), version, now);
        within(&query.scope, &mut found);
        Ok(Recollection { episodes: found, lessons })
    }

    async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        self.durable().changes(since).await
    }

    fn stale_possible(&self) -> bool {
        self.freshness().stale_possible
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage> {
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
