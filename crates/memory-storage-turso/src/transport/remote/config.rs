//! Settings of a store on a server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use memory_core::{Error, Result};

use super::url::DatabaseUrl;
use crate::payload::PayloadConfig;
use crate::read::search;
use crate::schema::Upgrade;

/// Settings of a [`TursoStore`](crate::TursoStore) on a libSQL server or Turso Cloud.
#[derive(Debug, Clone)]
pub struct RemoteConfig {
    /// Where the database is.
    pub url: DatabaseUrl,
    /// What the server is shown on every request.
    pub token: TokenSource,
    /// A PEM file of certificate authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Let the server compress its answers: worth it on a slow network, not on a fast one. Requests
    /// are never compressed, because servers refuse it.
    pub compression: bool,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long one request may take, its answer included.
    pub request_timeout: Duration,
    /// How long an operation may take, waiting and retries included.
    pub deadline: Duration,
    /// How long an idle connection is kept. Below the time after which the server or a proxy in
    /// between closes it; zero opens a connection for every operation.
    pub idle_timeout: Duration,
    /// How old connections grow before they are replaced, so that a change of address is followed.
    pub max_connection_age: Duration,
    /// Connections opened in the background at the start and kept from growing idle while the store
    /// is in use; 0 opens them when they are needed.
    pub warm_connections: usize,
    /// Reads under way at a time: the lower bound of the adaptive limit.
    pub min_concurrency: usize,
    /// The upper bound. Equal to the lower one, the limit is fixed.
    pub max_concurrency: usize,
    /// Calls that may wait for their turn; beyond it calls are refused early with
    /// [`Error::Overloaded`].
    pub queue: usize,
    /// Writes that wait are sent together, so many at most in one request; 1 sends each by itself.
    pub max_group: usize,
    /// Parts of one large call that are worked on side by side; 1 does one after the other.
    pub parallel_chunks: usize,
    /// How many matches a search weighs, about. With more, common words give way to rare ones.
    pub weighed_matches: usize,
    /// Send all statements of a batch in one request. Off, each is a request of its own, as drivers
    /// do: many times slower over a distance, for comparison and for finding out what a server trips
    /// over.
    pub pipeline: bool,
    /// The largest answer accepted, in bytes after decompression.
    pub max_response_bytes: usize,
    /// How new payloads are written.
    pub payload: PayloadConfig,
    /// What becomes of a database with an older schema.
    pub upgrade: Upgrade,
    /// What is tried again, and when.
    pub retry: RetryConfig,
    /// When to stop asking a server that does not answer.
    pub breaker: BreakerConfig,
}

impl Default for RemoteConfig {
    fn default() -> Self {
        RemoteConfig {
            url: "http://127.0.0.1:8080".into(),
            token: TokenSource::None,
            ca_file: None,
            compression: false,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(55),
            max_connection_age: Duration::from_secs(15 * 60),
            warm_connections: 2,
            min_concurrency: 2,
            max_concurrency: 32,
            queue: 1_000,
            max_group: 256,
            parallel_chunks: 4,
            weighed_matches: search::WEIGHED,
            pipeline: true,
            max_response_bytes: 16 * 1024 * 1024,
            payload: PayloadConfig::default(),
            upgrade: Upgrade::Auto,
            retry: RetryConfig::default(),
            breaker: BreakerConfig::default(),
        }
    }
}

impl RemoteConfig {
    /// The defaults, for the database at this URL.
    pub fn at(url: impl Into<DatabaseUrl>) -> Self {
        RemoteConfig { url: url.into(), ..RemoteConfig::default() }
    }

    /// Checks every setting. The error names the setting and its range.
    pub fn validate(&self) -> Result<()> {
        self.url.endpoint()?;
        let within = |name: &str, value: usize, min: usize, max: usize| match value {
            _ if (min..=max).contains(&value) => Ok(()),
            _ => Err(Error::invalid(name, format!("is {value}; choose {min} to {max}"))),
        };
        within("min_concurrency", self.min_concurrency, 1, 1_000)?;
        within("max_concurrency", self.max_concurrency, self.min_concurrency, 1_000)?;
        within("warm_connections", self.warm_connections, 0, 100)?;
        within("queue", self.queue, 1, 1_000_000)?;
        within("max_group", self.max_group, 1, 10_000)?;
        within("parallel_chunks", self.parallel_chunks, 1, 64)?;
        within("weighed_matches", self.weighed_matches, 1, i32::MAX as usize)?;
        within("max_response_bytes", self.max_response_bytes, 1 << 16, 1 << 30)?;
        within("breaker.failures", self.breaker.failures as usize, 1, 1_000)?;
        for (name, value) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("deadline", self.deadline),
            ("max_connection_age", self.max_connection_age),
            ("breaker.open_for", self.breaker.open_for),
        ] {
            if value.is_zero() {
                return Err(Error::invalid(name, "is zero; choose a time above it"));
            }
        }
        if !(0.0..=1.0).contains(&self.retry.budget) {
            let problem = format!("is {}; choose 0 to 1", self.retry.budget);
            return Err(Error::invalid("retry.budget", problem));
        }
        Ok(())
    }
}

/// Where the token comes from.
#[derive(Debug, Clone, Default)]
pub enum TokenSource {
    /// None is needed, or it is in the URL.
    #[default]
    None,
    /// This one.
    Fixed(Secret),
    /// The content of a file, read again when the file changes or the server refuses the token.
    File(PathBuf),
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// When a failed request is sent again. Only failures after which that is safe are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryConfig {
    /// The longest first pause; it doubles with every try.
    pub base: Duration,
    /// The longest pause of all.
    pub cap: Duration,
    /// Pause a random time up to the longest ("full jitter"), so that clients that failed together
    /// do not come back together. Off, every pause is the longest.
    pub jitter: bool,
    /// Retries allowed for each request, on average, once a first handful is used up; 0 turns
    /// retries off. It keeps a struggling server from being asked several times for everything.
    pub budget: f64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(2),
            jitter: true,
            budget: 0.2,
        }
    }
}

/// When the circuit opens and calls fail at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it. Half of the last 32 requests failing opens it too.
    pub failures: u32,
    /// How long it stays open before one request is let through to try; doubles, up to 32 times
    /// this, while those fail.
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig { failures: 8, open_for: Duration::from_secs(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let mut config = RemoteConfig::default();
        assert!(config.validate().is_ok());
        config.max_concurrency = 1;
        assert!(config.validate().unwrap_err().to_string().contains("max_concurrency"));
        config = RemoteConfig { deadline: Duration::ZERO, ..RemoteConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("deadline"));
    }
}
