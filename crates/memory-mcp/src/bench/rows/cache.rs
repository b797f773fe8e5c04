//! What the cache holds, for how long, and what it saves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memory_core::EpisodeId;
use memory_core::recall::text::query_terms;
use memory_core::store::{EpisodeStore, Filter, Scope, SearchQuery};
use memory_testkit::generate;
use memory_testkit::trace::synthetic;
use tokio::time::sleep;

use crate::bench::ratio::Ratio;
use crate::bench::row::{Better, Figure, Measured, Row, Timing};
use crate::bench::staleness::{self, Way};
use crate::bench::workload::{id, save_of};
use crate::bench::world::{Pair, Side, configure};
use crate::bench::{Bench, ROUND_TRIP};

const PROJECT: &str = "bench";

/// Bytes of text of the episodes of traces: many are read, and their size is not what it is about.
const SMALL: usize = 1_000;

pub(super) async fn query_results(bench: &Bench, row: &Row) -> Result<Measured> {
    let pair = Pair::anywhere(bench, &row.settings(true), &row.settings(false)).await?;
    pair.fill(bench, PROJECT, bench.amount(2_000, 100)).await?;
    let words = bench.workload.episode(PROJECT, 3).task_description.clone();
    let query = SearchQuery {
        scope: Scope::Project(PROJECT.into()),
        terms: query_terms(&words),
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit: 20,
    };
    // The first one finds out what the database is at.
    for side in pair.sides() {
        side.storage()?.search(&query).await?;
        side.storage()?.search(&query).await?;
    }
    let repeats = bench.amount(10, 4);
    let rounds = bench.amount(8, 2);
    let turns = pair
        .in_turns(rounds, async |side, _| {
            let began = Instant::now();
            for _ in 0..repeats {
                let found = side.storage()?.search(&query).await?;
                found.hits.first().context("the search found nothing")?;
            }
            Ok(began.elapsed().as_secs_f64())
        })
        .await?;
    let all = repeats as f64 * rounds as f64;
    Ok(Measured {
        timing: Some(turns.timing("ms a repeated search", 1e3 / f64::from(repeats))),
        figures: vec![
            turns.figure("database queries per repeat", all, |c| c.batches),
            Figure {
                better: Better::Higher,
                ..turns.figure("answered from kept results, per repeat", all, |c| c.query_hits)
            },
        ],
        notes: vec![
            "Results; the plans are kept by the prepared statements of row 2.1. Any change that becomes \
             known ends all of them."
                .into(),
        ],
    })
}

/// What the plan's claim is about.
pub(super) const FEEDLESS: &str = "hits, %, against a TTL of 60 s and no feed";

/// In virtual time, because a TTL is minutes: the program's own cache, feed and budgets.
pub(super) async fn ttl(bench: &Bench, row: &Row) -> Result<Measured> {
    let bound = Duration::from_secs(60);
    let [on, off] = [true, false].map(|on| configure(&bench.dir, &row.settings(on)));
    let sides = [on?, off?].map(|config| Way::Feed(config.cache_config().ttl));
    let others = [Way::FixedTtl, Way::HotLivesLonger];
    let [on, off] = sides.map(|way| staleness::agent_sessions(bound, way));
    let [fixed, hot] = others.map(|way| staleness::agent_sessions(bound, way));
    Ok(Measured {
        timing: None,
        figures: vec![
            Figure::new("hits, %", on.hit_percent, off.hit_percent, Better::Higher),
            Figure::new(
                "round trips per 1,000 reads",
                on.round_trips_per_1000_reads,
                off.round_trips_per_1000_reads,
                Better::Lower,
            ),
            Figure::new("stale reads, %", on.stale_percent, off.stale_percent, Better::Lower),
            Figure::new(FEEDLESS, on.hit_percent, fixed.hit_percent, Better::Higher),
        ],
        notes: vec![format!(
            "Agent sessions in virtual time, nothing staler than 60 s. Most of what the plan hopes for is \
             brought by the change feed, which no setting turns off: a cache without it, each entry for \
             60 s, has {:.1} % hits at {:.0} round trips, {:.2} % of its reads stale; by the plan's \
             formula (hot lives longer) {:.1} %, {:.0}, {:.2} %. The budget by state, which the setting \
             turns off, makes what may change be looked at sooner.",
            fixed.hit_percent,
            fixed.round_trips_per_1000_reads,
            fixed.stale_percent,
            hot.hit_percent,
            hot.round_trips_per_1000_reads,
            hot.stale_percent,
        )],
    })
}

/// Saves one small episode for each key of a trace.
async fn fill_keys(side: &Side, keys: &[u64]) -> Result<()> {
    let distinct: BTreeSet<u64> = keys.iter().copied().collect();
    let distinct: Vec<u64> = distinct.into_iter().collect();
    for part in distinct.chunks(1_000) {
        let saves = part.iter().map(|key| {
            let mut episode = generate::episode(9, *key, SMALL);
            episode.id = id(PROJECT, *key);
            PROJECT.clone_into(&mut episode.project);
            save_of(episode.into())
        });
        side.save(saves.collect()).await?;
    }
    Ok(())
}

fn ids(keys: &[u64]) -> Vec<EpisodeId> {
    keys.iter().map(|key| id(PROJECT, *key)).collect()
}

/// Bytes of memory that a part of the distinct episodes of `keys` takes when cached.
async fn room_for(side: &Side, keys: &[u64], part: f64) -> Result<u64> {
    let distinct: BTreeSet<u64> = keys.iter().copied().collect();
    let sample: Vec<u64> = distinct.iter().copied().take(200).collect();
    let before = held(side)?;
    side.get_each(&ids(&sample)).await?;
    let each = (held(side)? - before) as f64 / sample.len().max(1) as f64;
    // Of the budget the storage gives a part to query results, to the index, to the file's pages.
    Ok((each * distinct.len() as f64 * part * 1.1) as u64)
}

fn held(side: &Side) -> Result<u64> {
    Ok(side.storage()?.cache_metrics().map_or(0, |metrics| metrics.memory.bytes.get()))
}

pub(super) async fn eviction(bench: &Bench, row: &Row) -> Result<Measured> {
    let reads = bench.amount(40_000, 2_000);
    let trace = synthetic::scan_polluted(3, reads);
    let mut pair = Pair::local(bench, &row.settings(true), &row.settings(false)).await?;
    for side in [&mut pair.on, &mut pair.off] {
        fill_keys(side, &trace.keys).await?;
        // What was just saved is cached; the trace begins with nothing.
        side.reopen_with(&row.settings(side.on)).await?;
    }
    let room = room_for(&pair.on, &trace.keys, 0.1).await?;
    let room = format!("cache.memory_bytes={room}");
    for side in [&mut pair.on, &mut pair.off] {
        let settings = [row.settings(side.on).as_slice(), &[room.as_str()]].concat();
        side.reopen_with(&settings).await?;
    }
    let parts: Vec<Vec<EpisodeId>> = trace.keys.chunks(reads / 4).map(ids).collect();
    let turns = pair
        .in_turns(parts.len(), async |side, n| {
            side.get_each(parts.get(n).context("no such part")?).await
        })
        .await?;
    let per = reads as f64 / 1e3;
    Ok(Measured {
        timing: Some(turns.timing("us a read, file behind it", 4e6 / reads as f64)),
        figures: vec![
            turns.figure("evictions per 1,000 reads", per, |c| c.evictions),
            Figure { better: Better::Higher, ..turns.figure("hits, %", per * 10.0, |c| c.hits) },
        ],
        notes: vec![
            "Zipf 1.0 with scans, a cache for a tenth of what is read. Other traces, other policies and \
             the offline optimum: What the cache keeps, below."
                .into(),
        ],
    })
}

/// A process ends and another one starts: its first reads.
pub(super) async fn warm_up(bench: &Bench, row: &Row) -> Result<Measured> {
    let (before, first) = bench.amount((4_000, 500), (300, 50));
    let rounds = bench.amount(4, 2);
    let mut pair = Pair::anywhere(bench, &row.settings(true), &row.settings(false)).await?;
    let trace = synthetic::zipf("zipf 1.0", 3, 1.0, before + first * rounds);
    for side in pair.sides() {
        // By another process: what this one has not read is in no cache.
        let writer = side.second(bench, &[]).await?;
        writer.at(Duration::ZERO);
        fill_keys(&writer, &trace.keys).await?;
    }
    let (history, later) = trace.keys.split_at(before);
    let mut starting = [0; 2];
    let mut turns = crate::bench::world::Turns::default();
    for side in [&mut pair.on, &mut pair.off] {
        // Off has what a process keeps that ends: nothing.
        side.reopen_with(&row.settings(side.on)).await?;
        side.get_each(&ids(history)).await?;
    }
    for part in later.chunks(first) {
        let mut took = (0.0, 0.0);
        for (place, side) in [&mut pair.on, &mut pair.off].into_iter().enumerate() {
            side.at(ROUND_TRIP);
            let before = side.proxy.as_ref().map_or(0, |proxy| proxy.counts().requests);
            side.reopen_with(&row.settings(side.on)).await?;
            settled(side).await?;
            let after = side.proxy.as_ref().map_or(0, |proxy| proxy.counts().requests);
            if let Some(sum) = starting.get_mut(place) {
                *sum += after - before;
            }
            let began = side.counts()?;
            let seconds = side.get_each(&ids(part)).await?;
            let did = side.counts()? - began;
            if side.on {
                took.0 = seconds;
                turns.on += did;
            } else {
                took.1 = seconds;
                turns.off += did;
            }
        }
        turns.rounds.push(took);
    }
    let reads = (first * rounds) as f64;
    let mut figures = vec![
        Figure { better: Better::Higher, ..turns.figure("hits, %", reads / 100.0, |c| c.hits) },
        turns.figure("database queries per 1,000 reads", reads / 1e3, |c| c.batches),
    ];
    if pair.on.proxy.is_some() {
        let [on, off] =
            starting.map(|sum| f64::from(u32::try_from(sum).unwrap_or(0)) / rounds as f64);
        figures.push(Figure::new(
            "requests of the start, before any read",
            on,
            off,
            Better::Neither,
        ));
    }
    Ok(Measured {
        timing: Some(turns.timing("ms a read, first after a restart", 1e3 / first as f64)),
        figures,
        notes: vec![format!(
            "{first} reads after each of {rounds} restarts, Zipf 1.0. On a file the cache file is off \
             by default: reading the database costs as little."
        )],
    })
}

/// Until the warm-up has nothing more to do.
async fn settled(side: &Side) -> Result<()> {
    let (mut before, mut since) = (side.counts()?.batches, Instant::now());
    let warmed = || -> Result<u64> {
        let metrics = side.storage()?.metrics();
        Ok(metrics.warmed_from_file.load(std::sync::atomic::Ordering::Relaxed)
            + side.counts()?.batches)
    };
    while since.elapsed() < Duration::from_millis(400) {
        sleep(Duration::from_millis(20)).await;
        let now = warmed()?;
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// Zipf 1.2 over 10,000 episodes, a cache for a tenth of them, after a warm-up.
pub(super) async fn cache_first(bench: &Bench, row: &Row) -> Result<Measured> {
    let (on, off) = (row.settings(true), row.settings(false));
    let local = zipf_queries(bench, Side::local(bench, row.on).await?, &on, &off).await?;
    let mut figures =
        vec![Figure::new("database queries per 1,000 reads", local.on, local.off, Better::Lower)];
    let mut notes = vec![format!(
        "Reads after a warm-up, Zipf 1.2 over {} episodes, a cache in memory for a tenth of them, no \
         cache file.",
        bench.amount(ZIPF_EPISODES, ZIPF_EPISODES / 10)
    )];
    let mut timing = local.timing;
    if bench.servers.is_some() {
        let there = zipf_queries(bench, Side::remote(bench, row.on).await?, &on, &off).await?;
        figures.push(Figure::new(
            "requests per 1,000 reads, server",
            there.on,
            there.off,
            Better::Lower,
        ));
        notes.push(format!(
            "On a file: {:.1} us a read with the cache, {:.1} without.",
            timing.on * 1e3,
            timing.off * 1e3
        ));
        timing = there.timing;
    }
    Ok(Measured { timing: Some(timing), figures, notes })
}

/// Questions to the database per 1,000 reads.
pub(crate) struct Queries {
    pub(crate) on: f64,
    pub(crate) off: f64,
    timing: Timing,
}

const ZIPF_EPISODES: u64 = 10_000;

/// One database, read with a cache for a tenth of its episodes and without any, in turns.
pub(crate) async fn zipf_queries(
    bench: &Bench,
    mut side: Side,
    on: &[&str],
    off: &[&str],
) -> Result<Queries> {
    const ROUNDS: usize = 4;
    let is_remote = side.proxy.is_some();
    let reads = if is_remote { bench.amount(20_000, 400) } else { bench.amount(100_000, 2_000) };
    let warm_up = bench.amount(10_000, 500);
    let trace = synthetic::zipf("zipf 1.2", 5, 1.2, warm_up + reads);
    // Fewer in a quick run, where their number is not what it is about.
    let episodes = bench.amount(ZIPF_EPISODES, ZIPF_EPISODES / 10);
    let keys: Vec<u64> = trace.keys.iter().map(|key| key % episodes).collect();
    let (before, after) = keys.split_at(warm_up);
    let every: Vec<u64> = (0..episodes).collect();
    fill_keys(&side, &every).await?;
    // Without a cache file, from which others would come while a few are weighed.
    let on = [on, &["cache.redb=off"]].concat();
    side.reopen_with(&on).await?;
    let room = format!("cache.memory_bytes={}", room_for(&side, &every, 0.1).await?);
    side.reopen_with(&[on.as_slice(), &[room.as_str()]].concat()).await?;
    side.get_each(&ids(before)).await?;
    side.at(ROUND_TRIP);
    let mut bare = side.second(bench, off).await?;
    bare.on = false;
    // Without the cache every read is the same: a few tell.
    let some = if is_remote { 25 } else { after.len() / ROUNDS / 5 };
    let pair = Pair { on: side, off: bare };
    let parts: Vec<Vec<EpisodeId>> = after.chunks(after.len() / ROUNDS).map(ids).collect();
    let (mut cached, mut plain) = (0, 0);
    let turns = pair
        .in_turns(ROUNDS, async |side, n| {
            let part = parts.get(n).context("no such part")?;
            let part = if side.on { part } else { part.get(..some).unwrap_or(part) };
            *(if side.on { &mut cached } else { &mut plain }) += part.len();
            Ok(side.get_each(part).await? / part.len() as f64)
        })
        .await?;
    let per = |batches: u64, reads: usize| batches as f64 * 1e3 / reads.max(1) as f64;
    Ok(Queries {
        on: per(turns.on.batches, cached),
        off: per(turns.off.batches, plain),
        timing: Timing { ratio: Ratio::of(&turns.rounds), ..turns.timing("ms a read", 1e3) },
    })
}
