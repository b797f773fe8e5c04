//! Everything of the plan off, its "before", against everything on; and the targets at 20 ms.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memory_core::EpisodeId;
use memory_core::store::{Changes, EpisodeStore, Scope, Watermark};
use memory_storage_redb::{Cache, CacheConfig};
use serde::Serialize;

use super::ratio::Ratio;
use super::row::Timing;
use super::rows::zipf_queries;
use super::workload::id;
use super::world::{Pair, Side};
use super::{Bench, ROUND_TRIP};

/// What turns everything off. A connection for each operation, a request for each statement, nothing
/// gathered, parallel, prepared, compressed or cached, JSON.
pub(crate) const ALL_OFF: [&str; 14] = [
    "remote.idle_timeout_ms=0",
    "remote.warm_connections=0",
    "remote.pipeline=false",
    "remote.max_group=1",
    "remote.min_concurrency=10",
    "remote.max_concurrency=10",
    "remote.retry_jitter=false",
    "database.statement_cache=0",
    "database.max_group=1",
    "database.parallel_chunks=1",
    "payload.codec=json",
    "payload.compression=none",
    "cache.memory_bytes=0",
    "cache.redb=off",
];

/// A step of the plan's "before".
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What the plan has for it, in ms; of bulk, episodes/s.
    pub(crate) plan: f64,
    #[serde(flatten)]
    pub(crate) timing: Timing,
}

/// The steps at one distance.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct At {
    /// `None`: a file.
    pub(crate) round_trip_ms: Option<u64>,
    pub(crate) steps: Vec<Step>,
}

/// Something to reach with everything on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) on: f64,
    pub(crate) off: f64,
    pub(crate) unit: &'static str,
    pub(crate) measured: String,
    pub(crate) met: bool,
}

/// Everything off against everything on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Baseline {
    pub(crate) off: &'static [&'static str],
    pub(crate) at: Vec<At>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) missing: Option<&'static str>,
}

impl Baseline {
    /// On a file; on a server 0, 20 and 80 ms away, where there is one, with the targets.
    pub(crate) async fn measure(bench: &Bench) -> Result<Self> {
        (bench.progress)("baseline: a file");
        let pair = Pair::local(bench, &[], &ALL_OFF).await?;
        let mut at = vec![steps(bench, pair, None).await?];
        let mut goals = Vec::new();
        if bench.servers.is_some() {
            for ms in bench.amount(vec![0, 20, 80], vec![20]) {
                (bench.progress)(&format!("baseline: a server {ms} ms away"));
                let pair = Pair::remote(bench, &[], &ALL_OFF).await?;
                at.push(steps(bench, pair, Some(ms)).await?);
            }
            (bench.progress)("targets: bytes, queries, storage");
            if let Some(near) = at.iter().find(|at| at.round_trip_ms == Some(20)) {
                goals = timed_goals(near);
                goals.extend(counted_goals(bench).await?);
            }
        }
        let missing = bench.servers.is_none().then_some(super::server::MISSING);
        Ok(Baseline { off: &ALL_OFF, at, goals, missing })
    }
}

/// One round of the plan's steps on one side, in seconds.
#[derive(Default, Clone, Copy)]
struct Round {
    connection: f64,
    insert: f64,
    select: f64,
    load: f64,
    /// Of the cache alone; off there is none.
    cache: f64,
    again: f64,
    restarted: f64,
    /// Per episode.
    bulk: f64,
}

async fn steps(bench: &Bench, mut pair: Pair, distance: Option<u64>) -> Result<At> {
    let round_trip = Duration::from_millis(distance.unwrap_or(0));
    let rounds = bench.amount(if distance == Some(80) { 3 } else { 5 }, 2);
    let mut both: Vec<(Round, Round)> = Vec::new();
    for n in 0..rounds {
        let mut measured = (Round::default(), Round::default());
        for on in [n % 2 == 0, n % 2 != 0] {
            let side = if on { &mut pair.on } else { &mut pair.off };
            let round = round_of(bench, side, n, round_trip).await?;
            *(if on { &mut measured.0 } else { &mut measured.1 }) = round;
        }
        both.push(measured);
    }
    let step = |name, plan, of: fn(&Round) -> f64| {
        let rounds: Vec<(f64, f64)> = both.iter().map(|(on, off)| (of(on), of(off))).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            rounds.iter().map(of).sum::<f64>() * 1e3 / rounds.len().max(1) as f64
        };
        let (on, off) = (mean(|r| r.0), mean(|r| r.1));
        // Where one side does nothing there is no ratio.
        let ratio = Ratio::of(&rounds).filter(|_| on > 0.0 && off > 0.0);
        Step { name, plan, timing: Timing { unit: "ms", on, off, ratio } }
    };
    let total: fn(&Round) -> f64 = |r| r.connection + r.insert + r.select + r.load + r.cache;
    let mut steps = vec![
        step("connection, the first answer", 45.0, |r| r.connection),
        step("insert", 18.0, |r| r.insert),
        step("select", 22.0, |r| r.select),
        step("load and validation", 46.0, |r| r.load),
        step("cache update", 3.0, |r| r.cache),
        step("total", 134.0, total),
        step("load again", 0.0, |r| r.again),
        step("load after a restart", 0.0, |r| r.restarted),
        step("save + load, of its own", 0.0, |r| r.insert + r.again),
        step("save + load, of another's", 0.0, |r| r.insert + r.load),
    ];
    let mut bulk = step("in bulk, episodes/s", 13.0, |r| r.bulk);
    bulk.timing.unit = "/s";
    let rate = |ms: f64| 1e3 / ms;
    (bulk.timing.on, bulk.timing.off) = (rate(bulk.timing.on), rate(bulk.timing.off));
    steps.push(bulk);
    Ok(At { round_trip_ms: distance, steps })
}

async fn round_of(bench: &Bench, side: &mut Side, n: usize, round_trip: Duration) -> Result<Round> {
    let project = format!("baseline-{n}");
    let far = round_trip > ROUND_TRIP;
    let count = bench.amount(if far { 8u64 } else { 20 }, 3);
    let settings: &[&str] = if side.on { &[] } else { &ALL_OFF };
    side.at(Duration::ZERO);
    // What is loaded that is in no cache: saved by another process, and new in each round.
    let others = format!("cold-{n}");
    let writer = side.second(bench, settings).await?;
    writer.fill(bench, &others, count).await?;
    drop(writer);
    side.close().await?;
    side.at(round_trip);
    let mut round = Round::default();
    let began = Instant::now();
    side.open().await?;
    side.turso()?.ready().await?;
    side.storage()?.get(&Scope::All, &[id("nobody", 0)]).await?;
    round.connection = began.elapsed().as_secs_f64();
    let each = |since: Instant| since.elapsed().as_secs_f64() / count as f64;

    let began = Instant::now();
    for n in 0..count {
        side.save(bench.workload.saves(&project, n..n + 1)).await?;
    }
    round.insert = each(began);
    let ids: Vec<EpisodeId> = (0..count).map(|n| id(&project, n)).collect();
    let cold: Vec<EpisodeId> = (0..count).map(|n| id(&others, n)).collect();
    let durable = side.turso()?;
    let began = Instant::now();
    for id in &cold {
        durable.get(&Scope::All, std::slice::from_ref(id)).await?;
    }
    round.select = each(began);
    let began = Instant::now();
    for id in &cold {
        let found = side.storage()?.get(&Scope::All, std::slice::from_ref(id)).await?;
        let episode = found.into_iter().next().flatten().context("an episode is missing")?;
        episode.validate()?;
    }
    round.load = each(began);
    if side.on {
        round.cache = cache_update(bench, side, &project, count)?;
    }
    round.again = side.get_each(&ids).await? / count as f64;

    let few = if far { 15 } else { 60 };
    let many = bench.amount(if side.on { 1_000 } else { few }, if side.on { 60 } else { 6 });
    let project = format!("bulk-{n}");
    let saves = bench.workload.saves(&project, 0..many);
    let began = Instant::now();
    if side.on {
        side.save(saves).await?;
    } else {
        for save in saves {
            side.save(vec![save]).await?;
        }
    }
    round.bulk = began.elapsed().as_secs_f64() / many as f64;

    side.reopen_with(settings).await?;
    side.turso()?.ready().await?;
    round.restarted = side.get_each(&ids).await? / count as f64;
    Ok(round)
}

/// Seconds to take an episode into a cache as the side has it, with its file where there is one.
fn cache_update(bench: &Bench, side: &Side, project: &str, count: u64) -> Result<f64> {
    let dir = tempfile::tempdir_in(&bench.dir)?;
    let config = CacheConfig { dir: Some(dir.path().to_owned()), ..CacheConfig::default() };
    let cache = Cache::open(&config, side.proxy.is_some());
    let watermark = Watermark { database: [1; 16], seq: 1, write_id: None };
    cache.apply(&Changes { entries: Vec::new(), watermark, jumped: false }, true);
    let episodes: Vec<_> = (0..count).map(|n| bench.workload.episode(project, n)).collect();
    let began = Instant::now();
    for episode in &episodes {
        cache.put(episode, Instant::now());
    }
    cache.flush();
    Ok(began.elapsed().as_secs_f64() / count as f64)
}

fn timed_goals(near: &At) -> Vec<Goal> {
    let goal = |name: &'static str, step: &str, target: &'static str, times: f64| {
        let step = near.steps.iter().find(|s| s.name == step)?;
        let ratio = step.timing.ratio?;
        Some(Goal {
            name,
            target,
            on: step.timing.on,
            off: step.timing.off,
            unit: step.timing.unit,
            measured: format!("{ratio} times"),
            met: ratio.mean >= times,
        })
    };
    let goals = [
        goal("save + load, of its own", "save + load, of its own", "8 times", 8.0),
        goal("save + load, of another's", "save + load, of another's", "8 times", 8.0),
        goal("save in bulk", "in bulk, episodes/s", "100 times", 100.0),
    ];
    goals.into_iter().flatten().collect()
}

/// Queries, bytes, storage: figures that hardly depend on the machine.
async fn counted_goals(bench: &Bench) -> Result<Vec<Goal>> {
    let cut = |name, target, unit, least: f64, [on, off]: [f64; 2]| {
        let part = 1.0 - on / off;
        let measured = format!("{:.1} % less", part * 100.0);
        Goal { name, target, on, off, unit, measured, met: part >= least }
    };
    let server = Side::remote(bench, &[]).await?;
    let queries = zipf_queries(bench, server, &[], &ALL_OFF).await?;
    let queries = [queries.on, queries.off];
    let count = bench.amount(1_000u64, 60);
    let wire = wire(bench, count).await?;
    let stored = stored(bench, count).await?;
    let [payloads, files] = [stored.map(|s| s.payloads), stored.map(|s| s.file)];
    let less = "60 % less";
    Ok(vec![
        cut(
            "requests, zipf 1.2, a cache for a tenth",
            "85 % less",
            "per 1,000 reads",
            0.85,
            queries,
        ),
        cut("bytes on the wire, save and load of its own", less, "MB", 0.60, wire.map(|w| w.own)),
        cut("bytes on the wire, load of another's", less, "MB", 0.60, wire.map(|w| w.others)),
        cut("bytes of payloads stored", less, "MB", 0.60, payloads),
        cut("the whole file, text index included", less, "MB", 0.60, files),
    ])
}

/// Megabytes both ways.
#[derive(Clone, Copy, Default)]
struct Wire {
    own: f64,
    others: f64,
}

/// As programs do it that save as they go: one at a time, each read back once; then all of them loaded by
/// another process, one at a time. On, off.
async fn wire(bench: &Bench, count: u64) -> Result<[Wire; 2]> {
    let pair = Pair::remote(bench, &[], &ALL_OFF).await?;
    let mut moved = [Wire::default(); 2];
    for (moved, side) in moved.iter_mut().zip(pair.sides()) {
        let bytes = |side: &Side| {
            Ok::<_, anyhow::Error>(side.counts()?.bytes_up + side.counts()?.bytes_down)
        };
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let before = bytes(side)?;
        for n in 0..count {
            side.save(bench.workload.saves("bytes", n..n + 1)).await?;
            side.get(&[id("bytes", n)]).await?;
        }
        moved.own = mb(bytes(side)? - before);
        let other = side.second(bench, if side.on { &[] } else { &ALL_OFF }).await?;
        other.at(Duration::ZERO);
        let before = bytes(&other)?;
        let ids: Vec<EpisodeId> = (0..count).map(|n| id("bytes", n)).collect();
        other.get_each(&ids).await?;
        moved.others = mb(bytes(&other)? - before);
    }
    Ok(moved)
}

/// Megabytes.
#[derive(Clone, Copy, Default)]
struct Stored {
    payloads: f64,
    file: f64,
}

/// Of a file, after it was closed: its log is in it then. On, off.
async fn stored(bench: &Bench, count: u64) -> Result<[Stored; 2]> {
    let mut pair = Pair::local(bench, &[], &ALL_OFF).await?;
    pair.fill(bench, "bytes", count).await?;
    let mut stored = [Stored::default(); 2];
    for (stored, side) in stored.iter_mut().zip([&mut pair.on, &mut pair.off]) {
        side.close().await?;
        let file = libsql::Builder::new_local(side.file()).build().await?.connect()?;
        let mut rows = file.query("SELECT sum(length(payload)) FROM episodes", ()).await?;
        let row = rows.next().await?.context("the file gave no sum")?;
        stored.payloads = row.get::<i64>(0)? as f64 / 1e6;
        stored.file = std::fs::metadata(side.file())?.len() as f64 / 1e6;
    }
    Ok(stored)
}
