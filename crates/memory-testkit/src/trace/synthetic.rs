//! Traces made from a seed alone.

use super::{Kind, Trace};
use crate::generate::Random;

/// Ids of the independent draws.
const KEYS: usize = 10_000;

/// Draws ranks with probability proportional to `1 / rank^exponent`.
#[derive(Debug, Clone)]
pub struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Over ranks `0..n`.
    pub fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=n.max(1)).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Zipf { cumulative: weights.collect() }
    }

    /// The next rank; 0 is the most frequent.
    pub fn draw(&self, random: &mut Random) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        let at = unit(random) * total;
        self.cumulative.partition_point(|c| *c <= at).min(self.cumulative.len() - 1)
    }
}

/// A number in 0..1.
fn unit(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1u64 << 53) as f64
}

/// An age with this mean, exponentially distributed.
fn age(random: &mut Random, mean: f64) -> usize {
    (-(1.0 - unit(random)).ln() * mean) as usize
}

/// Independent draws over 10,000 ids.
pub fn zipf(name: &'static str, seed: u64, exponent: f64, reads: usize) -> Trace {
    let (zipf, mut random) = (Zipf::new(KEYS, exponent), Random::new(seed));
    let keys = (0..reads).map(|_| zipf.draw(&mut random) as u64).collect();
    Trace { name, kind: Kind::Zipf, keys }
}

/// Zipf 1.0, and every 10,000 reads a scan over 2,000 ids in order: an export, a listing.
pub fn scan_polluted(seed: u64, reads: usize) -> Trace {
    let (zipf, mut random) = (Zipf::new(KEYS, 1.0), Random::new(seed));
    let mut keys = Vec::with_capacity(reads);
    while keys.len() < reads {
        keys.extend((0..8_000).map(|_| zipf.draw(&mut random) as u64));
        let from = random.below(KEYS);
        keys.extend((from..from + 2_000).map(|key| (key % KEYS) as u64));
    }
    keys.truncate(reads);
    Trace { name: "zipf 1.0 + scans", kind: Kind::Scan, keys }
}

/// Sessions about a topic: recalls of five episodes, the useful ones opened again, some opened
/// again later in the session; one read in ten is of something that nobody asks for twice.
pub fn agent_sessions(seed: u64, reads: usize) -> Trace {
    const TOPICS: usize = 150;
    const PER_TOPIC: usize = 60;
    let mut random = Random::new(seed ^ 1);
    let (topics, within) = (Zipf::new(TOPICS, 0.9), Zipf::new(PER_TOPIC, 0.8));
    let mut keys = Vec::with_capacity(reads);
    let mut once = 1_000_000;
    while keys.len() < reads {
        let topic = topics.draw(&mut random) * PER_TOPIC;
        let began = keys.len();
        for _ in 0..5 + random.below(20) {
            for _ in 0..5 {
                keys.push((topic + within.draw(&mut random)) as u64);
            }
            if random.below(2) == 0 {
                once += 1;
                keys.push(once);
            }
            for _ in 0..random.below(3) {
                let again = began + random.below(keys.len() - began);
                keys.extend(keys.get(again).copied());
            }
        }
    }
    keys.truncate(reads);
    Trace { name: "agent sessions", kind: Kind::Agent, keys }
}

/// A growing memory: each new episode is read a few times while it runs and then rarely; recalls go
/// to recent work and to a lasting core of good examples.
pub fn agent_fresh_work(seed: u64, reads: usize) -> Trace {
    let mut random = Random::new(seed ^ 2);
    let core = Zipf::new(1_500, 0.9);
    let mut keys = Vec::with_capacity(reads);
    let mut newest = 10_000usize;
    while keys.len() < reads {
        newest += 1;
        for _ in 0..1 + random.below(3) {
            keys.push(newest as u64);
            for _ in 0..2 {
                let back = age(&mut random, 300.0).min(newest - 2_000);
                keys.push((newest - back) as u64);
            }
            for _ in 0..3 {
                keys.push(core.draw(&mut random) as u64);
            }
        }
    }
    keys.truncate(reads);
    Trace { name: "agent fresh work", kind: Kind::Agent, keys }
}

/// Several agents side by side, each in its own project, moving on to another one now and then.
pub fn agent_projects(seed: u64, reads: usize) -> Trace {
    const PER_PROJECT: usize = 400;
    let mut random = Random::new(seed ^ 3);
    let (projects, within) = (Zipf::new(40, 0.7), Zipf::new(PER_PROJECT, 1.0));
    let mut agents: Vec<usize> = (0..6).map(|_| projects.draw(&mut random)).collect();
    let mut keys = Vec::with_capacity(reads);
    let mut fresh = 1_000_000u64;
    while keys.len() < reads {
        let agent = random.below(agents.len());
        if let Some(project) = agents.get_mut(agent) {
            if random.below(150) == 0 {
                *project = projects.draw(&mut random);
            }
            for _ in 0..4 {
                keys.push((*project * PER_PROJECT + within.draw(&mut random)) as u64);
            }
        }
        if random.below(3) == 0 {
            fresh += 1;
            keys.extend([fresh, fresh]);
        }
    }
    keys.truncate(reads);
    Trace { name: "agent projects", kind: Kind::Agent, keys }
}

/// Work with recency, interrupted by reviews: the last 600 episodes gone through one by one.
pub fn agent_reviews(seed: u64, reads: usize) -> Trace {
    let mut random = Random::new(seed ^ 4);
    let liked = Zipf::new(3_000, 1.0);
    let mut keys = Vec::with_capacity(reads);
    let mut newest = 10_000usize;
    while keys.len() < reads {
        for _ in 0..600 {
            newest += usize::from(random.below(4) == 0);
            let back = age(&mut random, 40.0);
            keys.push((newest - back) as u64);
            for _ in 0..3 {
                keys.push(liked.draw(&mut random) as u64);
            }
        }
        keys.extend((newest - 600..newest).map(|key| key as u64));
    }
    keys.truncate(reads);
    Trace { name: "agent reviews", kind: Kind::Agent, keys }
}

#[cfg(test)]
mod tests {
    use super::super::{Trace, synthetic};
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        let keys =
            |seed| -> Vec<_> { synthetic(seed, 5_000).into_iter().map(|t| t.keys).collect() };
        assert_eq!(keys(1), keys(1));
        for (one, other) in keys(1).iter().zip(keys(2)) {
            assert_ne!(*one, other);
        }
        assert!(synthetic(3, 5_000).iter().all(|t: &Trace| t.keys.len() == 5_000));
    }

    #[test]
    fn zipf_draws_ranks_by_their_weight() {
        let (zipf, mut random) = (Zipf::new(1_000, 1.0), Random::new(5));
        let mut counts = vec![0u32; 1_000];
        for _ in 0..200_000 {
            counts[zipf.draw(&mut random)] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[9]);
        assert!((8.0..12.0).contains(&ratio), "{ratio}");
    }
}
