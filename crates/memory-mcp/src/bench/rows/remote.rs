//! On the way to a server: connections, limits, batches, retries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memory_core::EpisodeId;
use memory_core::store::{EpisodeStore, Scope};
use memory_storage::HybridStorage;
use memory_testkit::proxy::Fault;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::bench::load::percentile;
use crate::bench::ratio::Ratio;
use crate::bench::row::{Better, Figure, Measured, Row, Timing};
use crate::bench::workload::{id, save_of};
use crate::bench::world::{Pair, Side};
use crate::bench::{Bench, ROUND_TRIP};

const PROJECT: &str = "bench";

fn ids(count: u64) -> Vec<EpisodeId> {
    (0..count).map(|n| id(PROJECT, n)).collect()
}

async fn pair(bench: &Bench, row: &Row, episodes: u64) -> Result<Pair> {
    let pair = Pair::remote(bench, &row.settings(true), &row.settings(false)).await?;
    pair.fill(bench, PROJECT, episodes).await?;
    // Connections opened meanwhile are what is kept, or not.
    for side in pair.sides() {
        side.get(&ids(1)).await?;
    }
    Ok(pair)
}

pub(super) async fn keep_alive(bench: &Bench, row: &Row) -> Result<Measured> {
    let reads = bench.amount(15, 4);
    let pair = pair(bench, row, reads).await?;
    let rounds = bench.amount(8, 2);
    let ids = ids(reads);
    let turns = pair.in_turns(rounds, async |side, _| side.get_each(&ids).await).await?;
    let all = reads as f64 * rounds as f64;
    Ok(Measured {
        timing: Some(turns.timing("ms a read", 1e3 / reads as f64)),
        figures: vec![
            turns.figure("connections per 100 reads", all / 100.0, |c| c.connections),
            turns.figure("round trips a read", all, |c| c.batches),
        ],
        notes: vec![
            "Over plain HTTP: opening a connection takes one round trip. Over TLS it takes another, \
             and CPU on both ends."
                .into(),
        ],
    })
}

/// Readers that ask again as soon as they have their answer: `callers` of them, for `time`. Seconds of
/// each read.
async fn readers(side: &Side, callers: u64, time: Duration) -> Result<Vec<f64>> {
    let until = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let storage: Arc<HybridStorage> = side.storage()?.clone();
        tasks.spawn(async move {
            let (mut reads, mut n) = (Vec::new(), caller);
            while Instant::now() < until {
                let began = Instant::now();
                storage.get(&Scope::All, &[id(PROJECT, n % 64)]).await?;
                reads.push(began.elapsed().as_secs_f64());
                n += 1;
            }
            Ok::<_, anyhow::Error>(reads)
        });
    }
    let mut reads = Vec::new();
    while let Some(done) = tasks.join_next().await {
        reads.extend(done??);
    }
    Ok(reads)
}

pub(super) async fn adaptive(bench: &Bench, row: &Row) -> Result<Measured> {
    let pair = pair(bench, row, 64).await?;
    let burst = bench.amount(Duration::from_secs(2), Duration::from_millis(300));
    let mut tails = [Vec::new(), Vec::new()];
    let mut at_8 = [0.0, 0.0];
    let mut limits = [0u64; 2];
    let rounds = bench.amount(4, 2);
    let turns = pair
        .in_turns(rounds, async |side, _| {
            let few = readers(side, 8, burst / 2).await?;
            let mut many = readers(side, 64, burst).await?;
            let place = usize::from(!side.on);
            let reads = many.len().max(1) as f64;
            if let Some(tail) = tails.get_mut(place) {
                tail.push(percentile(&mut many, 0.99) * 1e3);
            }
            if let Some(rate) = at_8.get_mut(place) {
                *rate += few.len() as f64 / (burst / 2).as_secs_f64() / rounds as f64;
            }
            if let Some(limit) = limits.get_mut(place) {
                *limit = side.turso()?.remote_metrics().map_or(0, |m| m.limit.get());
            }
            Ok(burst.as_secs_f64() / reads)
        })
        .await?;
    // What adapting finds by itself, set by hand.
    let mut by_hand = pair.on.second(bench, &BY_HAND).await?;
    by_hand.on = false;
    let mut fixed = 0.0;
    for _ in 0..rounds {
        let reads = readers(&by_hand, 64, burst).await?.len().max(1) as f64;
        fixed += burst.as_secs_f64() * 1e3 / reads / rounds as f64;
    }
    let [on, off] = &mut tails;
    let timing = turns.timing("ms per read, 64 callers", 1e3);
    let [limit_on, limit_off] = limits.map(|limit| limit as f64);
    Ok(Measured {
        timing: Some(timing),
        figures: vec![
            Figure::new("limit after the burst", limit_on, limit_off, Better::Neither),
            Figure::timed("reads/s, 8 callers", at_8[0], at_8[1], Better::Higher),
            Figure::timed(
                "p99 ms, 64 callers",
                percentile(on, 0.5),
                percentile(off, 0.5),
                Better::Lower,
            ),
        ],
        notes: vec![format!(
            "With a limit fixed at 32, set by hand: {fixed:.2} ms. What adapting brings is that nobody has \
             to: 2 at a time at rest, fewer for a server that grows slower."
        )],
    })
}

/// The limit that adapting finds, fixed, with no cache in front.
const BY_HAND: [&str; 3] =
    ["cache.memory_bytes=0", "remote.min_concurrency=32", "remote.max_concurrency=32"];

/// A process that starts, has a moment, and then reads twice at the same time: the start itself needs
/// one connection anyway, to ask whose database it is.
pub(super) async fn warm(bench: &Bench, row: &Row) -> Result<Measured> {
    let mut pair = pair(bench, row, 1).await?;
    let rounds = bench.amount(10, 2);
    let (mut times, mut connections, mut requests) = (Vec::new(), [0u64; 2], [0u64; 2]);
    for _ in 0..rounds {
        let mut took = [0.0; 2];
        for (place, side) in [&mut pair.on, &mut pair.off].into_iter().enumerate() {
            let settings = row.settings(side.on);
            side.reopen_with(&settings).await?;
            sleep(ROUND_TRIP * 10).await;
            let before = side.counts()?;
            let (one, two) = (ids(1), ids(1));
            let began = Instant::now();
            tokio::try_join!(side.get(&one), side.get(&two))?;
            let seconds = began.elapsed().as_secs_f64();
            let did = side.counts()? - before;
            for (sum, n) in [(&mut connections, did.connections), (&mut requests, did.batches)] {
                if let Some(sum) = sum.get_mut(place) {
                    *sum += n;
                }
            }
            if let Some(slot) = took.get_mut(place) {
                *slot = seconds;
            }
        }
        times.push((took[0], took[1]));
    }
    let n = rounds as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| times.iter().map(of).sum::<f64>() / n * 1e3;
    let (on, off) = (mean(|t| t.0), mean(|t| t.1));
    let each = |sum: [u64; 2]| sum.map(|sum| sum as f64 / n);
    let ([c_on, c_off], [r_on, r_off]) = (each(connections), each(requests));
    Ok(Measured {
        timing: Some(Timing {
            unit: "ms, first two reads at once",
            on,
            off,
            ratio: Ratio::of(&times),
        }),
        figures: vec![
            Figure::timed("first requests, ms", on, off, Better::Lower),
            Figure::new("connections it opens", c_on, c_off, Better::Lower),
            Figure::new("round trips", r_on, r_off, Better::Lower),
        ],
        notes: vec!["At 20 ms over plain HTTP a connection costs 20 ms; over TLS 40.".into()],
    })
}

pub(super) async fn batching(bench: &Bench, row: &Row) -> Result<Measured> {
    const WRITERS: u64 = 64;
    let pair = pair(bench, row, 1).await?;
    let rounds = bench.amount(4, 2);
    let turns = pair
        .in_turns(rounds, async |side, n| {
            let project = format!("batching-{n}");
            let episodes: Vec<_> =
                (0..WRITERS).map(|n| bench.workload.episode(&project, n)).collect();
            let began = Instant::now();
            let mut tasks = JoinSet::new();
            for episode in episodes {
                let storage = side.storage()?.clone();
                tasks.spawn(async move {
                    let write = save_of(episode);
                    storage.write(vec![write]).await?.pop().context("no result")??;
                    Ok::<_, anyhow::Error>(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            Ok(began.elapsed().as_secs_f64())
        })
        .await?;
    let gets = pair.in_turns(1, async |side, _| {
        // One call on, one call for each off: what batching means to a caller.
        let wanted: Vec<EpisodeId> = (0..WRITERS).map(|n| id("batching-0", n)).collect();
        if side.on {
            let began = Instant::now();
            side.get(&wanted).await?;
            Ok(began.elapsed().as_secs_f64())
        } else {
            side.get_each(&wanted).await
        }
    });
    let gets = gets.await?;
    let n = rounds as f64;
    Ok(Measured {
        timing: Some(turns.timing("ms a save, 64 at the same time", 1e3 / WRITERS as f64)),
        figures: vec![
            turns.figure("round trips for 64 saves", n, |c| c.batches),
            gets.figure("round trips to read 64", 1.0, |c| c.batches),
            turns.figure("KB up for 64 saves", n * 1e3, |c| c.bytes_up),
            turns.figure("KB down for 64 saves", n * 1e3, |c| c.bytes_down),
        ],
        notes: Vec::new(),
    })
}

pub(super) async fn compression(bench: &Bench, row: &Row) -> Result<Measured> {
    const READS: u64 = 100;
    let pair = pair(bench, row, READS).await?;
    let rounds = bench.amount(10, 2);
    let wanted = ids(READS);
    let turns = pair
        .in_turns(rounds, async |side, _| {
            let began = Instant::now();
            side.get(&wanted).await?;
            Ok(began.elapsed().as_secs_f64())
        })
        .await?;
    Ok(Measured {
        timing: Some(turns.timing("ms for 100 episodes", 1e3)),
        figures: vec![
            turns.figure("KB down for 100 episodes", rounds as f64 * 1e3, |c| c.bytes_down),
        ],
        notes: vec![
            "Off by default: the server takes longer to compress than a fast network takes to carry \
             the bytes. Payloads are compressed already."
                .into(),
        ],
    })
}

pub(super) async fn parallel(bench: &Bench, row: &Row) -> Result<Measured> {
    let pair = pair(bench, row, 1).await?;
    let count = bench.amount(2_000, 300);
    let rounds = bench.amount(4, 2);
    let (mut saving, mut loading) = (Vec::new(), Vec::new());
    let turns = pair
        .in_turns(rounds, async |side, n| {
            let project = format!("parallel-{n}");
            let saves = bench.workload.saves(&project, 0..count);
            let ids: Vec<_> = (0..count).map(|n| id(&project, n)).collect();
            let began = Instant::now();
            side.save(saves).await?;
            let saved = began.elapsed().as_secs_f64();
            side.get(&ids).await?;
            let all = began.elapsed().as_secs_f64();
            saving.push((side.on, saved));
            loading.push((side.on, all - saved));
            Ok(all)
        })
        .await?;
    let rate = |times: &[(bool, f64)], on: bool| {
        let times: Vec<f64> = times.iter().filter(|t| t.0 == on).map(|t| t.1).collect();
        count as f64 * times.len() as f64 / times.iter().sum::<f64>()
    };
    let rates = |name, times: &[(bool, f64)]| {
        Figure::timed(name, rate(times, true), rate(times, false), Better::Higher)
    };
    let peak = |side: &Side| side.proxy.as_ref().map_or(0.0, |p| p.counts().peak_requests as f64);
    let (on, off) = (peak(&pair.on), peak(&pair.off));
    Ok(Measured {
        timing: Some(turns.timing("s to save and load all", 1.0)),
        figures: vec![
            rates("saved/s", &saving),
            rates("loaded/s", &loading),
            Figure::new("requests under way at a time, at most", on, off, Better::Neither),
        ],
        notes: vec![format!(
            "{count} episodes in one call, on {} cores; writes take turns at the database.",
            std::thread::available_parallelism().map_or(1, usize::from)
        )],
    })
}

/// Bins of the count of requests: shorter than the waves that clients in step make.
const BIN: Duration = Duration::from_millis(10);

/// Clients that read every 100 ms while the server answers nothing but errors for two seconds.
pub(super) async fn jitter(bench: &Bench, row: &Row) -> Result<Measured> {
    let clients = bench.amount(100, 10);
    let (up, down) = bench.amount(
        (Duration::from_millis(1500), Duration::from_secs(2)),
        (Duration::from_millis(300), Duration::from_millis(700)),
    );
    let pair = pair(bench, row, 1).await?;
    let mut runs: Vec<[Outage; 2]> = Vec::new();
    for n in 0..bench.amount(10, 2) {
        let (on, off);
        if n % 2 == 0 {
            on = outage(&pair.on, clients, up, down).await?;
            off = outage(&pair.off, clients, up, down).await?;
        } else {
            off = outage(&pair.off, clients, up, down).await?;
            on = outage(&pair.on, clients, up, down).await?;
        }
        runs.push([on, off]);
    }
    let pairs = |of: fn(&Outage) -> f64| -> Vec<(f64, f64)> {
        runs.iter().map(|[on, off]| (of(on), of(off))).collect()
    };
    let mean = |of: fn(&Outage) -> f64| {
        let (on, off): (Vec<f64>, Vec<f64>) = pairs(of).into_iter().unzip();
        let each = |all: Vec<f64>| all.iter().sum::<f64>() / all.len().max(1) as f64;
        (each(on), each(off))
    };
    let figure = |name, of| {
        let (on, off) = mean(of);
        Figure::timed(name, on, off, Better::Lower)
    };
    let (on, off) = mean(|run| run.peak_down);
    Ok(Measured {
        timing: Some(Timing {
            unit: "requests/s at the peak while down",
            on,
            off,
            ratio: Ratio::of(&pairs(|run| run.peak_down)),
        }),
        figures: vec![
            figure("peak requests/s while down", |run| run.peak_down),
            figure("peak requests/s once back", |run| run.peak_back),
            figure("failed calls", |run| run.failed as f64),
        ],
        notes: vec![
            "Means of outages of two seconds, 100 clients; peaks of any 10 ms, those of the first 250 ms \
             left out, because first retries come at once either way. Its price is failed calls: pauses \
             are half as long in the mean, so that a call's attempts are used up sooner. \
             `memory-bench restart` does it with a server that is killed, and tells how long recovery takes."
                .into(),
        ],
    })
}

struct Outage {
    peak_down: f64,
    peak_back: f64,
    failed: u64,
}

async fn outage(side: &Side, clients: u32, up: Duration, down: Duration) -> Result<Outage> {
    const PAUSE: Duration = Duration::from_millis(100);
    let proxy = side.proxy.as_ref().context("there is no proxy")?;
    let end = Instant::now() + up + down + up;
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        // Each with connections, retries and a breaker of its own, as processes have.
        let place = side.config.place().map_err(anyhow::Error::msg)?;
        let mut config = side.config.clone();
        config.data_dir = side.config.data_dir.join(format!("client-{client}"));
        std::fs::create_dir_all(&config.data_dir)?;
        let storage = HybridStorage::open(config.storage(place)).await?;
        tasks.spawn(async move {
            sleep(PAUSE.mul_f64(f64::from(client) / f64::from(clients))).await;
            let mut failed = 0;
            while Instant::now() < end {
                let read = storage.get(&Scope::All, &[id(PROJECT, 0)]).await;
                failed += u64::from(read.is_err());
                sleep(PAUSE).await;
            }
            failed
        });
    }
    count(side, Instant::now() + up).await?;
    proxy.fault_all(Some(Fault::ResetBefore));
    let while_down = count(side, Instant::now() + down).await?;
    proxy.fault_all(None);
    let once_back = count(side, Instant::now() + up).await?;
    let mut failed = 0;
    while let Some(ended) = tasks.join_next().await {
        failed += ended?;
    }
    // The first retries come at once, with jitter or without.
    let later = while_down.get(25..).unwrap_or(&while_down);
    let peak = |bins: &[u64]| bins.iter().max().copied().unwrap_or(0) as f64 / BIN.as_secs_f64();
    Ok(Outage { peak_down: peak(later), peak_back: peak(&once_back), failed })
}

/// Requests of each bin until then.
async fn count(side: &Side, until: Instant) -> Result<Vec<u64>> {
    let mut ticks = interval(BIN);
    ticks.tick().await;
    let (mut bins, mut last) = (Vec::new(), side.counts()?.batches);
    while Instant::now() < until {
        ticks.tick().await;
        let now = side.counts()?.batches;
        bins.push(now - last);
        last = now;
    }
    Ok(bins)
}
