//! Settings of a store on a local file.

use std::path::PathBuf;
use std::time::Duration;

use memory_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::payload::PayloadConfig;
use crate::read::search;
use crate::schema::Upgrade;

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// Power loss: every commit is synced to the disk.
    #[default]
    Full,
    /// A crash of the process; a power loss may take the last commits, never the file's consistency.
    Normal,
}

/// Settings of a [`TursoStore`](crate::TursoStore) on a local file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TursoConfig {
    /// The database file; created with its directory when absent.
    pub path: PathBuf,
    /// What a commit survives.
    pub synchronous: Synchronous,
    /// Connections for reads, kept open; so many reads run at a time.
    pub readers: usize,
    /// Prepared statements kept per connection; 0 keeps none.
    pub statement_cache: usize,
    /// Write batches that may wait; beyond it calls are refused early with
    /// [`Error::Overloaded`].
    pub queue: usize,
    /// Writes that wait are committed together, so many batches at most in one commit; 1 commits each
    /// by itself.
    pub max_group: usize,
    /// Parts of one large call that are worked on side by side; 1 does one after the other.
    pub parallel_chunks: usize,
    /// How many matches a search weighs, about. With more, common words give way to rare ones.
    pub weighed_matches: usize,
    /// How long a write waits for other processes' writes before it gives up.
    pub busy_timeout: Duration,
    /// How new payloads are written.
    pub payload: PayloadConfig,
    /// What becomes of a file with an older schema.
    pub upgrade: Upgrade,
}

impl Default for TursoConfig {
    fn default() -> Self {
        TursoConfig {
            path: PathBuf::from("memory.db"),
            synchronous: Synchronous::Full,
            readers: 4,
            statement_cache: 64,
            queue: 10_000,
            max_group: 512,
            parallel_chunks: 4,
            weighed_matches: search::WEIGHED,
            busy_timeout: Duration::from_secs(30),
            payload: PayloadConfig::default(),
            upgrade: Upgrade::Auto,
        }
    }
}

impl TursoConfig {
    /// The defaults, on this file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        TursoConfig { path: path.into(), ..TursoConfig::default() }
    }

    /// Checks every setting. The error names the setting and its range.
    pub fn validate(&self) -> Result<()> {
        let within = |name: &str, value: usize, min: usize, max: usize| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(Error::invalid(name, format!("is {value}; choose {min} to {max}")))
            }
        };
        within("readers", self.readers, 1, 256)?;
        within("statement_cache", self.statement_cache, 0, 10_000)?;
        within("queue", self.queue, 1, 1_000_000)?;
        within("max_group", self.max_group, 1, 10_000)?;
        within("parallel_chunks", self.parallel_chunks, 1, 64)?;
        within("weighed_matches", self.weighed_matches, 1, i32::MAX as usize)?;
        if self.path.file_name().is_none() {
            let problem = format!("{} names no file", self.path.display());
            return Err(Error::invalid("path", problem));
        }
        Ok(())
    }
}
