//! The parts that reads, writes and background work share, and how a read is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use memory_core::store::{Changes, EpisodeStore, Scope, Watermark};
use memory_core::{Episode, EpisodeId, Result};
use memory_storage_redb::{Cache, Entry, Ttl};

use crate::feed::{ASK_AGAIN_AFTER, Feed};
use crate::metrics::Metrics;
use crate::queries::{Answer, Queries};
use crate::report::{self, CacheReport};
use crate::single_flight::{SingleFlight, wait};

/// How long a read that could be answered from the cache waits for the database to confirm it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How old an answer from in front of a local file may be: looking costs microseconds there.
const LOCAL_STALENESS: Duration = Duration::from_millis(100);

/// Everything of a storage with a cache.
pub(crate) struct Shared<D> {
    pub(crate) durable: D,
    pub(crate) remote: bool,
    pub(crate) cache: Cache,
    pub(crate) queries: Queries,
    pub(crate) flights: SingleFlight,
    pub(crate) feed: Feed,
    pub(crate) ttl: Ttl,
    pub(crate) max_staleness: Duration,
    pub(crate) metrics: Arc<Metrics>,
    /// What earlier runs told of the cache file.
    pub(crate) earlier: CacheReport,
    /// A reading of the feed that nobody waits for is under way.
    refreshing: AtomicBool,
}

/// How current something is, and how current it has to be.
struct Currency {
    current_at: Option<Instant>,
    budget: Duration,
}

impl<D: EpisodeStore> Shared<D> {
    pub(crate) fn new(
        durable: D,
        remote: bool,
        cache: Cache,
        queries: Queries,
        ttl: Ttl,
        max_staleness: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let earlier = report::of_earlier_runs(cache.file());
        let feed = Feed::starting_at(cache.restored().cloned());
        let bound = if remote { max_staleness } else { max_staleness.min(LOCAL_STALENESS) };
        Shared {
            durable,
            remote,
            cache,
            queries,
            flights: SingleFlight::default(),
            feed,
            ttl,
            max_staleness: bound,
            metrics,
            earlier,
            refreshing: AtomicBool::new(false),
        }
    }

    /// Reads the change feed, unless it was read after `not_before`, and drops what others changed.
    pub(crate) async fn confirm(&self, not_before: Instant) -> Result<()> {
        let mut watermark = self.feed.reading.lock().await;
        // Somebody else may have read it while this call waited.
        if self.feed.confirmed_at().is_some_and(|at| at > not_before) {
            return Ok(());
        }
        // What came along with other operations costs nothing, and is often news enough.
        if let Some(since) = &*watermark
            && let Some(carried) = self.durable.carried(since).await?
        {
            let enough = carried.at > not_before;
            self.learn(&mut watermark, carried.changes, carried.at);
            if enough {
                return Ok(());
            }
        }
        let asked_at = Instant::now();
        Metrics::add(&self.metrics.feed_reads, 1);
        match self.durable.changes(watermark.as_ref()).await {
            Ok(changes) => {
                self.learn(&mut watermark, changes, asked_at);
                Ok(())
            }
            Err(e) => {
                self.feed.failed(&e);
                Err(e)
            }
        }
    }

    /// Drops what others changed, as of `at`.
    fn learn(&self, watermark: &mut Option<Watermark>, changes: Changes, at: Instant) {
        // Without an earlier watermark nobody can say whether what is held is current.
        let unknown = changes.jumped || watermark.is_none();
        self.cache.apply(&changes, unknown);
        if unknown {
            self.flights.detach_all();
        }
        for change in &changes.entries {
            self.flights.detach(change.id);
        }
        self.feed.succeeded(at, &changes.watermark, unknown);
        *watermark = Some(changes.watermark);
    }

    /// Makes sure that what was last known to be current long enough ago may be served, by reading
    /// the feed if need be. True: the feed was read, so look again. Past half of the budget, the feed
    /// is read in the background.
    async fn ensure_current(self: &Arc<Self>, least: Currency, now: Instant) -> Result<bool> {
        let budget = least.budget.min(self.max_staleness);
        let age = least.current_at.map(|at| now.saturating_duration_since(at));
        match age {
            Some(age) if age < budget => {
                if self.remote && age > budget / 2 {
                    self.refresh_in_background(now.checked_sub(budget / 2).unwrap_or(now));
                }
                Ok(false)
            }
            _ => {
                let not_before = now.checked_sub(budget).unwrap_or(now);
                self.confirm_or_serve_stale(not_before).await
            }
        }
    }

    /// As [`confirm`](Self::confirm), but a database that cannot be reached is no error: the caller
    /// has something to serve. True when the feed was read.
    async fn confirm_or_serve_stale(self: &Arc<Self>, not_before: Instant) -> Result<bool> {
        if let Some((at, e)) = self.feed.failure()
            && e.is_retryable()
        {
            if at.elapsed() >= ASK_AGAIN_AFTER {
                self.refresh_in_background(Instant::now());
            }
            return Ok(false);
        }
        match tokio::time::timeout(PATIENCE, self.confirm(not_before)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(e)) if e.is_retryable() => Ok(false),
            Ok(Err(e)) => Err(e),
            Err(_) => {
                let reason = format!("no answer within {} s", PATIENCE.as_secs());
                self.feed.failed(&memory_core::Error::Unavailable { reason });
                Ok(false)
            }
        }
    }

    fn refresh_in_background(self: &Arc<Self>, not_before: Instant) {
        if self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            Metrics::add(&shared.metrics.background_feed_reads, 1);
            // A failure is noted in the feed's state, where reads see it.
            let _ = shared.confirm(not_before).await;
            shared.refreshing.store(false, Ordering::Release);
        });
    }

    /// The cached entries among `ids`, confirmed as far as that is possible.
    pub(crate) async fn held(
        self: &Arc<Self>,
        ids: &[EpisodeId],
    ) -> Result<Vec<Option<Arc<Entry>>>> {
        let now = Instant::now();
        let mut found: Vec<Option<Arc<Entry>>> = Vec::with_capacity(ids.len());
        found.extend(
            ids.iter().map(|id| self.cache.get(id).or_else(|| self.cache.read_file(*id, now))),
        );
        let Some(least) = self.least_current(&found, now) else {
            // Nothing is held. What is fetched is current, but the feed has to be known from then on.
            if self.feed.confirmed_at().is_none() && !self.feed.is_failing() {
                self.confirm(now).await?;
            }
            return Ok(found);
        };
        let confirmed = self.ensure_current(least, now).await?;
        if confirmed {
            for (entry, id) in found.iter_mut().zip(ids).filter(|(entry, _)| entry.is_some()) {
                let again = || self.cache.read_file(*id, now);
                *entry = self.cache.peek(id).or_else(again);
            }
        } else if self.feed.is_failing() {
            Metrics::add(&self.metrics.stale_serves, found.iter().flatten().count());
        }
        Ok(found)
    }

    /// The currency of the entry that is nearest to its end or furthest past it.
    fn least_current(&self, found: &[Option<Arc<Entry>>], now: Instant) -> Option<Currency> {
        let confirmed = self.feed.confirmed_at();
        let left = |c: &Currency| {
            let age = c.current_at.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
            c.budget.checked_sub(age).map_or(0, |left| left.as_micros())
        };
        let each = found.iter().flatten().map(|entry| {
            let current_at = entry.current_at(confirmed);
            let budget = entry.budget(self.ttl, current_at.unwrap_or(now));
            Currency { current_at, budget: budget.min(self.max_staleness) }
        });
        each.min_by_key(left)
    }

    /// The episodes by id, from the cache where it has them, else from the database, each with one
    /// fetch at a time.
    pub(crate) async fn get(
        self: &Arc<Self>,
        ids: &[EpisodeId],
    ) -> Result<Vec<Option<Arc<Episode>>>> {
        let held = self.held(ids).await?;
        let absent = held.iter().zip(ids).enumerate().filter(|(_, (entry, _))| entry.is_none());
        let missing: Vec<_> = absent.map(|(place, (_, id))| (place, *id)).collect();
        Metrics::add(&self.metrics.hits, ids.len() - missing.len());
        // Both vectors hold pointers: this one takes over the memory of the other.
        let mut found = held.into_iter().map(|entry| entry?.episode().cloned()).collect::<Vec<_>>();
        if !missing.is_empty() {
            self.fetch(missing.into_iter(), &mut found).await?;
        }
        Ok(found)
    }

    async fn fetch(
        &self,
        missing: impl Iterator<Item = (usize, EpisodeId)>,
        found: &mut [Option<Arc<Episode>>],
    ) -> Result<()> {
        let mut shares = self.flights.share(missing);
        Metrics::add(&self.metrics.joined, shares.waiting.len());
        // Another fetch may have landed between the look into the cache and now.
        let leads = &shares.lead.ids;
        let late: Vec<_> = leads.iter().map(|(_, id)| self.cache.peek(id)).collect();
        let absent = leads.iter().zip(&late).filter(|(_, entry)| entry.is_none());
        let wanted: Vec<EpisodeId> = absent.map(|((_, id), _)| *id).collect();
        Metrics::add(&self.metrics.misses, wanted.len());
        let mut fetched = Vec::new();
        if !wanted.is_empty() {
            let mark = self.cache.mark(Instant::now());
            fetched = match self.durable.get(&Scope::All, &wanted).await {
                Ok(fetched) => fetched,
                Err(e) => {
                    let failed = vec![Err(e.clone()); shares.lead.ids.len()];
                    shares.lead.land(&failed);
                    return Err(e);
                }
            };
            self.feed.reached();
            for (id, episode) in wanted.iter().zip(&fetched) {
                self.cache.fill(mark, *id, episode.as_ref());
            }
        }
        let mut fetched = fetched.into_iter();
        let mut landed = Vec::with_capacity(late.len());
        for ((place, _), entry) in shares.lead.ids.iter().zip(late) {
            let episode = match entry {
                Some(entry) => entry.episode().cloned(),
                None => fetched.next().flatten(),
            };
            place_at(found, *place, episode.clone());
            landed.push(Ok(episode));
        }
        shares.lead.land(&landed);
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

    /// The kept answer to a query, if it is still good.
    pub(crate) async fn kept(self: &Arc<Self>, key: &str) -> Result<Option<Answer>> {
        let Some(kept) = self.queries.get(key) else { return Ok(None) };
        if self.feed.version() != Some(kept.version) {
            return Ok(None);
        }
        let now = Instant::now();
        let current_at = kept.current_at(self.feed.confirmed_at());
        let budget = kept.budget(self.ttl, current_at.unwrap_or(now));
        let confirmed = self.ensure_current(Currency { current_at, budget }, now).await?;
        if confirmed && self.feed.version() != Some(kept.version) {
            return Ok(None);
        }
        if !confirmed && self.feed.is_failing() {
            Metrics::add(&self.metrics.stale_serves, 1);
        }
        Metrics::add(&self.metrics.query_hits, 1);
        Ok(Some(kept.answer.clone()))
    }

    /// Keeps an answer to a query that was asked at `seen`, when `version` was known.
    pub(crate) fn keep(
        &self,
        key: &str,
        answer: impl FnOnce() -> Answer,
        version: Option<crate::feed::Version>,
        seen: Instant,
    ) {
        Metrics::add(&self.metrics.query_misses, 1);
        self.feed.reached();
        if let Some(version) = version
            && self.feed.version() == Some(version)
        {
            self.queries.keep(key, answer(), version, seen);
        }
    }
}

pub(crate) fn place_at(
    found: &mut [Option<Arc<Episode>>],
    place: usize,
    episode: Option<Arc<Episode>>,
) {
    if let Some(slot) = found.get_mut(place) {
        *slot = episode;
    }
}
