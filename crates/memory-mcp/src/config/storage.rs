//! The settings as the storage crates want them.

use std::path::PathBuf;
use std::time::Duration;

use memory_core::Error;
use memory_storage::{CacheConfig, HybridConfig, TursoConfig};

use super::{Cache, Config, Database, Payload};

impl Config {
    /// Every default, on the data directory of this machine.
    pub fn defaults(data_dir: PathBuf) -> Self {
        let HybridConfig { turso, cache } = HybridConfig::default();
        Config {
            data_dir,
            project: String::new(),
            log: "warn".into(),
            database: Database {
                synchronous: turso.synchronous,
                readers: turso.readers,
                statement_cache: turso.statement_cache,
                queue: turso.queue,
                busy_timeout_ms: milliseconds(turso.busy_timeout),
            },
            payload: Payload { codec: turso.codec },
            cache: Cache {
                memory_bytes: cache.memory_bytes,
                max_staleness_ms: milliseconds(cache.max_staleness),
            },
        }
    }

    /// What the storage is opened with.
    pub fn storage(&self) -> HybridConfig {
        let Database { synchronous, readers, statement_cache, queue, busy_timeout_ms } =
            self.database;
        HybridConfig {
            turso: TursoConfig {
                path: self.database_file(),
                synchronous,
                readers,
                statement_cache,
                queue,
                busy_timeout: Duration::from_millis(busy_timeout_ms),
                codec: self.payload.codec,
            },
            cache: CacheConfig {
                memory_bytes: self.cache.memory_bytes,
                max_staleness: Duration::from_millis(self.cache.max_staleness_ms),
            },
        }
    }

    /// The storage knows its own ranges; the names it uses are the last part of ours.
    pub(super) fn validate_storage(&self) -> Result<(), (String, String)> {
        match self.storage().turso.validate() {
            Err(Error::Invalid { field, problem }) if field == "path" => {
                Err(("data_dir".into(), problem))
            }
            Err(Error::Invalid { field, problem }) => Err((format!("database.{field}"), problem)),
            Err(other) => Err(("database".into(), other.to_string())),
            Ok(()) => Ok(()),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
