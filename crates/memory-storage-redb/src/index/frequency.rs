//! The default policy: quick_cache's Clock-PRO variant. A new entry is cold and soon gone unless it
//! is asked for again; one asked for again, even shortly after it went (its ghost is remembered), is
//! hot.

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::{Key, Value};

/// Share of the budget for hot entries, and how many ghosts are remembered per expected entry. Found
/// best over Zipf, agent-like and public traces, with the smallest loss to LRU in the worst case.
const HOT: f64 = 0.8;
const GHOST: f64 = 0.5;

/// Entries for which a part with its own lock and budget is worth it: dividing a small budget costs
/// hits. By size and not by cores, so that what is evicted does not depend on the machine.
const SHARD_ENTRIES: usize = 1024;
const MAX_SHARDS: usize = 8;

pub(super) struct Frequency<K, V>(Cache<K, V, ByWeight, DefaultHashBuilder, Victims>);

impl<K: Key, V: Value> Frequency<K, V> {
    pub(super) fn new(capacity: u64, entries: usize) -> Self {
        let options = OptionsBuilder::new()
            .shards((entries / SHARD_ENTRIES).clamp(1, MAX_SHARDS))
            .hot_allocation(HOT)
            .ghost_allocation(GHOST)
            .estimated_items_capacity(entries.max(1))
            .weight_capacity(even(capacity))
            .build();
        let hasher = DefaultHashBuilder::default();
        Frequency(match options {
            Ok(options) => Cache::with_options(options, ByWeight, hasher, Victims),
            // Only for settings left out, and none is.
            Err(_) => Cache::with(entries, even(capacity), ByWeight, hasher, Victims),
        })
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    pub(super) fn peek(&self, key: &K) -> Option<V> {
        self.0.peek(key)
    }

    pub(super) fn insert(&self, key: K, value: V) -> Vec<(K, V)> {
        let mut victims = Vec::new();
        self.0.insert_with_lifecycle(key.clone(), value, &mut victims);
        // The library also reports the value that was replaced: its key has not gone.
        if victims.iter().any(|(victim, _)| *victim == key) && self.0.contains_key(&key) {
            victims.retain(|(victim, _)| *victim != key);
        }
        victims
    }

    pub(super) fn remove(&self, key: &K) -> Option<V> {
        self.0.remove(key).map(|(_, value)| value)
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn set_capacity(&self, capacity: u64) -> Vec<(K, V)> {
        let before: Vec<(K, V)> =
            if capacity < self.0.capacity() { self.0.iter().collect() } else { Vec::new() };
        self.0.set_capacity(even(capacity));
        // The library drops these without a word.
        before.into_iter().filter(|(key, _)| !self.0.contains_key(key)).collect()
    }

    pub(super) fn for_each(&self, f: &mut dyn FnMut(&K, &V)) {
        for (key, value) in self.0.iter() {
            f(&key, &value);
        }
    }

    pub(super) fn weight(&self) -> u64 {
        self.0.weight()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The library rounds each shard's part up; the budget is a budget.
fn even(capacity: u64) -> u64 {
    let parts = MAX_SHARDS as u64;
    if capacity < parts { capacity } else { capacity / parts * parts }
}

#[derive(Clone)]
struct ByWeight;

impl<K, V: Value> Weighter<K, V> for ByWeight {
    fn weight(&self, _: &K, value: &V) -> u64 {
        value.weight()
    }
}

/// Hands evicted entries to the insert that evicted them.
#[derive(Clone)]
struct Victims;

impl<K, V> Lifecycle<K, V> for Victims {
    type RequestState = Vec<(K, V)>;

    fn on_evict(&self, victims: &mut Vec<(K, V)>, key: K, value: V) {
        victims.push((key, value));
    }
}
