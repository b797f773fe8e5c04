//! What a store tells of how much happened when.

use serde::Serialize;

use super::Scope;
use crate::clock::Timestamp;

/// See [`super::EpisodeStore::activity`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityQuery {
    /// Whose.
    pub scope: Scope,
    /// From when on.
    pub since: Timestamp,
    /// Microseconds of one period; more than 0. Periods are counted from the Unix epoch.
    pub period_us: i64,
}

/// What happened over time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Activity {
    /// The projects within the scope that have episodes, by name; a thousand at most.
    pub projects: Vec<String>,
    /// Episodes by the period they began in, in its order, and by state; what has none is left out.
    pub periods: Vec<Period>,
}

/// Episodes of one state that began in one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Period {
    /// When the period begins.
    pub start: Timestamp,
    /// `running`, or an outcome's name.
    pub state: String,
    /// How many.
    pub episodes: u64,
}

/// See [`super::EpisodeStore::task_types`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskType {
    /// Its name; empty for episodes that have none.
    pub name: String,
    /// Its episodes, running ones too.
    pub episodes: u64,
    /// Those of them that went well.
    pub successes: u64,
}
