//! The settings: one validated [`Config`], and for each value where it came from.
//!
//! A flag wins over the environment, that over the file, that over the default. This is the only
//! place that reads the environment; everything below is handed what it needs.
//!
//! - `layers`: the four sources put on top of each other
//! - `place`: where a database is, as users write it
//! - `secret`: values that are never shown
//! - `spelling`: near matches for a misspelt name
//! - `storage`: the settings as the storage crates want them

mod layers;
mod place;
mod secret;
mod spelling;
mod storage;

use std::path::{Path, PathBuf};

use memory_core::episode::limits::MAX_NAME_BYTES;
use memory_core::error::excerpt;
use memory_storage::WhenOffline;
use memory_storage_turso::{PayloadConfig, Synchronous, Upgrade};
use serde::{Deserialize, Serialize};

use crate::http::Allowed;

pub use layers::{Flags, HOOKS_VARIABLE, Loaded, Setting, Surroundings, load, search_path};
pub use place::Place;
pub use secret::AuthToken;
pub use spelling::nearest;

/// Where programs are looked for.
pub(crate) fn executable_dirs() -> Vec<PathBuf> {
    let path = std::env::vars_os().find(|(name, _)| name == "PATH");
    path.map(|(_, dirs)| std::env::split_paths(&dirs).collect()).unwrap_or_default()
}

/// The project of whatever is recorded without saying which.
pub const DEFAULT_PROJECT: &str = "default";

/// Name of the database file in the data directory.
pub const DATABASE_FILE: &str = "memory.db";

/// Name of the file of tokens in the data directory.
const TOKEN_FILE: &str = "tokens.json";

/// Every setting. The dotted path of a field is its name in the file, in `--set` and, in upper case
/// with `_` for `.` and behind `MEMORY_MCP_`, in the environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Directory of what is kept on this machine: the database file, unless `database.url` names
    /// another database.
    pub data_dir: PathBuf,
    /// The project to read and write. Empty: [`DEFAULT_PROJECT`] for what is recorded and for an
    /// agent, every project for the commands that look.
    pub project: String,
    /// What is logged to stderr: a level, or directives such as `info,memory_storage=debug`.
    pub log: String,
    /// How it is written: `text`, or `json` with an object a line.
    pub log_format: LogFormat,
    /// The durable store.
    pub database: Database,
    /// What matters when it is on a server.
    pub remote: Remote,
    /// Writes on their way to a server.
    pub writes: Writes,
    /// How episodes are encoded and compressed.
    pub payload: PayloadConfig,
    /// The cache in front of the database.
    pub cache: Cache,
    /// The HTTP server.
    pub http: Http,
    /// Metrics to an OpenTelemetry collector.
    pub otel: Otel,
    /// What clients' hooks record and are told.
    pub hooks: Hooks,
    /// Recall by meaning.
    pub embeddings: Embeddings,
    /// What becomes of old episodes.
    pub retention: Retention,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Settings of the durable store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// A server (`libsql://`, `https://`, `http://`) or a file. Empty: [`DATABASE_FILE`] in the data
    /// directory.
    pub url: String,
    /// The token a server asks for.
    pub auth_token: AuthToken,
    /// A file that holds the token; may be replaced while the program runs.
    pub auth_token_file: PathBuf,
    /// `full`: a commit survives power loss. `normal`: it survives a crash of the process.
    pub synchronous: Synchronous,
    /// Connections for reads, kept open; so many reads run at a time.
    pub readers: usize,
    /// Prepared statements kept per connection; 0 keeps none.
    pub statement_cache: usize,
    /// Write batches that may wait before calls are refused.
    pub queue: usize,
    /// Waiting writes put into one commit, at most.
    pub max_group: usize,
    /// Parts of one large call that are worked on side by side.
    pub parallel_chunks: usize,
    /// How many matches a search weighs, about; beyond it common words give way to rare ones.
    pub weighed_matches: usize,
    /// How long a write waits for other processes' writes.
    pub busy_timeout_ms: u64,
    /// What becomes of a database with an older schema when it is opened: `auto` or `manual`.
    pub upgrade: Upgrade,
}

/// Settings of the connection to a server. A name without a unit means what it says in
/// [`RemoteConfig`](memory_storage_turso::RemoteConfig).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remote {
    /// A PEM file of certificate authorities to trust in place of the system's.
    pub ca_file: PathBuf,
    /// Let the server compress its answers.
    pub compression: bool,
    /// How long opening a connection may take.
    pub connect_timeout_ms: u64,
    /// How long one request may take.
    pub request_timeout_ms: u64,
    /// How long an operation may take, waiting and retries included.
    pub deadline_ms: u64,
    /// How long an idle connection is kept.
    pub idle_timeout_ms: u64,
    /// Connections opened at the start and kept open while there are calls.
    pub warm_connections: usize,
    /// Reads under way at a time: the lower bound of the adaptive limit.
    pub min_concurrency: usize,
    /// The upper bound.
    pub max_concurrency: usize,
    /// Calls that may wait before others are refused.
    pub queue: usize,
    /// Waiting writes sent in one request, at most.
    pub max_group: usize,
    /// Send all statements of an operation in one request.
    pub pipeline: bool,
    /// The largest answer accepted.
    pub max_response_bytes: usize,
    /// The longest first pause before a retry; it doubles with every try.
    pub retry_base_ms: u64,
    /// The longest pause of all.
    pub retry_cap_ms: u64,
    /// Pause a random part of that.
    pub retry_jitter: bool,
    /// Retries per request, on average; 0 turns them off.
    pub retry_budget: f64,
    /// Failures in a row after which the server is left alone for a while.
    pub breaker_failures: u32,
    /// For how long, at first.
    pub breaker_open_for_ms: u64,
}

/// Settings of writes on their way to a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Writes {
    /// What becomes of writes while the server cannot be reached: `refuse` or `queue`.
    pub when_offline: WhenOffline,
    /// How long logged steps may stay on this machine before they are sent.
    pub flush_after_ms: u64,
    /// Writes that may wait on this machine.
    pub max_entries: u64,
    /// Bytes of writes that may wait on this machine.
    pub max_bytes: u64,
}

/// Settings of the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cache {
    /// Bytes of memory for the cache; 0 turns it off.
    pub memory_bytes: u64,
    /// Bytes of disk for the cache file.
    pub disk_bytes: u64,
    /// Whether there is a cache file: `auto` (in front of a server), `on` or `off`.
    pub redb: String,
    /// Which entries make room for others: `reuse`, `lru` or `lfu_tlru`.
    pub policy: String,
    /// How long entries count as current when nothing was heard of the database; 0: by the state of
    /// the episode.
    pub ttl_ms: u64,
    /// For how long, at most, a read may miss what another process wrote.
    pub max_staleness_ms: u64,
    /// Keep results of queries until something is known to have changed.
    pub query_results: bool,
}

/// Settings of the hooks of clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hooks {
    /// False: nothing is recorded.
    pub enabled: bool,
    /// Tokens of what a session is told when it begins, and with its first prompt; 0: nothing.
    pub context_tokens: usize,
    /// How long a hook waits for the database, at most.
    pub deadline_ms: u64,
}

/// Settings of the HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// Names besides loopback by which clients may call this server, with commas between them.
    pub allowed_hosts: String,
    /// Origins besides this server's own whose pages may call it, with commas between them.
    pub allowed_origins: String,
    /// Connections open at a time.
    pub max_connections: usize,
    /// Requests answered at a time.
    pub max_requests: usize,
    /// Requests a second of one token, on average; 0: no limit.
    pub requests_per_second: u32,
    /// Whether `/metrics` asks for a token like everything else.
    pub metrics_need_token: bool,
}

/// Settings of the export to an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Otel {
    /// The collector's base URL for OTLP over HTTP, `http://127.0.0.1:4318`. Empty: none.
    pub endpoint: String,
    /// Time between two exports.
    pub interval_ms: u64,
}

impl Otel {
    fn validate(&self) -> Result<(), (String, String)> {
        let url = self.endpoint.as_str();
        let known = url.is_empty() || url.starts_with("http://") || url.starts_with("https://");
        if !known || url.contains('@') {
            let problem = format!(
                "is \"{}\"; write it as http://host:4318, without a password",
                excerpt(url.split('@').next_back().unwrap_or_default())
            );
            return Err(("otel.endpoint".into(), problem));
        }
        if self.interval_ms == 0 {
            let problem = "is 0; give the milliseconds between two exports";
            return Err(("otel.interval_ms".into(), problem.into()));
        }
        Ok(())
    }
}

/// Settings of recall by meaning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// Base of an endpoint that makes embeddings as OpenAI's does. Empty: recall goes by words alone.
    pub url: String,
    /// The model it is asked for.
    pub model: String,
    /// The key it asks for.
    pub api_key: AuthToken,
    /// A file that holds the key; may be replaced while the program runs.
    pub api_key_file: PathBuf,
}

/// Settings of consolidation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// Days after its end when consolidation archives an episode; 0: never.
    pub archive_after_days: u32,
    /// A server in whose database nothing was written for so long consolidates by itself; 0: never.
    pub consolidate_after_idle_ms: u64,
}

impl Http {
    /// Which hosts and origins may call. The error names the setting and says what is wrong.
    pub fn allowed(&self) -> Result<Allowed, String> {
        Allowed::parse(&self.allowed_hosts, &self.allowed_origins)
    }

    fn validate(&self) -> Result<(), (String, String)> {
        Allowed::parse(&self.allowed_hosts, "").map_err(|e| ("http.allowed_hosts".into(), e))?;
        Allowed::parse("", &self.allowed_origins)
            .map_err(|e| ("http.allowed_origins".to_owned(), e))?;
        let counts = [
            ("http.max_connections", self.max_connections),
            ("http.max_requests", self.max_requests),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err((name.into(), "is 0, which lets nobody in".into())),
            None => Ok(()),
        }
    }
}

impl Config {
    /// The file of the tokens that open the HTTP server.
    pub fn token_file(&self) -> PathBuf {
        self.data_dir.join(TOKEN_FILE)
    }

    /// The project that new episodes belong to and that an agent sees.
    pub fn write_project(&self) -> &str {
        if self.project.is_empty() { DEFAULT_PROJECT } else { &self.project }
    }

    /// Where the database is. The error is the end of a sentence about `database.url`.
    pub fn place(&self) -> Result<Place, String> {
        match self.database.url.as_str() {
            "" => Ok(Place::File(self.data_dir.join(DATABASE_FILE))),
            url => Place::parse(url),
        }
    }

    /// The setting that breaks a rule, and what is wrong with it.
    fn validate(&self) -> Result<(), (String, String)> {
        if self.data_dir == Path::new("") {
            let problem = "is empty, and there is no home directory to put the data in";
            return Err(("data_dir".into(), problem.into()));
        }
        // Empty means none.
        if !self.project.is_empty() {
            project_name(&self.project).map_err(|problem| ("project".into(), problem))?;
        }
        let place = self.place().map_err(|problem| ("database.url".to_owned(), problem))?;
        if self.database.auth_token.is_set() && self.database.auth_token_file != Path::new("") {
            let problem = "is set beside database.auth_token; leave one of them out";
            return Err(("database.auth_token_file".into(), problem.into()));
        }
        self.http.validate()?;
        self.otel.validate()?;
        self.validate_embeddings()?;
        self.validate_storage(&place)
    }
}

/// Whether a project may have this name; the error is the end of a sentence about it.
pub(crate) fn project_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("is empty; leave it out, or name it".into());
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("is {} bytes long, the limit is {MAX_NAME_BYTES}", name.len()));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("\"{}\" contains a control character", excerpt(name)));
    }
    Ok(())
}
