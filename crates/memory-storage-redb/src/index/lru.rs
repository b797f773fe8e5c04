//! Least recently used.

use lru::LruCache;

use super::{Evict, Key, Value};

pub(super) struct Lru<K: Key, V: Value> {
    held: LruCache<K, V>,
    weight: u64,
    capacity: u64,
}

impl<K: Key, V: Value> Lru<K, V> {
    pub(super) fn new(capacity: u64) -> Self {
        Lru { held: LruCache::unbounded(), weight: 0, capacity }
    }

    fn shrink(&mut self) -> Vec<(K, V)> {
        let mut victims = Vec::new();
        while self.weight > self.capacity {
            let Some((key, value)) = self.held.pop_lru() else { break };
            self.weight -= value.weight();
            victims.push((key, value));
        }
        victims
    }
}

impl<K: Key, V: Value> Evict<K, V> for Lru<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        self.held.get(key).cloned()
    }

    fn peek(&self, key: &K) -> Option<V> {
        self.held.peek(key).cloned()
    }

    fn insert(&mut self, key: K, value: V) -> Vec<(K, V)> {
        // One that can never fit must not drive everything else out first.
        if value.weight() > self.capacity {
            let earlier = self.remove(&key).map(|earlier| (key.clone(), earlier));
            return earlier.into_iter().chain([(key, value)]).collect();
        }
        self.weight += value.weight();
        if let Some(earlier) = self.held.put(key, value) {
            self.weight -= earlier.weight();
        }
        self.shrink()
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.held.pop(key)?;
        self.weight -= value.weight();
        Some(value)
    }

    fn clear(&mut self) {
        self.held.clear();
        self.weight = 0;
    }

    fn set_capacity(&mut self, capacity: u64) -> Vec<(K, V)> {
        self.capacity = capacity;
        self.shrink()
    }

    fn value_mut(&mut self, key: &K) -> Option<&mut V> {
        self.held.peek_mut(key)
    }

    fn for_each(&self, f: &mut dyn FnMut(&K, &V)) {
        self.held.iter().for_each(|(key, value)| f(key, value));
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn len(&self) -> usize {
        self.held.len()
    }
}
