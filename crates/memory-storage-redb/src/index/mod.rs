//! A weighed index: what is held, and what must go when something else comes.
//!
//! # Layout
//!
//! - [`Index`]: the same operations whatever the policy; victims come back from the insert
//! - `frequency`: the default, a library's clock with a hot, a cold and a ghost part
//! - `lru`, `lfu_tlru`: for comparison

mod frequency;
mod lfu_tlru;
mod lru;

use std::hash::Hash;
use std::str::FromStr;

use memory_core::Error;
use memory_core::error::excerpt;
use parking_lot::Mutex;

use frequency::Frequency;
use lfu_tlru::LfuTlru;
use lru::Lru;

/// Which entries make room for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Entries that were asked for again stay; a scan passes through. The best measured.
    #[default]
    Frequency,
    /// The least recently used one goes.
    Lru,
    /// The one with the smallest use count goes, where old uses count for less.
    LfuTlru,
}

impl Policy {
    /// Every policy, the default first.
    pub const ALL: [Policy; 3] = [Policy::Frequency, Policy::Lru, Policy::LfuTlru];

    /// The name used in settings and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Frequency => "frequency",
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

/// Keys and values within a budget of bytes.
pub struct Index<K: Key, V: Value>(Kind<K, V>);

enum Kind<K: Key, V: Value> {
    Frequency(Frequency<K, V>),
    Lru(Mutex<Lru<K, V>>),
    LfuTlru(Mutex<LfuTlru<K, V>>),
}

impl<K: Key, V: Value> Index<K, V> {
    /// An empty index that holds values of `capacity` bytes, about `entries` of them. The number is
    /// what tables are sized by: an order of magnitude will do.
    pub fn new(policy: Policy, capacity: u64, entries: usize) -> Self {
        Index(match policy {
            Policy::Frequency => Kind::Frequency(Frequency::new(capacity, entries)),
            Policy::Lru => Kind::Lru(Mutex::new(Lru::new(capacity))),
            Policy::LfuTlru => Kind::LfuTlru(Mutex::new(LfuTlru::new(capacity, entries))),
        })
    }

    /// The value; counts as a use.
    pub fn get(&self, key: &K) -> Option<V> {
        match &self.0 {
            Kind::Frequency(index) => index.get(key),
            Kind::Lru(index) => index.lock().get(key),
            Kind::LfuTlru(index) => index.lock().get(key),
        }
    }

    /// The value; does not count as a use.
    pub fn peek(&self, key: &K) -> Option<V> {
        match &self.0 {
            Kind::Frequency(index) => index.peek(key),
            Kind::Lru(index) => index.lock().peek(key),
            Kind::LfuTlru(index) => index.lock().peek(key),
        }
    }

    /// Takes a value in, in place of an earlier one of the same key. Returns what had to go for it,
    /// which is the value itself when it is not admitted.
    pub fn insert(&self, key: K, value: V) -> Vec<(K, V)> {
        match &self.0 {
            Kind::Frequency(index) => index.insert(key, value),
            Kind::Lru(index) => index.lock().insert(key, value),
            Kind::LfuTlru(index) => index.lock().insert(key, value),
        }
    }

    /// Takes a value out.
    pub fn remove(&self, key: &K) -> Option<V> {
        match &self.0 {
            Kind::Frequency(index) => index.remove(key),
            Kind::Lru(index) => index.lock().remove(key),
            Kind::LfuTlru(index) => index.lock().remove(key),
        }
    }

    /// Takes everything out.
    pub fn clear(&self) {
        match &self.0 {
            Kind::Frequency(index) => index.clear(),
            Kind::Lru(index) => index.lock().clear(),
            Kind::LfuTlru(index) => index.lock().clear(),
        }
    }

    /// Changes the budget, in bytes. Returns what had to go.
    pub fn set_capacity(&self, capacity: u64) -> Vec<(K, V)> {
        match &self.0 {
            Kind::Frequency(index) => index.set_capacity(capacity),
            Kind::Lru(index) => index.lock().set_capacity(capacity),
            Kind::LfuTlru(index) => index.lock().set_capacity(capacity),
        }
    }

    /// Calls `f` with everything held, in no order. Entries that come or go meanwhile may be missed.
    pub fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        match &self.0 {
            Kind::Frequency(index) => index.for_each(&mut f),
            Kind::Lru(index) => index.lock().for_each(&mut f),
            Kind::LfuTlru(index) => index.lock().for_each(&mut f),
        }
    }

    /// Bytes held.
    pub fn weight(&self) -> u64 {
        match &self.0 {
            Kind::Frequency(index) => index.weight(),
            Kind::Lru(index) => index.lock().weight(),
            Kind::LfuTlru(index) => index.lock().weight(),
        }
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Frequency(index) => index.len(),
            Kind::Lru(index) => index.lock().len(),
            Kind::LfuTlru(index) => index.lock().len(),
        }
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
