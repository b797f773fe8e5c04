//! A weighed index: what is held, and what must go when something else comes.
//!
//! # Layout
//!
//! - [`Index`]: the same operations whatever the policy; victims come back from the insert
//! - `reuse`: the default, learns when entries are asked for again
//! - `lru`, `lfu_tlru`: for comparison

mod lfu_tlru;
mod lru;
mod reuse;

use std::hash::Hash;
use std::str::FromStr;

use memory_core::Error;
use memory_core::error::excerpt;
use parking_lot::Mutex;

use lfu_tlru::LfuTlru;
use lru::Lru;
use reuse::Reuse;

/// Which entries make room for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// What is likely to be asked for again soon, for its size, stays; how soon is learned from the
    /// reads. The best measured.
    #[default]
    Reuse,
    /// The least recently used one goes.
    Lru,
    /// The one with the smallest use count goes, where old uses count for less.
    LfuTlru,
}

impl Policy {
    /// Every policy, the default first.
    pub const ALL: [Policy; 3] = [Policy::Reuse, Policy::Lru, Policy::LfuTlru];

    /// The name used in settings and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Reuse => "reuse",
            Policy::Lru => "lru",
            Policy::LfuTlru => "lfu_tlru",
        }
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Policy::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| {
            let names = Policy::ALL.map(Policy::as_str).join(", ");
            Error::invalid("cache.policy", format!("\"{}\" is none of {names}", excerpt(text)))
        })
    }
}

/// What a value costs of the budget.
pub trait Weighed {
    /// In bytes; more than 0, and the same for as long as the value is held.
    fn weight(&self) -> u64;
}

/// Keys of an index.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// Values of an index; cloned out of it, so they should be cheap to clone.
pub trait Value: Weighed + Clone + Send + Sync + 'static {}

impl<V: Weighed + Clone + Send + Sync + 'static> Value for V {}

/// What every policy can do; see [`Index`] for what each means.
trait Evict<K, V>: Send {
    fn get(&mut self, key: &K) -> Option<V>;
    fn peek(&self, key: &K) -> Option<V>;
    fn insert(&mut self, key: K, value: V) -> Vec<(K, V)>;
    fn remove(&mut self, key: &K) -> Option<V>;
    fn clear(&mut self);
    fn set_capacity(&mut self, capacity: u64) -> Vec<(K, V)>;
    fn value_mut(&mut self, key: &K) -> Option<&mut V>;
    fn for_each(&self, f: &mut dyn FnMut(&K, &V));
    fn weight(&self) -> u64;
    fn len(&self) -> usize;
}

/// Keys and values within a budget of bytes.
///
/// One lock, held for about 50 ns by a read: what a caller does around it takes several times that.
pub struct Index<K: Key, V: Value>(Mutex<Box<dyn Evict<K, V>>>);

impl<K: Key, V: Value> Index<K, V> {
    /// An empty index that holds values of `capacity` bytes, about `entries` of them. The number is
    /// what some policies measure time by: an order of magnitude will do.
    pub fn new(policy: Policy, capacity: u64, entries: usize) -> Self {
        let held: Box<dyn Evict<K, V>> = match policy {
            Policy::Reuse => Box::new(Reuse::new(capacity)),
            Policy::Lru => Box::new(Lru::new(capacity)),
            Policy::LfuTlru => Box::new(LfuTlru::new(capacity, entries)),
        };
        Index(Mutex::new(held))
    }

    /// The value; counts as a use.
    pub fn get(&self, key: &K) -> Option<V> {
        self.0.lock().get(key)
    }

    /// The value; does not count as a use.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.0.lock().peek(key)
    }

    /// Takes a value in, in place of an earlier one of the same key. Returns what had to go for it,
    /// which is the value itself when it is not admitted.
    pub fn insert(&self, key: K, value: V) -> Vec<(K, V)> {
        self.0.lock().insert(key, value)
    }

    /// Takes a value out.
    pub fn remove(&self, key: &K) -> Option<V> {
        self.0.lock().remove(key)
    }

    /// Takes everything out.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Changes the budget, in bytes. Returns what had to go.
    pub fn set_capacity(&self, capacity: u64) -> Vec<(K, V)> {
        self.0.lock().set_capacity(capacity)
    }

    /// Puts what `f` makes of a value in its place: of the same weight, and no use.
    pub fn replace(&self, key: &K, f: impl FnOnce(&V) -> V) {
        if let Some(value) = self.0.lock().value_mut(key) {
            *value = f(value);
        }
    }

    /// Calls `f` with everything held, in no order. The index is locked meanwhile: `f` must not call
    /// it.
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        self.0.lock().for_each(&mut f);
    }

    /// Bytes held.
    pub fn weight(&self) -> u64 {
        self.0.lock().weight()
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
