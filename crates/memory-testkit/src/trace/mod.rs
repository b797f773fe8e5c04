//! Seeded access patterns for the cache, and what a cache that knew the future would make of them.
//!
//! # Layout
//!
//! - [`mod@synthetic`]: Zipf, Zipf with scans, and what agents do: sessions, fresh work, projects, reviews
//! - [`replay`]: the recorded runs in order, each recalling the earlier ones that are like it
//! - [`optimum`]: Belady's offline optimum, by count and by bytes

pub mod optimum;
pub mod replay;
pub mod synthetic;

use crate::generate::Random;

/// Where a trace comes from; tables and averages go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Independent draws.
    Zipf,
    /// Zipf with long scans in between.
    Scan,
    /// Sessions of agents: recency, topics, fresh work.
    Agent,
    /// Recorded runs.
    Replay,
}

/// A sequence of reads.
#[derive(Debug, Clone)]
pub struct Trace {
    /// For tables.
    pub name: &'static str,
    /// Where it comes from.
    pub kind: Kind,
    /// The ids read, in order.
    pub keys: Vec<u64>,
}

impl Trace {
    /// How many different ids are read.
    pub fn distinct(&self) -> usize {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    }
}

/// The bytes of an entry: most small, some twenty times that, the same for the same key.
pub fn size_of(key: u64) -> u64 {
    let mut random = Random::new(key ^ 0x512E);
    match random.below(10) {
        0..=5 => 1_000 + random.below(3_000) as u64,
        6..=8 => 4_000 + random.below(16_000) as u64,
        _ => 20_000 + random.below(60_000) as u64,
    }
}

/// Every synthetic trace, each of `reads` reads.
pub fn synthetic(seed: u64, reads: usize) -> Vec<Trace> {
    use synthetic as s;
    vec![
        s::zipf("zipf 0.8", seed, 0.8, reads),
        s::zipf("zipf 1.0", seed, 1.0, reads),
        s::zipf("zipf 1.2", seed, 1.2, reads),
        s::scan_polluted(seed, reads),
        s::agent_sessions(seed, reads),
        s::agent_fresh_work(seed, reads),
        s::agent_projects(seed, reads),
        s::agent_reviews(seed, reads),
    ]
}
