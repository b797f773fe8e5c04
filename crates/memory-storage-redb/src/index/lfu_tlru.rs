//! LFU-TLRU: least frequently used, in a time-aware form.
//!
//! An entry's value at time `t`, counted in uses of the cache, is `sum(2^-((t - u) / H))` over its
//! uses `u`: every use counts one, and half as much each `H` uses of the cache later. The entry of
//! the smallest value goes. With `f` the value at the last use `l`, the order by
//! `f * 2^-((t - l) / H)` is the order by `log2(f) + l / H`, which does not move with `t`: so an
//! entry's place in the order changes only when it is used, and each operation is `O(log n)`.

use std::collections::{BTreeMap, HashMap};

use super::{Evict, Key, Value};

/// `H`, in uses per entry that the cache is expected to hold.
const HALF_LIFE: f64 = 8.0;

/// Places are whole numbers so that they order; this many to one halving.
const SCALE: f64 = (1u64 << 32) as f64;

pub(super) struct LfuTlru<K, V> {
    held: HashMap<K, Entry<V>>,
    /// The smallest first. The second part makes places unique.
    order: BTreeMap<Place, K>,
    half_life: f64,
    now: u64,
    weight: u64,
    capacity: u64,
}

type Place = (i64, u64);

struct Entry<V> {
    value: V,
    frequency: f64,
    used_at: u64,
    place: Place,
}

impl<K: Key, V: Value> LfuTlru<K, V> {
    pub(super) fn new(capacity: u64, entries: usize) -> Self {
        LfuTlru {
            held: HashMap::new(),
            order: BTreeMap::new(),
            half_life: HALF_LIFE * entries.max(1) as f64,
            now: 0,
            weight: 0,
            capacity,
        }
    }

    fn shrink(&mut self) -> Vec<(K, V)> {
        let mut victims = Vec::new();
        while self.weight > self.capacity {
            let Some((_, key)) = self.order.pop_first() else { break };
            let Some(entry) = self.held.remove(&key) else { break };
            self.weight -= entry.value.weight();
            victims.push((key, entry.value));
        }
        victims
    }
}

impl<K: Key, V: Value> Evict<K, V> for LfuTlru<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        self.now += 1;
        let entry = self.held.get_mut(key)?;
        let idle = (self.now - entry.used_at) as f64;
        entry.frequency = 1.0 + entry.frequency * (-idle / self.half_life).exp2();
        entry.used_at = self.now;
        self.order.remove(&entry.place);
        entry.place = place(entry.frequency, self.now, self.half_life);
        self.order.insert(entry.place, key.clone());
        Some(entry.value.clone())
    }

    fn peek(&self, key: &K) -> Option<V> {
        self.held.get(key).map(|entry| entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V) -> Vec<(K, V)> {
        if value.weight() > self.capacity {
            let earlier = self.remove(&key).map(|earlier| (key.clone(), earlier));
            return earlier.into_iter().chain([(key, value)]).collect();
        }
        if let Some(entry) = self.held.get_mut(&key) {
            self.weight = self.weight - entry.value.weight() + value.weight();
            entry.value = value;
            return self.shrink();
        }
        self.now += 1;
        // Room first: a newcomer is the least used of all and would always be its own victim.
        self.weight += value.weight();
        let victims = self.shrink();
        let place = place(1.0, self.now, self.half_life);
        self.order.insert(place, key.clone());
        self.held.insert(key, Entry { value, frequency: 1.0, used_at: self.now, place });
        victims
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.held.remove(key)?;
        self.order.remove(&entry.place);
        self.weight -= entry.value.weight();
        Some(entry.value)
    }

    fn clear(&mut self) {
        self.held.clear();
        self.order.clear();
        self.weight = 0;
    }

    fn set_capacity(&mut self, capacity: u64) -> Vec<(K, V)> {
        self.capacity = capacity;
        self.shrink()
    }

    fn value_mut(&mut self, key: &K) -> Option<&mut V> {
        self.held.get_mut(key).map(|entry| &mut entry.value)
    }

    fn for_each(&self, f: &mut dyn FnMut(&K, &V)) {
        self.held.iter().for_each(|(key, entry)| f(key, &entry.value));
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn len(&self) -> usize {
        self.held.len()
    }
}

fn place(frequency: f64, now: u64, half_life: f64) -> Place {
    (((frequency.log2() + now as f64 / half_life) * SCALE) as i64, now)
}
