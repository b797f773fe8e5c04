//! The port, implemented: every operation is one batch on the transport.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use memory_core::envelope::DictionaryId;
use memory_core::learning::ScoredLesson;
use memory_core::recall::FeedbackCounts;
use memory_core::record::RecordKind;
use memory_core::store::{
    Activity, ActivityQuery, Carried, Changes, Counts, LessonQuery, ListQuery, Page, Recollection,
    Relation, ScanPage, ScanQuery, Scope, SearchQuery, SearchResult, TaskType, Watermark, Write,
    Written,
};
use memory_core::{Episode, EpisodeId, EpisodeStore, Error, Result};

use crate::batch::{Access, Batch, Statement, StatementResult};
use crate::carried::Rider;
use crate::columns::Columns;
use crate::config::TursoConfig;
use crate::database::Database;
use crate::metrics::{Metrics, Operation, Pool};
use crate::payload::{Known, PayloadConfig, Payloads};
use crate::read::{
    self, activity, changes, counts, episodes, lessons, list, relations, said, scan, search,
};
use crate::transport::{
    LocalTransport, RemoteConfig, RemoteMetrics, RemoteTransport, Transport, offload,
};
use crate::upkeep::{Saves, dictionaries};
use crate::write::{self, Plan, Verdict};

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

/// Reads of payloads until each dictionary they name is known. Twice is for a dictionary that is
/// withdrawn between the two.
const PAYLOAD_ATTEMPTS: usize = 3;

/// Episodes in libSQL.
#[derive(Debug)]
pub struct TursoStore {
    pub(crate) database: Arc<Database>,
    pub(crate) payloads: Payloads,
    /// Parts of one large call that are worked on side by side.
    parallel_chunks: usize,
    /// Matches that a search weighs.
    weighed_matches: usize,
    metrics: Arc<Metrics>,
    /// What was saved since dictionaries were looked at.
    pub(crate) saves: Saves,
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
        let (payload, name) = (config.payload, config.path.display().to_string());
        let (parallel_chunks, upgrade) = (config.parallel_chunks, config.upgrade);
        let weighed = config.weighed_matches;
        let opened = metrics.clone();
        let local = offload(move || LocalTransport::open(config, opened)).await??;
        let database = Arc::new(Database::new(Transport::Local(local), name, upgrade));
        let store = Self::over(database, payload, parallel_chunks, weighed, metrics);
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
        let (payload, name) = (config.payload, config.url.to_string());
        let (parallel_chunks, upgrade) = (config.parallel_chunks, config.upgrade);
        let weighed = config.weighed_matches;
        // Without a pipeline each statement that rides along is a request of its own.
        let rider = config.pipeline.then(Rider::default);
        let transport = Transport::Remote(RemoteTransport::new(config)?);
        let database = Arc::new(Database::new(transport, name, upgrade));
        let store = Self::over(database, payload, parallel_chunks, weighed, Arc::default());
        Ok(TursoStore { rider, ..store })
    }

    fn over(
        database: Arc<Database>,
        payload: PayloadConfig,
        parallel_chunks: usize,
        weighed_matches: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        let payloads = Payloads::new(payload);
        let (saves, feed) = (Saves::default(), Mutex::new(None));
        TursoStore {
            database,
            payloads,
            parallel_chunks,
            weighed_matches,
            metrics,
            saves,
            feed,
            rider: None,
        }
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

    /// How its connections are used now: on a file those that read, to a server the reads that may
    /// be under way at a time.
    pub fn pool(&self) -> Pool {
        self.database.transport().pool()
    }

    /// Counters since the store was opened.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Finishes the writes that wait and lets go of the database. Later calls are refused.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Measures an operation of the port.
    async fn timed<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let result = call.await;
        let error = result.as_ref().err().map(Error::kind);
        self.metrics.operations.record(Operation { operation, error }, began.elapsed());
        result
    }

    /// Runs a batch. To a server, the change feed goes along, and the new dictionaries of the project
    /// it is about: neither is asked for by itself then.
    async fn run(&self, mut batch: Batch, scope: &Scope) -> Result<Vec<StatementResult>> {
        let Some(rider) = &self.rider else {
            return self.database.run(batch).await;
        };
        let known = &self.payloads.dictionaries;
        let project = match scope {
            Scope::Project(project) => Some(project.clone()),
            Scope::All => known.latest(),
        };
        if let Some(project) = &project {
            dictionaries::mount(known, project, &mut batch);
        }
        let ride = rider.mount(&mut batch);
        let mut results = self.database.run(batch).await?;
        if let Some(project) = &project {
            dictionaries::dismount(known, project, &mut results)?;
        }
        match ride {
            Some(ride) => rider.dismount(ride, results),
            None => Ok(results),
        }
    }

    /// Runs a batch that begins with a statement giving payloads, and makes sure that the dictionaries
    /// they need are known. `statements` gives it, again each time.
    async fn run_for_payloads(
        &self,
        statements: impl Fn() -> Result<Vec<Statement>>,
        scope: &Scope,
        short: bool,
    ) -> Result<Vec<StatementResult>> {
        let mut attempts = PAYLOAD_ATTEMPTS;
        loop {
            let batch = read::read(statements()?);
            let results = if short && !self.database.is_remote() {
                self.database.run_short(batch).await?
            } else {
                self.run(batch, scope).await?
            };
            let rows = results.first().map(|result| result.rows.as_slice()).unwrap_or_default();
            attempts -= 1;
            // One that is withdrawn meanwhile is needed no more: the payloads are written anew then.
            let known =
                attempts == 0 || self.fetch_dictionaries(episodes::dictionaries(rows)).await?;
            if known {
                return Ok(results);
            }
        }
    }

    /// Asks for the dictionaries that payloads need and that are not known. True: all are known now.
    pub(crate) async fn fetch_dictionaries(
        &self,
        needed: impl Iterator<Item = DictionaryId>,
    ) -> Result<bool> {
        let known = &self.payloads.dictionaries;
        let mut missing: Vec<_> = needed.filter(|id| known.get(*id).is_none()).collect();
        if missing.is_empty() {
            return Ok(true);
        }
        missing.sort_unstable();
        missing.dedup();
        let found =
            self.database.run_short(read::read(vec![dictionaries::by_id(&missing)])).await?;
        dictionaries::learn(known, read::rows(found))?;
        Ok(missing.iter().all(|id| known.get(*id).is_some()))
    }

    /// Asks for the dictionaries of projects that are written to for the first time. Where something
    /// rides along, the answer comes with the write, and the shipped one serves until then.
    async fn know_dictionaries(&self, writes: &[Write]) -> Result<()> {
        if self.rider.is_none() {
            for project in writes.iter().filter_map(saved_project) {
                self.know_dictionary(project).await?;
            }
        }
        Ok(())
    }

    /// Asks for the dictionary of a project unless that was done before.
    pub(crate) async fn know_dictionary(&self, project: &str) -> Result<()> {
        let known = &self.payloads.dictionaries;
        if known.known(project) == Known::No {
            let ask = dictionaries::new_of(project, Known::No);
            let found = self.database.run_short(read::read(vec![ask])).await?;
            known.asked(project);
            dictionaries::learn(known, read::rows(found))?;
        }
        Ok(())
    }

    /// Runs chunks in order.
    async fn run_chunks(
        &self,
        chunks: Vec<Vec<Plan>>,
        scope: &Scope,
    ) -> Result<Vec<Vec<Result<Verdict>>>> {
        let alone = chunks.len() == 1;
        stream::iter(chunks)
            .map(|chunk| self.run_plans(chunk, scope))
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
    async fn run_plans(&self, plans: Vec<Plan>, scope: &Scope) -> Result<Vec<Result<Verdict>>> {
        match self.run_batch(&plans, scope).await {
            Ok(results) => Ok(results),
            Err(e) if e.is_retryable() => Err(e),
            Err(e) if plans.len() == 1 => Ok(vec![Err(e)]),
            Err(_) => {
                let mut results = Vec::with_capacity(plans.len());
                for plan in &plans {
                    match self.run_batch(std::slice::from_ref(plan), scope).await {
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
        let statements = || Ok(vec![episodes::get(scope, ids)]);
        let results = self.run_for_payloads(statements, scope, ids.len() < MANY_IDS).await?;
        Ok(episodes::in_order(ids, episodes::assemble(read::rows(results), &self.payloads)?))
    }

    async fn run_batch(&self, plans: &[Plan], scope: &Scope) -> Result<Vec<Result<Verdict>>> {
        let statements = plans.iter().flat_map(|plan| plan.statements.iter().cloned()).collect();
        let results = self.run(Batch { access: Access::Write, statements }, scope).await?;
        let mut results = results.into_iter();
        let verdicts = plans.iter().map(|plan| {
            // The status row is that of the plan's last statement.
            let status = results.by_ref().take(plan.statements.len()).last();
            Columns::first_of(status.into_iter().collect()).and_then(|row| (plan.verdict)(row))
        });
        Ok(verdicts.collect())
    }

    fn plan(writes: &[Write], payloads: &Payloads) -> Vec<Result<Plan>> {
        writes.iter().map(|write| write::plan(write, payloads)).collect()
    }

    /// Plans and runs writes.
    async fn apply(
        &self,
        writes: Arc<Vec<Write>>,
        payloads: Payloads,
    ) -> Result<Vec<Result<Verdict>>> {
        let project = writes.iter().find_map(saved_project);
        let scope = project.map_or(Scope::All, |project| Scope::Project(project.to_owned()));
        let planned = if writes.len() < MANY_WRITES {
            Self::plan(&writes, &payloads)
        } else {
            offload(move || Self::plan(&writes, &payloads)).await?
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
        let mut results = self.run_chunks(chunks(plans), &scope).await?.into_iter().flatten();
        let missing = || Error::Engine {
            context: "a write".into(),
            message: "the database gave no result for it".into(),
        };
        Ok(slots
            .into_iter()
            .map(|slot| slot.or_else(|| results.next()).unwrap_or_else(|| Err(missing())))
            .collect())
    }

    /// Repeats what a withdrawn dictionary kept from being written, and what may have failed for the
    /// lack of it, with the shipped one. The project's next write asks for its new one.
    async fn apply_without_retired(
        &self,
        writes: &[Write],
        results: &mut [Result<Verdict>],
    ) -> Result<()> {
        let retired = |result: &Result<Verdict>| matches!(result, Ok(Verdict::DictionaryRetired));
        let Some(first) = results.iter().position(retired) else { return Ok(()) };
        let undone = |(at, result): &(usize, &Result<Verdict>)| {
            *at >= first && !matches!(result, Ok(Verdict::Written(_)))
        };
        let places: Vec<usize> =
            results.iter().enumerate().filter(undone).map(|(at, _)| at).collect();
        let again: Vec<Write> = places.iter().filter_map(|at| writes.get(*at)).cloned().collect();
        for project in again.iter().filter_map(saved_project) {
            self.payloads.dictionaries.forget_current(project);
        }
        let repeated = self.apply(Arc::new(again), self.payloads.shipped_only()).await?;
        for (at, result) in places.into_iter().zip(repeated) {
            if let Some(slot) = results.get_mut(at) {
                *slot = result;
            }
        }
        Ok(())
    }
}

/// The project of an episode that is saved.
pub(crate) fn saved_project(write: &Write) -> Option<&str> {
    match write {
        Write::Save(save) => Some(&save.episode.project),
        _ => None,
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
        self.timed("write", async {
            self.know_dictionaries(&writes).await?;
            self.saves.note(&writes);
            let writes = Arc::new(writes);
            let mut results = self.apply(writes.clone(), self.payloads.clone()).await?;
            self.apply_without_retired(&writes, &mut results).await?;
            let retired = || Error::Engine {
                context: "a write".into(),
                message: "its dictionary was withdrawn while it was written".into(),
            };
            let written = |verdict| match verdict {
                Verdict::Written(written) => Ok(written),
                Verdict::DictionaryRetired => Err(retired()),
            };
            Ok(results.into_iter().map(|result| result.and_then(written)).collect())
        })
        .await
    }

    async fn get(&self, scope: &Scope, ids: &[EpisodeId]) -> Result<Vec<Option<Arc<Episode>>>> {
        self.timed("get", async {
            // The common case needs no list of parts.
            if (1..=MAX_READ_IDS).contains(&ids.len()) {
                return self.get_chunk(scope, ids).await;
            }
            let reads: Vec<_> =
                ids.chunks(MAX_READ_IDS).map(|ids| self.get_chunk(scope, ids)).collect();
            stream::iter(reads).buffered(self.parallel_chunks).try_concat().await
        })
        .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.timed("list", async {
            let statements = || Ok(vec![list::list(query)?]);
            let short = list::is_short(query);
            let results = self.run_for_payloads(statements, &query.scope, short).await?;
            list::list_page(read::rows(results), &self.payloads)
        })
        .await
    }

    async fn search(&self, query: &SearchQuery) -> Result<SearchResult> {
        self.timed("search", async {
            let batch = search::search(query, self.weighed_matches)?;
            search::result(query, self.run(batch, &query.scope).await?)
        })
        .await
    }

    async fn said(&self, ids: &[EpisodeId]) -> Result<Vec<FeedbackCounts>> {
        let batch = read::read(vec![said::said(ids)]);
        said::counts(ids.len(), read::rows(self.run(batch, &Scope::All).await?))
    }

    async fn lessons(&self, query: &LessonQuery) -> Result<Vec<ScoredLesson>> {
        self.timed("lessons", async {
            let batch = read::read(vec![lessons::lessons(query)]);
            let results = self.run(batch, &query.scope).await?;
            read::rows(results).into_iter().map(lessons::scored).collect()
        })
        .await
    }

    async fn relations(&self, scope: &Scope, id: EpisodeId) -> Result<Vec<Relation>> {
        self.timed("relations", async {
            let batch = read::read(vec![relations::relations(scope, id)]);
            let rows = read::rows(self.run(batch, scope).await?);
            rows.into_iter().map(|row| relations::relation(Columns::new(row))).collect()
        })
        .await
    }

    async fn recollect(&self, ids: &[EpisodeId], query: &LessonQuery) -> Result<Recollection> {
        self.timed("recollect", async {
            let statements = || Ok(vec![episodes::get(&query.scope, ids), lessons::lessons(query)]);
            let mut results = self.run_for_payloads(statements, &query.scope, false).await?;
            let scored = results.split_off(1);
            let found = episodes::assemble(read::rows(results), &self.payloads)?;
            let episodes = episodes::in_order(ids, found);
            let lessons =
                read::rows(scored).into_iter().map(lessons::scored).collect::<Result<_>>()?;
            Ok(Recollection { episodes, lessons })
        })
        .await
    }

    async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        self.timed("changes", async {
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
        })
        .await
    }

    async fn carried(&self, since: &Watermark) -> Result<Option<Carried>> {
        Ok(self.rider.as_ref().and_then(|rider| rider.take(since)))
    }

    async fn scan(&self, query: &ScanQuery) -> Result<ScanPage> {
        self.timed("scan", async {
            let statements = || Ok(vec![scan::scan(query)?]);
            let results = if query.kind == RecordKind::Episode {
                self.run_for_payloads(statements, &query.scope, false).await?
            } else {
                self.run(read::read(statements()?), &query.scope).await?
            };
            scan::page(query, read::rows(results), &self.payloads)
        })
        .await
    }

    /// Makes dictionaries where enough was saved.
    async fn maintain(&self) -> Result<()> {
        self.train_where_due().await
    }

    async fn counts(&self, scope: &Scope) -> Result<Counts> {
        self.timed("counts", async {
            let batch = read::read(vec![counts::counts(scope)]);
            counts::result(read::rows(self.run(batch, scope).await?))
        })
        .await
    }

    async fn activity(&self, query: &ActivityQuery) -> Result<Activity> {
        self.timed("activity", async {
            let results = self.run(activity::activity(query), &query.scope).await?;
            activity::activity_result(query, results)
        })
        .await
    }

    async fn task_types(&self, scope: &Scope) -> Result<Vec<TaskType>> {
        self.timed("task_types", async {
            let batch = read::read(vec![activity::task_types(scope)]);
            let rows = read::rows(self.run(batch, scope).await?);
            rows.into_iter().map(activity::task_type).collect()
        })
        .await
    }
}
