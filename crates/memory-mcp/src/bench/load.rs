//! What a user waits for: each operation with its latencies and rate, and the rest of the plan's six
//! metrics.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use memory_core::recall::RecallQuery;
use memory_core::recall::text::query_terms;
use memory_core::store::{EpisodeStore, Filter, ListQuery, Scope, SearchQuery};
use memory_core::{Condition, Memory};
use memory_storage::{CacheReport, HybridStorage};
use serde::Serialize;
use tokio::task::JoinSet;

use super::probe::{cpu_seconds, status_mib};
use super::workload::{id, save_of};
use super::world::Side;
use super::{Bench, ROUND_TRIP};

const PROJECT: &str = "load";

/// An operation, many times.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    /// Milliseconds.
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    /// Of them a second, all callers together; of a call for many, episodes.
    pub(crate) per_s: f64,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Load {
    /// What was measured, and on what.
    pub(crate) place: String,
    pub(crate) operations: Vec<Operation>,
    /// Part of the reads by id that the cache answered, 0 to 1.
    pub(crate) hit_rate: f64,
    pub(crate) cache: Option<CacheReport>,
    /// Names and values.
    pub(crate) pool: Vec<(&'static str, u64)>,
    pub(crate) errors: Vec<(&'static str, u64)>,
    pub(crate) cpu_s: f64,
    pub(crate) resident_mib: f64,
    pub(crate) mb_written_or_sent: f64,
}

/// The value below which `share` (0 to 1) of `samples` lie; 0 without samples.
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    samples.get(place).copied().unwrap_or(0.0)
}

impl Operation {
    /// Of the seconds of each, done `within` so many seconds; each is worth `each`.
    fn of(name: &'static str, mut seconds: Vec<f64>, within: f64, each: usize) -> Self {
        let count = seconds.len();
        let mut ms = |share| percentile(&mut seconds, share) * 1e3;
        Operation {
            name,
            count,
            p50: ms(0.5),
            p95: ms(0.95),
            p99: ms(0.99),
            per_s: (count * each) as f64 / within,
        }
    }
}

/// `count` times, one after the other.
async fn repeat(
    name: &'static str,
    count: usize,
    each: usize,
    mut once: impl AsyncFnMut(u64) -> Result<()>,
) -> Result<Operation> {
    let mut seconds = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        once(n as u64).await?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let within = seconds.iter().sum();
    Ok(Operation::of(name, seconds, within, each))
}

impl Load {
    /// On a server where there is one and `remote` asks for it, else on a file.
    pub(crate) async fn measure(bench: &Bench, remote: bool) -> Result<Self> {
        let cpu = cpu_seconds().unwrap_or(0.0);
        let (side, place) = if remote {
            let servers = bench.servers.as_ref().context(super::server::MISSING)?;
            let ms = ROUND_TRIP.as_millis();
            (Side::remote(bench, &[]).await?, format!("{}, {ms} ms away", servers.describe()))
        } else {
            (Side::local(bench, &[]).await?, format!("a file below {}", bench.dir.display()))
        };
        let some = |full: usize| bench.amount(if remote { full / 4 } else { full }, 5);
        let counts = side.storage()?.counts(&Scope::All).await?;
        let held: u64 = counts.episodes.values().sum();
        ensure!(held == 0, "{place} holds {held} episodes; a benchmark needs an empty one");
        let stored = bench.amount(2_000, 100);
        side.fill(bench, PROJECT, stored).await?;
        side.at(ROUND_TRIP);
        let mut operations = saving(bench, &side, some).await?;
        operations.extend(reading(bench, &side, stored, some).await?);
        operations.extend(asking(bench, &side, stored, some).await?);
        let counts = side.counts()?;
        let metrics = side.turso()?.metrics();
        let mut errors = vec![
            ("refused as overloaded", metrics.overloaded.get()),
            ("waits for another process", metrics.busy_retries.get()),
        ];
        let mut pool = vec![
            ("connections opened", counts.connections),
            ("commits", counts.commits),
            ("write batches in them", metrics.committed_batches.get()),
        ];
        if let Some(remote) = side.turso()?.remote_metrics() {
            pool = vec![
                ("connections opened", counts.connections),
                ("reads at a time, limit now", remote.limit.get()),
                ("reads under way now", remote.in_use.get()),
                ("reads waiting now", remote.waiting.get()),
                ("write requests", remote.commits.get()),
                ("write batches in them", remote.committed_batches.get()),
            ];
            errors = vec![
                ("refused as overloaded", remote.overloaded.get()),
                ("retries", remote.retries.get()),
                ("times the circuit opened", remote.breaker_opened.get()),
            ];
        }
        let bytes = match remote {
            true => counts.bytes_up + counts.bytes_down,
            false => side.bytes_on_disk().unwrap_or(0),
        };
        Ok(Load {
            place,
            operations,
            hit_rate: counts.hits as f64 / (counts.hits + counts.misses).max(1) as f64,
            cache: side.storage()?.cache_report(),
            pool,
            errors,
            cpu_s: cpu_seconds().unwrap_or(0.0) - cpu,
            resident_mib: status_mib("VmRSS:").unwrap_or(0.0),
            mb_written_or_sent: bytes as f64 / 1e6,
        })
    }
}

async fn saving(
    bench: &Bench,
    side: &Side,
    some: impl Fn(usize) -> usize,
) -> Result<Vec<Operation>> {
    let one = repeat("save, durable", some(300), 1, async |n| {
        side.save(bench.workload.saves("save", n..n + 1)).await
    });
    let mut operations = vec![one.await?];
    let writers = 64;
    let each = some(24) as u64;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let storage: Arc<HybridStorage> = side.storage()?.clone();
        let episodes: Vec<_> =
            (0..each).map(|n| bench.workload.episode("writers", writer * each + n)).collect();
        tasks.spawn(async move {
            let mut seconds = Vec::new();
            for episode in episodes {
                let began = Instant::now();
                storage.write(vec![save_of(episode)]).await?.pop().context("no result")??;
                seconds.push(began.elapsed().as_secs_f64());
            }
            Ok::<_, anyhow::Error>(seconds)
        });
    }
    let mut seconds = Vec::new();
    while let Some(done) = tasks.join_next().await {
        seconds.extend(done??);
    }
    let within = began.elapsed().as_secs_f64();
    operations.push(Operation::of("save, 64 writers", seconds, within, 1));
    let bulk = bench.amount(1_000, 50);
    let many = repeat("save 1,000 in one call", bench.amount(4, 2), bulk as usize, async |n| {
        side.save(bench.workload.saves("bulk", n * bulk..(n + 1) * bulk)).await
    });
    operations.push(many.await?);
    Ok(operations)
}

async fn reading(
    bench: &Bench,
    side: &Side,
    stored: u64,
    some: impl Fn(usize) -> usize,
) -> Result<Vec<Operation>> {
    let hot = some(20_000);
    let get = async |side: &Side, n: u64| side.get(&[id(PROJECT, n * 7 % stored)]).await;
    let recent = stored.min(100);
    side.get(&(0..recent).map(|n| id(PROJECT, n)).collect::<Vec<_>>()).await?;
    let warm = repeat("get, cached", hot, 1, async |n| side.get(&[id(PROJECT, n % recent)]).await);
    let mut operations = vec![warm.await?];
    let bare = side.second(bench, &["cache.memory_bytes=0"]).await?;
    let cold = repeat("get, from the database", some(2_000), 1, async |n| get(&bare, n).await);
    operations.push(cold.await?);
    let many = repeat("get 100 in one call", some(100), 100, async |n| {
        let ids: Vec<_> = (0..100).map(|k| id(PROJECT, (n * 100 + k) % stored)).collect();
        bare.get(&ids).await
    });
    operations.push(many.await?);
    Ok(operations)
}

async fn asking(
    bench: &Bench,
    side: &Side,
    stored: u64,
    some: impl Fn(usize) -> usize,
) -> Result<Vec<Operation>> {
    let scope = Scope::Project(PROJECT.into());
    let storage = side.storage()?;
    let task = |n: u64| bench.workload.episode(PROJECT, n * 13 % stored).task_description.clone();
    let tasks: Vec<String> = (0..some(400) as u64).map(task).collect();
    let list = repeat("list by metadata", some(400), 1, async |n| {
        let ticket = i64::try_from(n * 11 % stored)?;
        let metadata = Some(Condition::equals("ticket", ticket));
        let filter = Filter { metadata, ..Filter::default() };
        let query = ListQuery { scope: scope.clone(), filter, after: None, limit: 20 };
        storage.list(&query).await?.episodes.first().context("nothing listed")?;
        Ok(())
    });
    let mut operations = vec![list.await?];
    let search = repeat("full-text search", tasks.len(), 1, async |n| {
        let words = tasks.get(usize::try_from(n)?).context("no task")?;
        let (terms, filter) = (query_terms(words), Filter::default());
        storage
            .search(&SearchQuery {
                scope: scope.clone(),
                terms,
                synonyms: Vec::new(),
                filter,
                limit: 20,
            })
            .await?;
        Ok(())
    });
    operations.push(search.await?);
    // Another process: its cache knows nothing of what was asked before.
    let mut other = side.second(bench, &[]).await?;
    let memory = other.memory()?;
    operations.push(recalls("recall", &memory, &scope, &tasks).await?);
    Ok(operations)
}

async fn recalls<S: EpisodeStore>(
    name: &'static str,
    memory: &Memory<S>,
    scope: &Scope,
    tasks: &[String],
) -> Result<Operation> {
    repeat(name, tasks.len(), 1, async |n| {
        let task = tasks.get(usize::try_from(n)?).context("no task")?;
        std::hint::black_box(memory.recall(&RecallQuery::new(task, scope.clone())).await?);
        Ok(())
    })
    .await
}

/// How the user's own database answers: reads alone. `None`: it is empty.
pub(crate) async fn own_database(
    memory: &Memory<HybridStorage>,
    scope: &Scope,
) -> Result<Option<Vec<Operation>>> {
    let filter = Filter::default();
    let query = ListQuery { scope: scope.clone(), filter, after: None, limit: 100 };
    let began = Instant::now();
    let page = memory.store().list(&query).await?;
    let listed = began.elapsed().as_secs_f64();
    if page.episodes.is_empty() {
        return Ok(None);
    }
    let tasks: Vec<String> =
        page.episodes.iter().map(|episode| episode.task_description.clone()).collect();
    let durable = memory.store().durable();
    let gets = repeat("yours: get, from the database", tasks.len(), 1, async |n| {
        let episode = page.episodes.get(usize::try_from(n)?).context("no episode")?;
        durable.get(scope, &[episode.id]).await?;
        Ok(())
    });
    let few: Vec<String> = tasks.iter().take(50).cloned().collect();
    let mut operations =
        vec![Operation::of("yours: list 100", vec![listed], listed, page.episodes.len())];
    operations.push(gets.await?);
    operations.push(recalls("yours: recall", memory, scope, &few).await?);
    Ok(Some(operations))
}
