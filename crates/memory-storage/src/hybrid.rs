//! Cache-first reads, durable-first writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memory_core::learning::ScoredLesson;
use memory_core::store::{
    Change, Changes, Counts, EpisodeStore, LessonQuery, ListQuery, Page, ScanPage, ScanQuery,
    Scope, SearchQuery, SearchResult, Watermark, Write, Written,
};
use memory_core::{Episode, EpisodeId, Result};
use memory_storage_turso::{TursoConfig, TursoStore};
use tokio::time::Instant;

use crate::memory_tier::MemoryTier;
use crate::metrics::Metrics;
use crate::single_flight::{SingleFlight, wait};

/// Settings of the cache.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Bytes of decoded episodes kept in memory; 0 turns the memory tier off.
    pub memory_bytes: u64,
    /// How old what a read returns may be when another process has written. The feed of changes is
    /// read at most once in this time.
    pub max_staleness: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig { memory_bytes: 64 << 20, max_staleness: Duration::from_millis(100) }
    }
}

/// Settings of the whole storage.
#[derive(Debug, Clone, Default)]
pub struct HybridConfig {
    /// The durable store.
    pub turso: TursoConfig,
    /// The cache in front of it.
    pub cache: CacheConfig,
}

/// A durable store with a memory tier in front of it.
pub struct HybridStorage<D = TursoStore> {
    durable: D,
    tier: Option<MemoryTier>,
    flights: SingleFlight,
    feed: tokio::sync::Mutex<Option<Watermark>>,
    /// When the feed was last known to be read to its end.
    confirmed_at: Mutex<Option<Instant>>,
    max_staleness: Duration,
    metrics: Metrics,
}

impl HybridStorage {
    /// Opens the database, creating it if need be, and an empty memory tier.
    pub async fn open(config: HybridConfig) -> Result<Self> {
        Ok(Self::new(TursoStore::open(config.turso).await?, &config.cache))
    }
}

impl<D: EpisodeStore> HybridStorage<D> {
    /// Puts a memory tier in front of `durable`.
    pub fn new(durable: D, config: &CacheConfig) -> Self {
        HybridStorage {
            durable,
            tier: (config.memory_bytes > 0).then(|| MemoryTier::new(config.memory_bytes)),
            flights: SingleFlight::default(),
            feed: tokio::sync::Mutex::default(),
            confirmed_at: Mutex::default(),
            max_staleness: config.max_staleness,
            metrics: Metrics::default(),
        }
    }

    /// The store behind the cache.
    pub fn durable(&self) -> &D {
        &self.durable
    }

    /// What the cache did since start.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Reads the change feed, unless it was read a moment ago, and drops what others changed.
    async fn confirm(&self, tier: &MemoryTier) -> Result<()> {
        if self.is_confirmed() {
            return Ok(());
        }
        let mut watermark = self.feed.lock().await;
        // Somebody else may have read it while this call waited.
        if self.is_confirmed() {
            return Ok(());
        }
        let asked_at = Instant::now();
        Metrics::add(&self.metrics.feed_reads, 1);
        let changes = self.durable.changes(watermark.as_ref()).await?;
        // Without an earlier watermark nobody can say whether what is held is current.
        if changes.jumped || watermark.is_none() {
            tier.clear();
            self.flights.detach_all();
        }
        for Change { id, version, .. } in &changes.entries {
            let dropped = match version {
                Some(version) => tier.invalidate_before(*id, *version),
                None => tier.invalidate(*id),
            };
            self.flights.detach(*id);
            Metrics::add(&self.metrics.invalidations, usize::from(dropped));
        }
        *watermark = Some(changes.watermark);
        *self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked_at);
        Ok(())
    }

    fn is_confirmed(&self) -> bool {
        let at = *self.confirmed_at.lock().unwrap_or_else(PoisonError::into_inner);
        at.is_some_and(|at| at.elapsed() < self.max_staleness)
    }

    /// Fills the empty places of `found` from the database, each id with one fetch at a time.
    async fn fetch_missing(
        &self,
        tier: &MemoryTier,
        ids: &[EpisodeId],
        found: &mut [Option<Arc<Episode>>],
    ) -> Result<()> {
        let missing = ids.iter().zip(&*found).enumerate();
        let missing = missing.filter(|(_, (_, held))| held.is_none()).map(|(i, (id, _))| (i, *id));
        let mut shares = self.flights.share(missing);
        Metrics::add(&self.metrics.misses, shares.lead.ids.len());
        Metrics::add(&self.metrics.joined, shares.waiting.len());
        if !shares.lead.ids.is_empty() {
            let wanted: Vec<EpisodeId> = shares.lead.ids.iter().map(|(_, id)| *id).collect();
            let mark = tier.mark();
            let fetched = match self.durable.get(&Scope::All, &wanted).await {
                Ok(fetched) => fetched,
                Err(e) => {
                    shares.lead.land(&vec![Err(e.clone()); wanted.len()]);
                    return Err(e);
                }
            };
            for episode in fetched.iter().flatten() {
                let kept = tier.fill(mark, episode);
                Metrics::add(&self.metrics.refused_fills, usize::from(!kept));
            }
            for ((place, _), episode) in shares.lead.ids.iter().zip(&fetched) {
                place_at(found, *place, episode.clone());
            }
            let landed: Vec<_> = fetched.into_iter().map(Ok).collect();
            shares.lead.land(&landed);
        }
        for (place, id, waiter) in shares.waiting.drain(..) {
            let episode = match wait(waiter).await {
                Some(landed) => landed?,
                // The other caller was cancelled: fetch it here.
                None => self.durable.get(&Scope::All, &[id]).await?.into_iter().next().flatten(),
            };
            place_at(found, place, episode);
        }
        Ok(())
    }

    /// Brings the memory tier in line with what one write did.
    fn after_write(&self, tier: &MemoryTier, write: &Touched, result: &Result<Written>) {
        if let Some(id) = write.id() {
            self.flights.detach(id);
        }
        match (write, result) {
            (Touched::Saved(episode), Ok(written)) if written.version == episode.version => {
                tier.put(episode);
            }
            // A conflict, a replay under a later version, an unknown outcome: read it afresh.
            (Touched::Saved(episode), _) => {
                tier.invalidate(episode.id);
            }
            (Touched::Changed(id), _) => {
                tier.invalidate(*id);
            }
            (Touched::Nothing, _) => {}
        }
    }
}

fn place_at(found: &mut [Option<Arc<Episode>>], place: usize, episode: Option<Arc<Episode>>) {
    if let Some(slot) = found.get_mut(place) {
        *slot = episode;
    }
}

/// Which cached episode a write touches.
enum Touched {
    Saved(Arc<Episode>),
    Changed(EpisodeId),
    Nothing,
}

impl Touched {
    fn id(&self) -> Option<EpisodeId> {
        match self {
            Touched::Saved(episode) => Some(episode.id),
            Touched::Changed(id) => Some(*id),
            Touched::Nothing => None,
        }
    }

    fn by(write: &Write) -> Self {
        match write {
            Write::Save(save) => Touched::Saved(save.episode.clone()),
            Write::AppendSteps(append) => Touched::Changed(append.id),
            Write::Forget(forget) => Touched::Changed(forget.id),
            Write::PutTombstone(tombstone) => Touched::Changed(tombstone.id),
            Write::Feedback(_) | Write::Relate(_) | Write::PutLesson(_) => Touched::Nothing,
        }
    }
}

impl<D: EpisodeStore> EpisodeStore for HybridStorage<D> {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        let Some(tier) = &self.tier else {
            return self.durable.write(writes).await;
        };
        let touched: Vec<Touched> = writes.iter().map(Touched::by).collect();
        // If this call is cancelled the outcome is unknown: then nothing of it may stay cached.
        let guard = ForgetUnlessDone { tier, touched: Some(touched) };
        let results = self.durable.write(writes).await;
        let touched = guard.done();
        match &results {
            Ok(results) => {
                for (write, result) in touched.iter().zip(results) {
                    self.after_write(tier, write, result);
                }
            }
            Err(e) => {
                for write in &touched {
                    self.after_write(tier, write, &Err(e.clone()));
                }
            }
        }
        results
    }

    async fn get(&self, scope: &Scope, ids: &[EpisodeId]) -> Result<Vec<Option<Arc<Episode>>>> {
        let Some(tier) = &self.tier else {
            return self.durable.get(scope, ids).await;
        };
        self.confirm(tier).await?;
        let mut found: Vec<_> = ids.iter().map(|id| tier.get(id)).collect();
        let hits = found.iter().flatten().count();
        Metrics::add(&self.metrics.hits, hits);
        if hits < ids.len() {
            self.fetch_missing(tier, ids, &mut found).await?;
        }
        for slot in &mut found {
            slot.take_if(|episode| !scope.contains(&episode.project));
        }
        Ok(found)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.durable.list(query).await
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchResult> {
        self.durable.search(query).await
    }

    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<ScoredLesson>> {
        self.durable.lessons(query).await
    }

    async fn recollect(
        &self,
        ids: &[EpisodeId],
        lessons: &LessonQuery,
    ) -> Result<(Vec<Option<Arc<Episode>>>, Vec<ScoredLesson>)> {
        let Some(tier) = &self.tier else {
            return self.durable.recollect(ids, lessons).await;
        };
        self.confirm(tier).await?;
        let mut found: Vec<_> = ids.iter().map(|id| tier.get(id)).collect();
        let held = found.iter().flatten().count();
        Metrics::add(&self.metrics.hits, held);
        Metrics::add(&self.metrics.misses, ids.len() - held);
        let missing: Vec<usize> =
            found.iter().enumerate().filter(|(_, e)| e.is_none()).map(|(i, _)| i).collect();
        let wanted: Vec<EpisodeId> = missing.iter().filter_map(|i| ids.get(*i)).copied().collect();
        let mark = tier.mark();
        // Lessons rest on what every episode says, so they are always read; the episodes that are
        // missing come along, and joining somebody else's fetch of them would save nothing.
        let (fetched, lessons_found) = if wanted.is_empty() {
            (Vec::new(), self.durable.lessons(lessons).await?)
        } else {
            self.durable.recollect(&wanted, lessons).await?
        };
        for (place, episode) in missing.into_iter().zip(fetched) {
            if let Some(episode) = &episode {
                let kept = tier.fill(mark, episode);
                Metrics::add(&self.metrics.refused_fills, usize::from(!kept));
            }
            place_at(&mut found, place, episode);
        }
        for slot in &mut found {
            slot.take_if(|episode| !lessons.scope.contains(&episode.project));
        }
        Ok((found, lessons_found))
    }

    async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        self.durable.changes(since).await
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage> {
        self.durable.scan(query).await
    }

    async fn counts(&self, scope: &Scope) -> Result<Counts> {
        self.durable.counts(scope).await
    }
}

/// Drops the touched entries when a write is cancelled before its outcome is known.
struct ForgetUnlessDone<'a> {
    tier: &'a MemoryTier,
    touched: Option<Vec<Touched>>,
}

impl ForgetUnlessDone<'_> {
    fn done(mut self) -> Vec<Touched> {
        self.touched.take().unwrap_or_default()
    }
}

impl Drop for ForgetUnlessDone<'_> {
    fn drop(&mut self) {
        for id in self.touched.iter().flatten().filter_map(Touched::id) {
            self.tier.invalidate(id);
        }
    }
}
