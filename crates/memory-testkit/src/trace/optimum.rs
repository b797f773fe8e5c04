//! The offline optimum: what a cache that knew every later read would have hit.

use std::collections::{BTreeSet, HashMap};

/// Hits and evictions of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Reads answered from the cache.
    pub hits: usize,
    /// Entries that made room for others.
    pub evictions: usize,
}

/// For each read, the place of the next read of the same key; `usize::MAX` when there is none.
fn next_reads(keys: &[u64]) -> Vec<usize> {
    let mut later = HashMap::new();
    let mut next = vec![usize::MAX; keys.len()];
    for (at, (key, next)) in keys.iter().zip(&mut next).enumerate().rev() {
        *next = later.insert(*key, at).unwrap_or(usize::MAX);
    }
    next
}

/// Belady's MIN (1966) with bypass: keep what is read again soonest. Exact when every entry weighs
/// the same (`size` 1, `capacity` entries). With sizes the problem is NP-hard; this greedy form drops
/// whatever is read again last until the entry fits, and is a guide rather than a bound.
pub fn belady(keys: &[u64], capacity: u64, size: impl Fn(u64) -> u64) -> Tally {
    let mut held: HashMap<u64, usize> = HashMap::new();
    let mut by_next: BTreeSet<(usize, u64)> = BTreeSet::new();
    let (mut used, mut tally) = (0, Tally::default());
    for (key, next) in keys.iter().copied().zip(next_reads(keys)) {
        if let Some(place) = held.get_mut(&key) {
            tally.hits += 1;
            by_next.remove(&(*place, key));
            by_next.insert((next, key));
            *place = next;
            continue;
        }
        let bytes = size(key);
        if next == usize::MAX || bytes > capacity {
            continue;
        }
        held.insert(key, next);
        by_next.insert((next, key));
        used += bytes;
        while used > capacity {
            let Some((_, victim)) = by_next.pop_last() else { break };
            held.remove(&victim);
            used -= size(victim);
            tally.evictions += usize::from(victim != key);
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every choice of what to keep, tried: the best there is, for a handful of keys.
    fn best(keys: &[u64], held: &[u64], capacity: usize) -> usize {
        let Some((key, rest)) = keys.split_first() else { return 0 };
        if held.contains(key) {
            return 1 + best(rest, held, capacity);
        }
        let with: Vec<u64> = held.iter().copied().chain([*key]).collect();
        if with.len() <= capacity {
            return best(rest, &with, capacity);
        }
        let drops = (0..with.len()).map(|gone| {
            let kept: Vec<u64> =
                with.iter().enumerate().filter(|(i, _)| *i != gone).map(|(_, k)| *k).collect();
            best(rest, &kept, capacity)
        });
        drops.max().unwrap_or(0)
    }

    #[test]
    fn nothing_beats_the_optimum() {
        let mut random = crate::generate::Random::new(11);
        for _ in 0..60 {
            let keys: Vec<u64> = (0..11).map(|_| random.below(5) as u64).collect();
            for capacity in 1..4 {
                let optimum = belady(&keys, capacity as u64, |_| 1).hits;
                assert_eq!(optimum, best(&keys, &[], capacity), "{keys:?} {capacity}");
            }
        }
    }
}
