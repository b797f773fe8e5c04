//! Which policy keeps what is asked for again: one table, on traces that were fixed beforehand.
#![expect(clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

use std::path::Path;

use memory_storage_redb::Policy;
use memory_storage_redb::index::{Index, Weighed};
use memory_testkit::trace::optimum::{Tally, belady};
use memory_testkit::trace::{Kind, Trace, replay, size_of, synthetic};

const SEED: u64 = 20_260;
const READS: usize = 60_000;

/// Sizes of the cache, as a share of what is read.
const SIZES: [f64; 4] = [0.01, 0.05, 0.1, 0.2];

#[derive(Clone)]
struct Item(u64);

impl Weighed for Item {
    fn weight(&self) -> u64 {
        self.0
    }
}

fn run(policy: Policy, keys: &[u64], capacity: u64, entries: usize, size: fn(u64) -> u64) -> Tally {
    let index = Index::new(policy, capacity, entries);
    let mut tally = Tally::default();
    for key in keys {
        if index.get(key).is_some() {
            tally.hits += 1;
        } else {
            let gone = index.insert(*key, Item(size(*key)));
            tally.evictions += gone.iter().filter(|(victim, _)| victim != key).count();
            assert!(index.weight() <= capacity, "{} over {capacity}", index.weight());
        }
    }
    tally
}

fn traces() -> Vec<Trace> {
    let mut traces = synthetic(SEED, READS);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    traces.extend(replay::recorded_runs(&data));
    traces
}

fn percent(hits: usize, reads: usize) -> f64 {
    hits as f64 * 100.0 / reads as f64
}

/// Prints the table and returns, per row, the trace's kind and the hit rates of the policies.
fn table(title: &str, weighed: bool) -> Vec<(Kind, String, [f64; 3])> {
    let size: fn(u64) -> u64 = if weighed { size_of } else { |_| 4_096 };
    println!("\n{title}: hit rate in %, evictions per 1,000 reads");
    println!(
        "{:<26}{:>6}{:>17}{:>17}{:>17}{:>17}",
        "trace", "size", "frequency", "lru", "lfu_tlru", "optimum"
    );
    let mut rows = Vec::new();
    for trace in traces() {
        let (keys, distinct) = (&trace.keys, trace.distinct());
        for share in SIZES {
            let entries = ((distinct as f64 * share) as usize).max(2);
            let mean = if weighed { 13_000 } else { 4_096 };
            let capacity = entries as u64 * mean;
            let tallies = Policy::ALL.map(|p| run(p, keys, capacity, entries, size));
            let optimum = belady(keys, capacity, size);
            let shown = |t: &Tally| {
                let evictions = t.evictions as f64 * 1000.0 / keys.len() as f64;
                format!("{:>11.1} {evictions:>5.0}", percent(t.hits, keys.len()))
            };
            println!(
                "{:<26}{:>5.0}%{}{}{}{}",
                trace.name,
                share * 100.0,
                shown(&tallies[0]),
                shown(&tallies[1]),
                shown(&tallies[2]),
                shown(&optimum)
            );
            let rates = [0, 1, 2].map(|i| percent(tallies[i].hits, keys.len()));
            assert!(weighed || rates.iter().all(|r| *r <= percent(optimum.hits, keys.len())));
            rows.push((trace.kind, format!("{} at {share}", trace.name), rates));
        }
    }
    rows
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn the_default_keeps_up_with_lru_everywhere_and_beats_it_where_agents_work() {
    let rows = table("entries of one size", false);
    let against_lru = |kind| {
        mean(rows.iter().filter(|(k, ..)| *k == kind).map(|(_, _, rates)| rates[0] - rates[1]))
    };
    for kind in [Kind::Zipf, Kind::Scan, Kind::Agent] {
        println!("default against lru, mean over {kind:?}: {:+.1} points", against_lru(kind));
    }
    for (_, row, [frequency, lru, _]) in &rows {
        assert!(frequency - lru >= -2.0, "{row}: {frequency:.1} % against {lru:.1} % of LRU");
    }
    assert!(against_lru(Kind::Agent) >= 2.5);
    assert!(against_lru(Kind::Zipf) >= 6.0 && against_lru(Kind::Scan) >= 6.0);
}

#[test]
fn weighed_in_bytes_the_default_keeps_up_with_lru_too() {
    for (_, row, [frequency, lru, _]) in table("entries weighed in bytes", true) {
        assert!(frequency - lru >= -2.0, "{row}: {frequency:.1} % against {lru:.1} % of LRU");
    }
}

#[test]
fn every_policy_says_what_it_dropped() {
    for policy in Policy::ALL {
        let index = Index::new(policy, 100, 10);
        let mut held = std::collections::BTreeSet::new();
        for key in 0..1_000u64 {
            held.insert(key % 37);
            for (gone, _) in index.insert(key % 37, Item(1 + key % 20)) {
                held.remove(&gone);
            }
            if key % 5 == 0 {
                index.remove(&(key % 11));
                held.remove(&(key % 11));
            }
            if key % 100 == 0 {
                for (gone, _) in index.set_capacity(60 + key % 50) {
                    held.remove(&gone);
                }
            }
            let mut seen = std::collections::BTreeSet::new();
            index.for_each(|key, _| {
                seen.insert(*key);
            });
            assert_eq!(seen, held, "{} after {key}", policy.as_str());
        }
        let huge = index.insert(7, Item(1_000));
        assert!(huge.iter().any(|(key, item)| *key == 7 && item.0 == 1_000));
        assert!(index.peek(&7).is_none(), "{}", policy.as_str());
    }
}
