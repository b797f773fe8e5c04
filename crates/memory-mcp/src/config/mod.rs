//! The settings: one validated [`Config`], and for each value where it came from.
//!
//! A flag wins over the environment, that over the file, that over the default. This is the only
//! place that reads the environment; everything below is handed what it needs.
//!
//! - `layers`: the four sources put on top of each other
//! - `spelling`: near matches for a misspelt name
//! - `storage`: the settings as the storage crates want them

mod layers;
mod spelling;
mod storage;

use std::path::{Path, PathBuf};

use memory_core::envelope::Codec;
use memory_core::episode::limits::MAX_NAME_BYTES;
use memory_core::error::excerpt;
use memory_storage::Synchronous;
use serde::{Deserialize, Serialize};

pub use layers::{Flags, Loaded, Setting, Surroundings, load};
pub use spelling::nearest;

/// The project of whatever is recorded without saying which.
pub const DEFAULT_PROJECT: &str = "default";

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "memory.db";

/// Every setting. The dotted path of a field is its name in the file, in `--set` and, in upper case
/// with `_` for `.` and behind `MEMORY_MCP_`, in the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Directory of the database file.
    pub data_dir: PathBuf,
    /// The project to read and write. Empty: [`DEFAULT_PROJECT`] for what is recorded and for an
    /// agent, every project for the commands that look.
    pub project: String,
    /// What is logged to stderr: a level, or directives such as `info,memory_storage=debug`.
    pub log: String,
    /// The durable store.
    pub database: Database,
    /// How episodes are encoded.
    pub payload: Payload,
    /// The cache in front of the database.
    pub cache: Cache,
}

/// Settings of the durable store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// `full`: a commit survives power loss. `normal`: it survives a crash of the process.
    pub synchronous: Synchronous,
    /// Connections for reads, kept open; so many reads run at a time.
    pub readers: usize,
    /// Prepared statements kept per connection.
    pub statement_cache: usize,
    /// Write batches that may wait before calls are refused.
    pub queue: usize,
    /// How long a write waits for other processes' writes.
    pub busy_timeout_ms: u64,
}

/// Settings of the payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// How new payloads are encoded, `messagepack` or `json`. Both stay readable.
    pub codec: Codec,
}

/// Settings of the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// Bytes of decoded episodes kept in memory; 0 turns the cache off.
    pub memory_bytes: u64,
    /// For how long a read may miss what another process wrote.
    pub max_staleness_ms: u64,
}

impl Config {
    /// The project that new episodes belong to and that an agent sees.
    pub fn write_project(&self) -> &str {
        if self.project.is_empty() { DEFAULT_PROJECT } else { &self.project }
    }

    /// Path of the database file.
    pub fn database_file(&self) -> PathBuf {
        self.data_dir.join(DATABASE_FILE)
    }

    /// The setting that breaks a rule, and what is wrong with it.
    fn validate(&self) -> Result<(), (String, String)> {
        if self.data_dir == Path::new("") {
            let problem = "is empty, and there is no home directory to put the data in";
            return Err(("data_dir".into(), problem.into()));
        }
        if self.project.len() > MAX_NAME_BYTES {
            let length = self.project.len();
            let problem = format!("is {length} bytes long, the limit is {MAX_NAME_BYTES}");
            return Err(("project".into(), problem));
        }
        if self.project.chars().any(char::is_control) {
            let shown = excerpt(&self.project);
            return Err(("project".into(), format!("\"{shown}\" contains a control character")));
        }
        self.validate_storage()
    }
}
