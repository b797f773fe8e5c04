//! Load that comes and goes: the adaptive limit against a fixed one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use memory_core::EpisodeId;
use memory_core::store::Scope;
use memory_storage_turso::{RemoteConfig, TursoStore};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::world::{World, episode, get, save_of, write};
use crate::figure::percentile;

/// Episodes that are read.
const EPISODES: u64 = 500;

/// How often the limit is looked at.
const SAMPLE: Duration = Duration::from_millis(100);

/// Long enough for an idle limit to be back at its minimum: it is looked at every 5 s, and idle
/// after 5 s without a call.
const IDLE: Duration = Duration::from_secs(11);

const FIXED: usize = 10;

/// How much of it.
pub(crate) struct Effort {
    /// Runs of each kind.
    pub(super) repeats: usize,
    /// How long a burst lasts.
    pub(super) burst: Duration,
}

/// One run through all phases.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(super) adaptive: bool,
    pub(super) min_limit: usize,
    pub(super) max_limit: usize,
    pub(super) phases: Vec<Phase>,
    /// The limit over time: seconds since the beginning, reads that may be under way at a time.
    pub(super) limit: Vec<(f64, u64)>,
    /// Reads that ended in each tenth of a second.
    pub(super) reads: Vec<u64>,
}

/// A time with so many callers, each of which asks again as soon as it has its answer.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    pub(super) callers: usize,
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) reads_per_s: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// The limit when it ended.
    pub(super) limit_at_end: u64,
}

/// Runs with a fixed and with the adaptive limit, in turns.
pub(super) async fn measure(effort: &Effort) -> Result<Vec<Run>> {
    let world = World::start().await?;
    let ids = fill(&world).await?;
    let mut runs = Vec::new();
    for _ in 0..effort.repeats {
        for adaptive in [false, true] {
            let config = match adaptive {
                true => world.on(),
                false => {
                    RemoteConfig { min_concurrency: FIXED, max_concurrency: FIXED, ..world.on() }
                }
            };
            runs.push(run(&world, config, adaptive, effort.burst, &ids).await?);
        }
    }
    Ok(runs)
}

async fn fill(world: &World) -> Result<Arc<Vec<EpisodeId>>> {
    let store = world.store(world.on()).await?;
    let episodes: Vec<_> = (0..EPISODES).map(|n| episode("burst", n)).collect();
    let ids = episodes.iter().map(|episode| episode.id).collect();
    write(&store, episodes.into_iter().map(save_of).collect()).await?;
    store.close().await;
    Ok(Arc::new(ids))
}

async fn run(
    world: &World,
    config: RemoteConfig,
    adaptive: bool,
    burst: Duration,
    ids: &Arc<Vec<EpisodeId>>,
) -> Result<Run> {
    let (min_limit, max_limit) = (config.min_concurrency, config.max_concurrency);
    let store = Arc::new(world.store(config).await?);
    let began = Instant::now();
    let (stop, stopped) = oneshot::channel();
    let sampler = tokio::spawn(sample(store.clone(), began, stopped));
    let (mut phases, mut ends) = (Vec::new(), Vec::new());
    for (callers, time) in [(0, burst / 2), (8, burst), (0, IDLE), (64, burst), (0, IDLE)] {
        let from_s = began.elapsed().as_secs_f64();
        let mut reads = load(&store, ids, callers, time).await?;
        let to_s = began.elapsed().as_secs_f64();
        ends.extend(reads.iter().map(|(end, _)| end.duration_since(began).as_secs_f64()));
        let mut latencies: Vec<f64> = reads.drain(..).map(|(_, ms)| ms).collect();
        phases.push(Phase {
            callers,
            from_s,
            to_s,
            reads_per_s: latencies.len() as f64 / (to_s - from_s),
            p50_ms: percentile(&mut latencies, 0.5),
            p99_ms: percentile(&mut latencies, 0.99),
            limit_at_end: limit(&store),
        });
    }
    // The sampler ends when its channel does.
    drop(stop);
    let limit = sampler.await?;
    store.close().await;
    let reads = histogram(&ends, began.elapsed());
    Ok(Run { adaptive, min_limit, max_limit, phases, limit, reads })
}

/// The limit over time, until `stopped`.
async fn sample(
    store: Arc<TursoStore>,
    began: Instant,
    mut stopped: oneshot::Receiver<()>,
) -> Vec<(f64, u64)> {
    let mut points = Vec::new();
    loop {
        points.push((began.elapsed().as_secs_f64(), limit(&store)));
        tokio::select! {
            () = sleep(SAMPLE) => {}
            _ = &mut stopped => return points,
        }
    }
}

fn limit(store: &TursoStore) -> u64 {
    store.remote_metrics().map_or(0, |metrics| metrics.limit.get())
}

/// `callers` read without pause for `time`: when each read ended, and its milliseconds.
async fn load(
    store: &Arc<TursoStore>,
    ids: &Arc<Vec<EpisodeId>>,
    callers: usize,
    time: Duration,
) -> Result<Vec<(Instant, f64)>> {
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (store, ids) = (store.clone(), ids.clone());
        tasks.spawn(async move {
            let scope = Scope::Project("burst".into());
            let mut reads = Vec::new();
            for id in ids.iter().cycle().skip(caller * 7) {
                let began = Instant::now();
                if began >= until {
                    break;
                }
                get(&*store, &scope, std::slice::from_ref(id)).await?;
                reads.push((Instant::now(), began.elapsed().as_secs_f64() * 1e3));
            }
            Ok::<_, anyhow::Error>(reads)
        });
    }
    let mut reads = Vec::new();
    while let Some(done) = tasks.join_next().await {
        reads.extend(done??);
    }
    sleep_until(until).await;
    Ok(reads)
}

/// How many of `ends`, in seconds, are in each tenth of a second.
fn histogram(ends: &[f64], time: Duration) -> Vec<u64> {
    let mut counts = vec![0; (time.as_secs_f64() * 10.0) as usize + 1];
    for end in ends {
        if let Some(count) = counts.get_mut((end * 10.0) as usize) {
            *count += 1;
        }
    }
    counts
}
