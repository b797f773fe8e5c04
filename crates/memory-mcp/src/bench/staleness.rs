//! What keeps cached episodes from growing old, and what it costs: staleness by state with the change
//! feed, a fixed TTL, and a TTL that grows with use, each held to the same bound.
//!
//! In virtual time, from a seed, with the cache's own entries and budgets; no I/O, so the table is the
//! same on every machine. All writes are somebody else's. The database is far away: a round trip is
//! what a read costs that is no hit.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use memory_core::store::{Change, Changes, Watermark};
use memory_core::{Episode, EpisodeId, Outcome, OutcomeKind, Timestamp};
use memory_storage_redb::{Cache, CacheConfig, RedbMode, Ttl};
use memory_testkit::generate::Random;
use memory_testkit::trace::{Trace, synthetic};
use serde::{Serialize, Serializer};

/// Reads of a trace.
const READS: usize = 20_000;

/// How old what a read returns may be.
const BOUNDS: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(60), Duration::from_secs(600)];

/// Mean time between two reads of an agent at work, and how long it rests now and then.
const GAP: f64 = 0.4;
const REST: Duration = Duration::from_secs(240);

/// How long an episode is worked on, when it is.
const LIFE: Duration = Duration::from_secs(300);

/// How staleness is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The program: by the budget of its setting, and exactly by the feed.
    Feed(Ttl),
    /// Every entry lives as long as the bound allows.
    FixedTtl,
    /// The more often it is used, the longer an entry lives, up to the bound.
    HotLivesLonger,
}

impl Way {
    const ALL: [Way; 3] = [Way::Feed(Ttl::ByState), Way::FixedTtl, Way::HotLivesLonger];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Feed(Ttl::ByState) => "state + feed",
            Way::Feed(Ttl::Fixed(_)) => "fixed TTL + feed",
            Way::FixedTtl => "fixed TTL",
            Way::HotLivesLonger => "hot lives longer",
        })
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One line of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    trace: &'static str,
    bound_s: u64,
    pub(crate) way: Way,
    /// Reads that waited for no round trip.
    pub(crate) hit_percent: f64,
    pub(crate) round_trips_per_1000_reads: f64,
    /// Reads that returned an earlier version than the database had.
    pub(crate) stale_percent: f64,
    oldest_s: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {} | {} s | {} | {:.1} % | {:.0} | {:.2} % | {:.0} s |",
            self.trace,
            self.bound_s,
            self.way,
            self.hit_percent,
            self.round_trips_per_1000_reads,
            self.stale_percent,
            self.oldest_s
        )
    }
}

/// The head of the table that the rows make.
pub const HEAD: &str = "\
| trace | bound | staleness by | hits | round trips per 1,000 reads | stale reads | oldest |
|---|---|---|---|---|---|---|";

/// One trace with one bound.
pub(crate) fn agent_sessions(bound: Duration, way: Way) -> Row {
    let trace = synthetic::agent_sessions(7, READS);
    World::of(&trace).row(trace.name, bound, way)
}

/// Every trace with every bound, in every way.
pub fn table() -> Vec<Row> {
    let traces = [
        synthetic::agent_sessions(7, READS),
        synthetic::agent_fresh_work(7, READS),
        synthetic::agent_projects(7, READS),
    ];
    let mut rows = Vec::new();
    for trace in &traces {
        let world = World::of(trace);
        for bound in BOUNDS {
            for way in Way::ALL {
                rows.push(world.row(trace.name, bound, way));
            }
        }
    }
    rows
}

/// Reads and changes in time.
struct World {
    reads: Vec<(Duration, u64)>,
    /// When each episode changed.
    changed: HashMap<u64, Vec<Duration>>,
    /// When an episode that is worked on is completed.
    completed: HashMap<u64, Duration>,
    /// All changes in order.
    feed: Vec<(Duration, u64)>,
}

impl World {
    fn of(trace: &Trace) -> Self {
        let mut random = Random::new(11);
        let mut world = World {
            reads: Vec::new(),
            changed: HashMap::new(),
            completed: HashMap::new(),
            feed: Vec::new(),
        };
        let mut now = Duration::from_secs(1);
        for (place, key) in trace.keys.iter().enumerate() {
            now += Duration::from_secs_f64(-(1.0 - unit(&mut random)).ln() * GAP);
            if place % 400 == 399 {
                now += REST;
            }
            world.reads.push((now, *key));
            if !world.changed.contains_key(key) {
                world.live(*key, now, &mut random);
            }
        }
        let each = world.changed.iter().flat_map(|(key, at)| at.iter().map(|at| (*at, *key)));
        world.feed = each.collect();
        world.feed.sort_unstable();
        world
    }

    /// One episode in five is worked on when it is first read: a step every few seconds. Of the
    /// others, some are changed once, hours later.
    fn live(&mut self, key: u64, born: Duration, random: &mut Random) {
        let mut changes = Vec::new();
        if random.below(5) == 0 {
            let every = Duration::from_secs(2 + random.below(18) as u64);
            let mut at = born + every;
            while at < born + LIFE {
                changes.push(at);
                at += every;
            }
            self.completed.insert(key, at);
            changes.push(at);
        } else if random.below(5) == 0 {
            changes.push(born + Duration::from_secs(600 + random.below(7_200) as u64));
        }
        self.changed.insert(key, changes);
    }

    fn version(&self, key: u64, now: Duration) -> u64 {
        let changes = self.changed.get(&key).map_or(&[][..], Vec::as_slice);
        1 + changes.partition_point(|at| *at <= now) as u64
    }

    /// How long ago the version after this one was written.
    fn age(&self, key: u64, version: u64, now: Duration) -> Duration {
        let next = usize::try_from(version).unwrap_or(usize::MAX) - 1;
        let at = self.changed.get(&key).and_then(|changes| changes.get(next));
        at.map_or(Duration::ZERO, |at| now.saturating_sub(*at))
    }

    fn episode(&self, key: u64, now: Duration) -> std::sync::Arc<Episode> {
        let mut episode = Episode::start(id(key), "bench", "task", Timestamp(0));
        episode.version = self.version(key, now);
        if self.completed.get(&key).is_none_or(|at| *at <= now) {
            episode.outcome = Some(Outcome::new(OutcomeKind::Success, ""));
        }
        std::sync::Arc::new(episode)
    }

    fn row(&self, trace: &'static str, bound: Duration, way: Way) -> Row {
        let mut tally = Tally::default();
        match way {
            Way::Feed(ttl) => Reader::new(self, bound, ttl).read_all(&mut tally),
            Way::FixedTtl => self.by_ttl(&mut tally, |_| bound),
            Way::HotLivesLonger => self.by_ttl(&mut tally, |uses| {
                (bound / 4).mul_f64(1.0 + f64::from(uses).ln_1p()).min(bound)
            }),
        }
        let reads = self.reads.len() as f64;
        Row {
            trace,
            bound_s: bound.as_secs(),
            way,
            hit_percent: tally.hits as f64 * 100.0 / reads,
            round_trips_per_1000_reads: tally.round_trips as f64 * 1000.0 / reads,
            stale_percent: tally.stale as f64 * 100.0 / reads,
            oldest_s: tally.oldest.as_secs_f64(),
        }
    }

    fn by_ttl(&self, tally: &mut Tally, ttl: impl Fn(u32) -> Duration) {
        let mut held: HashMap<u64, (u64, Duration, u32)> = HashMap::new();
        for (now, key) in &self.reads {
            let entry = held.entry(*key).or_insert((0, Duration::ZERO, 0));
            let (version, fetched, uses) = entry;
            *uses += 1;
            if *version > 0 && *now - *fetched < ttl(*uses) {
                tally.hit(self.age(*key, *version, *now));
            } else {
                tally.round_trips += 1;
                (*version, *fetched) = (self.version(*key, *now), *now);
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    hits: u64,
    round_trips: u64,
    stale: u64,
    oldest: Duration,
}

impl Tally {
    fn hit(&mut self, age: Duration) {
        self.hits += 1;
        self.served(age);
    }

    fn served(&mut self, age: Duration) {
        self.stale += u64::from(age > Duration::ZERO);
        self.oldest = self.oldest.max(age);
    }
}

/// The cache as the storage uses it.
struct Reader<'a> {
    world: &'a World,
    cache: Cache,
    bound: Duration,
    ttl: Ttl,
    start: Instant,
    /// When the feed was last read, and how far.
    confirmed: Option<Duration>,
    told: usize,
}

impl<'a> Reader<'a> {
    fn new(world: &'a World, bound: Duration, ttl: Ttl) -> Self {
        let memory_bytes = 1 << 30;
        let config = CacheConfig { memory_bytes, redb: RedbMode::Off, ..CacheConfig::default() };
        let cache = Cache::open(&config, true);
        Reader { world, cache, bound, ttl, start: Instant::now(), confirmed: None, told: 0 }
    }

    fn read_all(&mut self, tally: &mut Tally) {
        for (now, key) in &self.world.reads {
            self.read(*now, *key, tally);
        }
    }

    fn read(&mut self, now: Duration, key: u64, tally: &mut Tally) {
        let Some(entry) = self.cache.get(&id(key)) else { return self.fetch(now, key, tally) };
        let confirmed = self.confirmed.map(|at| self.start + at);
        let current_at = entry.current_at(confirmed).unwrap_or(self.start);
        let budget = entry.budget(self.ttl, current_at).min(self.bound);
        let age = (self.start + now).saturating_duration_since(current_at);
        if age < budget {
            tally.hit(self.world.age(key, entry.version(), now));
            if age > budget / 2 {
                // In the background.
                tally.round_trips += 1;
                self.read_feed(now);
            }
            return;
        }
        tally.round_trips += 1;
        self.read_feed(now);
        match self.cache.peek(&id(key)) {
            Some(entry) => tally.served(self.world.age(key, entry.version(), now)),
            None => self.fetch(now, key, tally),
        }
    }

    /// The feed rides along.
    fn fetch(&mut self, now: Duration, key: u64, tally: &mut Tally) {
        tally.round_trips += 1;
        self.read_feed(now);
        let mark = self.cache.mark(self.start + now);
        self.cache.fill(mark, id(key), Some(&self.world.episode(key, now)));
    }

    fn read_feed(&mut self, now: Duration) {
        let mut entries = Vec::new();
        while let Some((_, key)) = self.world.feed.get(self.told).filter(|(at, _)| *at <= now) {
            self.told += 1;
            let version = Some(self.world.version(*key, now));
            entries.push(Change { seq: self.told as u64, id: id(*key), version });
        }
        let watermark = Watermark { database: [1; 16], seq: self.told as u64, write_id: None };
        self.cache.apply(&Changes { entries, watermark, jumped: false }, false);
        self.confirmed = Some(now);
    }
}

fn id(key: u64) -> EpisodeId {
    EpisodeId::derive(&[&key.to_le_bytes()])
}

fn unit(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_is_over_its_bound_and_the_default_has_most_hits() {
        let rows = table();
        println!("{HEAD}");
        rows.iter().for_each(|row| println!("{row}"));
        for ways in rows.chunks(3) {
            let best = ways.iter().map(|row| row.hit_percent).fold(0.0, f64::max);
            let default = ways.first().unwrap();
            assert_eq!(default.way, Way::Feed(Ttl::ByState));
            assert!(default.hit_percent >= best, "{default}");
            assert!(ways.iter().all(|row| row.oldest_s <= row.bound_s as f64));
        }
    }
}
