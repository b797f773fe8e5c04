//! The port, implemented: every operation is one batch on the transport.

use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use memory_core::envelope::Codec;
use memory_core::learning::ScoredLesson;
use memory_core::store::{
    Carried, Changes, Counts, LessonQuery, ListQuery, Page, Recollection, ScanPage, ScanQuery,
    Scope, SearchQuery, SearchResult, Watermark, Write, Written,
};
use memory_core::{Episode, EpisodeId, EpisodeStore, Error, Result};

use crate::batch::{Access, Batch, StatementResult};
use crate::carried::Rider;
use crate::columns::Columns;
use crate::config::TursoConfig;
use crate::database::Database;
use crate::metrics::Metrics;
use crate::read::{self, changes, counts, episodes, lessons, list, scan, search};
use crate::transport::{
    LocalTransport, RemoteConfig, RemoteMetrics, RemoteTransport, Transport, offload,
};
use crate::verify::{self, Verification};
use crate::write::{self, Plan};

/// Bytes of parameters in one write batch, about: far below what a server takes in one request, and
/// done long before a waiting writer may take its lock.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Writes in one batch, for the same reason.
const MAX_BATCH_WRITES: usize = 1000;

/// Batches of writes of one call that the transport knows of at a time: it commits one, and meanwhile
/// the next is made ready. More would only wait.
const MAX_WRITES_AT_A_TIME: usize = 2;

/// Episodes in one read: of 40 KB each, they stay within the 10 MB a server answers with.
const MAX_READ_IDS: usize = 250;

/// Writes from which on encoding and analyzing them is worth another thread.
const MANY_WRITES: usize = 16;

/// Episodes of a `get` from which on it is no longer a matter of microseconds.
const MANY_IDS: usize = 8;

/// Episodes in libSQL.
#[derive(Debug)]
pub struct TursoStore {
    database: Database,
    codec: Codec,
    /// Parts of one large call that are worked on side by side.
    parallel_chunks: usize,
    metrics: Arc<Metrics>,
    /// The state of the file when the feed was last read, and where it stood.
    feed: Mutex<Option<(i64, Watermark)>>,
    /// The feed on the batches to a server; a file has something cheaper.
    rider: Option<Rider>,
}

impl TursoStore {
    /// Opens a local file, creating it and its directory when absent, and brings it to this build's
    /// schema.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the directory or file cannot be written, the file is no database, one of
    /// another program, or one of a newer schema. [`Error::Invalid`]: a setting is out of range.
    pub async fn open(config: TursoConfig) -> Result<Self> {
        let metrics = Arc::new(Metrics::default());
        let (codec, name) = (config.codec, config.path.display().to_string());
        let (parallel_chunks, upgrade) = (config.parallel_chunks, config.upgrade);
        let opened = metrics.clone();
        let local = offload(move || LocalTransport::open(config, opened)).await??;
        let database = Database::new(Transport::Local(local), name, upgrade);
        let store = Self::over(database, codec, parallel_chunks, metrics);
        store.ready().await?;
        Ok(store)
    }

    /// A store on a libSQL server or Turso Cloud. Returns at once, because the server need not be
    /// reachable yet: the first operation, or [`ready`](Self::ready), brings it to this build's
    /// schema.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`]: a setting is out of range. [`Error::Refused`]: a token or certificate file
    /// cannot be read.
    pub fn connect(config: RemoteConfig) -> Result<Self> {
        let (codec, name) = (config.codec, config.url.to_string());
        let (parallel_chunks, upgrade) = (config.parallel_chunks, config.upgrade);
        let transport = Transport::Remote(RemoteTransport::new(config)?);
        let database = Database::new(transport, name, upgrade);
        Ok(Self::over(database, codec, parallel_chunks, Arc::default()))
    }

    fn over(
        database: Database,
        codec: Codec,
        parallel_chunks: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let rider = database.is_remote().then(Rider::default);
        TursoStore { database, codec, parallel_chunks, metrics, feed: Mutex::new(None), rider }
    }

    /// Waits until the database was reached and has this build's schema.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the database is one of another program or of a newer schema, or it refuses
    /// the token. [`Error::Unavailable`]: it cannot be reached; later calls try again.
    pub async fn ready(&self) -> Result<()> {
        self.database.ready().await
    }

    /// What the connection to a server did and where it stands; `None` on a local file.
    pub fn remote_metrics(&self) -> Option<&RemoteMetrics> {
        self.database.remote_metrics()
    }

    /// Counters since the store was opened.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Checks that everything stored agrees with itself, and with `repair` puts right what can be put
    /// right without loss. Tells `progress` how many episodes are done. Others may go on working:
    /// what they change meanwhile is left to them.
    ///
    /// # Errors
    ///
    /// Those of [`ready`](Self::ready); the database could not be reached or asked. What is damaged is
    /// no error but a finding.
    pub async fn verify(
        &self,
        repair: bool,
        progress: impl FnMut(u64) + Send,
    ) -> Result<Verification> {
        verify::run(&self.database, repair, progress).await
    }

    /// Finishes the writes that wait and lets go of the database. Later calls are refused.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Runs a batch, the change feed on its back where that saves asking for it.
    async fn run(&self, mut batch: Batch) -> Result<Vec<StatementResult>> {
        let Some(rider) = &self.rider else {
            return self.database.run(batch).await;
        };
        let ride = rider.mount(&mut batch);
        let results = self.database.run(batch).await?;
        match ride {
            Some(ride) => rider.dismount(ride, results),
            None => Ok(results),
        }
    }

    /// Runs chunks in order.
    async fn run_chunks(&self, chunks: Vec<Vec<Plan>>) -> Result<Vec<Vec<Result<Written>>>> {
        let alone = chunks.len() == 1;
        stream::iter(chunks)
            .map(|chunk| self.run_plans(chunk))
            .buffered(self.parallel_chunks.min(MAX_WRITES_AT_A_TIME))
            .try_collect()
            .await
            // One chunk may have failed without any effect; its neighbours may be written.
            .map_err(|e| match e {
                e if alone => e,
                e => Error::Unknown { reason: format!("some of many writes are missing: {e}") },
            })
    }

    /// Runs planned writes as one batch. One that the engine refuses is found by running each alone.
    async fn run_plans(&self, plans: Vec<Plan>) -> Result<Vec<Result<Written>>> {
        match self.run_batch(&plans).await {
            Ok(results) => Ok(results),
            Err(e) if e.is_retryable() => Err(e),
            Err(e) if plans.len() == 1 => Ok(vec![Err(e)]),
            Err(_) => {
                let mut results = Vec::with_capacity(plans.len());
                for plan in &plans {
                    match self.run_batch(std::slice::from_ref(plan)).await {
                        Ok(result) => results.extend(result),
                        Err(e) if e.is_retryable() => return Err(e),
                        Err(e) => results.push(Err(e)),
                    }
                }
                Ok(results)
            }
        }
    }

    async fn get_chunk(
        &self,
        scope: &Scope,
        ids: &[EpisodeId],
    ) -> Result<Vec<Option<Arc<Episode>>>> {
        let batch = read::read(vec![episodes::get(scope, ids)]);
        let results = if ids.len() < MANY_IDS && self.rider.is_none() {
            self.database.run_short(batch).await?
        } else {
            self.run(batch).await?
        };
        Ok(episodes::in_order(ids, episodes::assemble(read::rows(results))?))
    }

    async fn run_batch(&self, plans: &[Plan]) -> Result<Vec<Result<Written>>> {
        let statements = plans.iter().flat_map(|plan| plan.statements.iter().cloned()).collect();
        let results = self.run(Batch { access: Access::Write, statements }).await?;
        let mut results = results.into_iter();
        let verdicts = plans.iter().map(|plan| {
            // The status row is that of the plan's last statement.
            let status = results.by_ref().take(plan.statements.len()).last();
            Columns::first_of(status.into_iter().collect()).and_then(|row| (plan.verdict)(row))
        });
        Ok(verdicts.collect())
    }

    fn plan(writes: &[Write], codec: Codec) -> Vec<Result<Plan>> {
        writes.iter().map(|write| write::plan(write, codec)).collect()
    }
}

/// Cuts plans into runs that fit a batch.
fn chunks(plans: Vec<Plan>) -> Vec<Vec<Plan>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for plan in plans {
        let full = bytes + plan.bytes() > MAX_BATCH_BYTES || chunk.len() >= MAX_BATCH_WRITES;
        if full && !chunk.is_empty() {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += plan.bytes();
        chunk.push(plan);
    }
    chunks.push(chunk);
    chunks.retain(|chunk| !chunk.is_empty());
    chunks
}

impl EpisodeStore for TursoStore {
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
        let codec = self.codec;
        let planned = if writes.len() < MANY_WRITES {
            Self::plan(&writes, codec)
        } else {
            offload(move || Self::plan(&writes, codec)).await?
        };
        let mut plans = Vec::with_capacity(planned.len());
        // `None` stands for the next result of the plans that do run.
        let mut slots = Vec::with_capacity(planned.len());
        for plan in planned {
            match plan {
                Ok(plan) => {
                    plans.push(plan);
                    slots.push(None);
                }
                Err(e) => slots.push(Some(Err(e))),
            }
        }
        let mut results = self.run_chunks(chunks(plans)).await?.into_iter().flatten();
        let missing = || Error::Engine {
            context: "a write".into(),
            message: "the database gave no result for it".into(),
        };
        Ok(slots
            .into_iter()
            .map(|slot| slot.or_else(|| results.next()).unwrap_or_else(|| Err(missing())))
            .collect())
    }

    async fn get(&self, scope: &Scope, ids: &[EpisodeId]) -> Result<Vec<Option<Arc<Episode>>>> {
        let reads: Vec<_> =
            ids.chunks(MAX_READ_IDS).map(|ids| self.get_chunk(scope, ids)).collect();
        stream::iter(reads).buffered(self.parallel_chunks).try_concat().await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let batch = read::read(vec![list::list(query)?]);
        list::list_page(read::rows(self.run(batch).await?))
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchResult> {
        search::result(query, self.run(search::search(query)?).await?)
    }

    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<ScoredLesson>> {
        let batch = read::read(vec![lessons::lessons(query)]);
        read::rows(self.run(batch).await?).into_iter().map(lessons::scored).collect()
    }

    async fn recollect(&self, ids: &[EpisodeId], query: &LessonQuery) -> Result<Recollection> {
        let batch = read::read(vec![episodes::get(&query.scope, ids), lessons::lessons(query)]);
        let mut results = self.run(batch).await?;
        let scored = results.split_off(1);
        let episodes = episodes::in_order(ids, episodes::assemble(read::rows(results))?);
        let lessons = read::rows(scored).into_iter().map(lessons::scored).collect::<Result<_>>()?;
        Ok(Recollection { episodes, lessons })
    }

    async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        // Read before the feed: a commit in between makes the next call look again.
        let version = self.database.data_version().await?;
        let last = self.feed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(version), Some((seen, watermark))) = (version, last)
            && version == seen
            && since.is_none_or(|since| *since == watermark)
        {
            self.metrics.feed_shortcuts.increment();
            return Ok(Changes { entries: Vec::new(), watermark, jumped: false });
        }
        let results = self.database.run_short(changes::changes(since)).await?;
        let changes = changes::result(since, results)?;
        if let Some(version) = version {
            let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
            *feed = Some((version, changes.watermark.clone()));
        }
        if let Some(rider) = &self.rider {
            rider.read_to(&changes.watermark);
        }
        Ok(changes)
    }

    async fn carried(&self, since: &Watermark) -> Result<Option<Carried>> {
        Ok(self.rider.as_ref().and_then(|rider| rider.take(since)))
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage> {
        let batch = read::read(vec![scan::scan(query)?]);
        scan::page(query, read::rows(self.run(batch).await?))
    }

    async fn counts(&self, scope: &Scope) -> Result<Counts> {
        let batch = read::read(vec![counts::counts(scope)]);
        counts::result(read::rows(self.run(batch).await?))
    }
}
