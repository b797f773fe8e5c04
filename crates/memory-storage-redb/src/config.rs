//! Settings of the cache.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use memory_core::Error;
use memory_core::error::excerpt;

use crate::index::Policy;

/// Settings of the cache.
#[derive(Debug, Clone)]
pub struct CacheConfig {
    /// Bytes of memory for decoded episodes, query results and the pages of the cache file together;
    /// 0 turns the cache off.
    pub memory_bytes: u64,
    /// Bytes of disk for the cache file, in allocated pages. A start reads the file through: 5 ms a
    /// MB.
    pub disk_bytes: u64,
    /// Whether there is a cache file.
    pub redb: RedbMode,
    /// Which entries make room for others.
    pub policy: Policy,
    /// How long entries count as current when nothing was heard of the database.
    pub ttl: Ttl,
    /// How old what a read returns may be when another process has written; caps every other bound.
    pub max_staleness: Duration,
    /// Keep results of queries, until something is known to have changed.
    pub query_results: bool,
    /// Where the cache file is; created when absent. `None`: no cache file, whatever `redb` says.
    pub dir: Option<PathBuf>,
}

impl Default for CacheConfig {
    fn default() -> Self {
        CacheConfig {
            memory_bytes: 64 << 20,
            disk_bytes: 128 << 20,
            redb: RedbMode::Auto,
            policy: Policy::default(),
            ttl: Ttl::ByState,
            max_staleness: Duration::from_secs(3600),
            query_results: true,
            dir: None,
        }
    }
}

impl CacheConfig {
    /// True when a cache file is wanted in front of a database that is on another machine, or not.
    pub fn wants_file(&self, remote: bool) -> bool {
        let on = match self.redb {
            RedbMode::Auto => remote,
            RedbMode::On => true,
            RedbMode::Off => false,
        };
        on && self.memory_bytes > 0 && self.disk_bytes > 0
    }
}

/// Whether there is a cache file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RedbMode {
    /// In front of a remote database; in front of a local file it does not pay.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl RedbMode {
    /// The name used in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            RedbMode::Auto => "auto",
            RedbMode::On => "on",
            RedbMode::Off => "off",
        }
    }
}

impl FromStr for RedbMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [RedbMode::Auto, RedbMode::On, RedbMode::Off];
        all.into_iter().find(|m| m.as_str() == text).ok_or_else(|| {
            let problem = format!("\"{}\" is none of auto, on, off", excerpt(text));
            Error::invalid("cache.redb", problem)
        })
    }
}

/// How long entries count as current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ttl {
    /// By how likely the episode is to change: see [`Ttl::budget`].
    #[default]
    ByState,
    /// All the same.
    Fixed(Duration),
}

/// What an entry holds, as far as it matters for how soon it may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A completed episode.
    Completed,
    /// A running one.
    Running,
    /// Nothing: there is no such episode.
    Absent,
    /// The result of a query.
    Query,
}

impl State {
    fn base(self) -> Duration {
        match self {
            // Only feedback, archiving and forgetting touch it.
            State::Completed => Duration::from_secs(3600),
            State::Running => Duration::from_secs(1),
            State::Absent | State::Query => Duration::from_secs(5),
        }
    }
}

/// An entry's budget lies between its state's base divided by this and multiplied by this.
const ADAPT: u32 = 4;

impl Ttl {
    /// How long an entry counts as current after the database was last heard of. By state, it
    /// follows the entry's own history: half of the time for which it was seen not to change,
    /// between a quarter of the state's base and four times it. One that changes is fetched anew and
    /// starts at a quarter.
    pub fn budget(self, state: State, unchanged_for: Duration) -> Duration {
        match self {
            Ttl::Fixed(budget) => budget,
            Ttl::ByState => {
                let base = state.base();
                (unchanged_for / 2).clamp(base / ADAPT, base * ADAPT)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_grows_while_nothing_changes_and_stays_between_its_bounds() {
        let seconds = |s| Duration::from_secs(s);
        let running = |unchanged| Ttl::ByState.budget(State::Running, unchanged);
        assert_eq!(running(seconds(0)), Duration::from_millis(250));
        assert_eq!(running(seconds(3)), Duration::from_millis(1500));
        assert_eq!(running(seconds(1_000)), seconds(4));
        assert_eq!(Ttl::ByState.budget(State::Completed, seconds(0)), seconds(900));
        assert_eq!(Ttl::Fixed(seconds(7)).budget(State::Running, seconds(1_000)), seconds(7));
    }
}
