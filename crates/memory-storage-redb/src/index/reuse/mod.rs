//! The default policy: what is likely to be asked for again soon, for its size, stays.
//!
//! Nothing is assumed about how episodes are used. Every read of a known key says after how many other
//! reads a key of its class was asked for again; from that follows what an entry of a class and an age
//! is worth (see [`Learned`]). The entry of the least worth for its bytes goes, found among a sample.
//! Keys that went are remembered for a while as ghosts, so that what came back too late counts as well.
//!
//! Before anything is learned all classes are alike and worth less with age: the least recently used
//! goes.

mod learned;

use std::collections::{HashMap, VecDeque};
use std::mem;

use foldhash::fast::RandomState;

use super::{Evict, Key, Value};
use learned::{Learned, Past};

/// Entries looked at for a victim: 32 would cost a quarter of a point of hit rate, 128 win a tenth.
const SAMPLE: usize = 64;

/// Ghosts per entry held. More tell of reads that no cache of this size could have answered.
const GHOSTS: usize = 2;

/// However few entries are held, this many ghosts: they are what is learned from.
const MIN_GHOSTS: usize = 32;

pub(super) struct Reuse<K, V> {
    held: Vec<Entry<K, V>>,
    known: HashMap<K, Known, RandomState>,
    /// In the order in which they went, with the read that was their last: a key that came back and
    /// went again is in it twice.
    ghosts: VecDeque<(K, u64)>,
    learned: Learned,
    random: u64,
    /// Reads so far.
    now: u64,
    weight: u64,
    capacity: u64,
}

struct Entry<K, V> {
    key: K,
    value: V,
    past: Past,
}

#[derive(Clone, Copy)]
enum Known {
    /// Its place among the entries.
    Held(usize),
    Ghost(Past),
}

impl<K: Key, V: Value> Reuse<K, V> {
    pub(super) fn new(capacity: u64) -> Self {
        Reuse {
            held: Vec::new(),
            known: HashMap::default(),
            ghosts: VecDeque::new(),
            learned: Learned::default(),
            random: 0,
            now: 0,
            weight: 0,
            capacity,
        }
    }

    fn place(&self, key: &K) -> Option<usize> {
        match self.known.get(key) {
            Some(Known::Held(place)) => Some(*place),
            _ => None,
        }
    }

    /// Takes out what is over the budget, but never the entry at `spared`.
    fn shrink(&mut self, mut spared: Option<usize>) -> Vec<(K, V)> {
        let mut victims = Vec::new();
        while self.weight > self.capacity {
            let Some(place) = self.victim(spared) else { break };
            // The last entry moves to the place that becomes free.
            if spared == Some(self.held.len() - 1) {
                spared = Some(place);
            }
            victims.extend(self.take(place).map(|entry| (entry.key, entry.value)));
        }
        self.forget_ghosts();
        victims
    }

    /// The place of the entry of the least worth among a sample; among equals, of the oldest.
    fn victim(&mut self, spared: Option<usize>) -> Option<usize> {
        let all = self.held.len();
        // Only here is it needed: reads of a cache that is not full do not pay for it.
        self.learned.learn_if_due(self.now, all);
        let mut worst: Option<(f64, u64, usize)> = None;
        for n in 0..SAMPLE.min(all) {
            let place = if all <= SAMPLE { n } else { self.draw(all) };
            let Some(entry) = self.held.get(place).filter(|_| spared != Some(place)) else {
                continue;
            };
            let worth = self.learned.worth(&entry.past, self.now, all);
            let candidate = (worth / entry.value.weight() as f64, entry.past.last, place);
            let (density, last, _) = candidate;
            if worst.is_none_or(|w| density < w.0 || density == w.0 && last < w.1) {
                worst = Some(candidate);
            }
        }
        worst.map(|(_, _, place)| place)
    }

    /// Makes an entry a ghost.
    fn take(&mut self, place: usize) -> Option<Entry<K, V>> {
        let entry = (place < self.held.len()).then(|| self.held.swap_remove(place))?;
        if let Some(moved) = self.held.get(place) {
            self.known.insert(moved.key.clone(), Known::Held(place));
        }
        self.weight -= entry.value.weight();
        self.known.insert(entry.key.clone(), Known::Ghost(entry.past));
        self.ghosts.push_back((entry.key.clone(), entry.past.last));
        Some(entry)
    }

    fn forget_ghosts(&mut self) {
        let remembered = (self.held.len() * GHOSTS).max(MIN_GHOSTS);
        while self.ghosts.len() > remembered {
            let Some((key, last)) = self.ghosts.pop_front() else { return };
            if let Some(Known::Ghost(past)) = self.known.get(&key)
                && past.last == last
            {
                self.learned.never_again(past, self.now, self.held.len());
                self.known.remove(&key);
            }
        }
    }

    /// A number below `bound`, by a linear congruential generator (Knuth's constants): which entries
    /// are looked at is nobody's secret, and the same from run to run.
    fn draw(&mut self, bound: usize) -> usize {
        self.random = self.random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (((self.random >> 32) * bound as u64) >> 32) as usize
    }
}

impl<K: Key, V: Value> Evict<K, V> for Reuse<K, V> {
    /// A read that is not answered is counted by the insert that follows it.
    fn get(&mut self, key: &K) -> Option<V> {
        let place = self.place(key)?;
        self.now += 1;
        let (now, held) = (self.now, self.held.len());
        let entry = self.held.get_mut(place)?;
        self.learned.used_again(&mut entry.past, now, held);
        Some(entry.value.clone())
    }

    fn peek(&self, key: &K) -> Option<V> {
        self.held.get(self.place(key)?).map(|entry| entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V) -> Vec<(K, V)> {
        // One that can never fit must not drive everything else out first.
        if value.weight() > self.capacity {
            let earlier = self.remove(&key).map(|earlier| (key.clone(), earlier));
            return earlier.into_iter().chain([(key, value)]).collect();
        }
        self.weight += value.weight();
        if let Some(place) = self.place(&key)
            && let Some(entry) = self.held.get_mut(place)
        {
            let earlier = mem::replace(&mut entry.value, value);
            self.weight -= earlier.weight();
            return self.shrink(Some(place));
        }
        self.now += 1;
        let place = self.held.len();
        let mut past = Past::first(self.now);
        if let Some(Known::Ghost(known)) = self.known.insert(key.clone(), Known::Held(place)) {
            past = known;
            self.learned.used_again(&mut past, self.now, place);
        }
        self.held.push(Entry { key, value, past });
        self.shrink(Some(place))
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.take(self.place(key)?)?;
        self.forget_ghosts();
        Some(entry.value)
    }

    fn clear(&mut self) {
        self.held = Vec::new();
        self.known = HashMap::default();
        self.ghosts = VecDeque::new();
        self.weight = 0;
    }

    fn set_capacity(&mut self, capacity: u64) -> Vec<(K, V)> {
        self.capacity = capacity;
        let victims = self.shrink(None);
        self.held.shrink_to(self.held.len() * 2);
        self.known.shrink_to(self.known.len() * 2);
        self.ghosts.shrink_to(self.ghosts.len() * 2);
        victims
    }

    fn value_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key)?;
        self.held.get_mut(place).map(|entry| &mut entry.value)
    }

    fn for_each(&self, f: &mut dyn FnMut(&K, &V)) {
        self.held.iter().for_each(|entry| f(&entry.key, &entry.value));
    }

    fn weight(&self) -> u64 {
        self.weight
    }

    fn len(&self) -> usize {
        self.held.len()
    }
}
