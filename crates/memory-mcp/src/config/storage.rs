//! The settings as the storage crates want them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memory_core::Error;
use memory_storage::{
    CacheConfig, DatabaseConfig, EmbeddingsConfig, HybridConfig, PendingConfig, Policy, RedbMode,
    Ttl,
};
use memory_storage_turso::pending::PendingFileConfig;
use memory_storage_turso::{
    BreakerConfig, DatabaseUrl, RemoteConfig, RetryConfig, TokenSource, TursoConfig,
};

use super::{
    AuthToken, Cache, Config, Database, Embeddings, Hooks, Http, LogFormat, Otel, Place, Remote,
    Retention, Writes,
};
use crate::telemetry::Files;

/// Name, in the data directory, of the file of writes that a server does not have yet.
const PENDING_FILE: &str = "pending.db";

/// Name, in the data directory, of the directory of cache files.
const CACHE_DIRECTORY: &str = "cache";

/// Settings of the connection to a server that are times; here their names end in `_ms`.
const TIMES: [&str; 5] =
    ["connect_timeout", "request_timeout", "deadline", "idle_timeout", "breaker_open_for"];

impl Config {
    /// Every default, on the data directory of this machine.
    pub fn defaults(data_dir: PathBuf) -> Self {
        let (turso, pending) = (TursoConfig::default(), PendingConfig::default());
        let cache = CacheConfig::default();
        Config {
            data_dir,
            project: String::new(),
            log: "warn".into(),
            log_format: LogFormat::Text,
            database: Database {
                url: String::new(),
                auth_token: AuthToken::default(),
                auth_token_file: PathBuf::new(),
                synchronous: turso.synchronous,
                readers: turso.readers,
                statement_cache: turso.statement_cache,
                queue: turso.queue,
                max_group: turso.max_group,
                parallel_chunks: turso.parallel_chunks,
                weighed_matches: turso.weighed_matches,
                busy_timeout_ms: milliseconds(turso.busy_timeout),
                upgrade: turso.upgrade,
            },
            remote: Remote::of(&RemoteConfig::default()),
            writes: Writes {
                when_offline: pending.when_offline,
                flush_after_ms: milliseconds(pending.flush_after),
                max_entries: pending.max_entries,
                max_bytes: pending.max_bytes,
            },
            payload: turso.payload,
            cache: Cache {
                memory_bytes: cache.memory_bytes,
                disk_bytes: cache.disk_bytes,
                redb: cache.redb.as_str().into(),
                policy: cache.policy.as_str().into(),
                ttl_ms: match cache.ttl {
                    Ttl::ByState => 0,
                    Ttl::Fixed(ttl) => milliseconds(ttl),
                },
                max_staleness_ms: milliseconds(cache.max_staleness),
                query_results: cache.query_results,
            },
            http: Http {
                allowed_hosts: String::new(),
                allowed_origins: String::new(),
                max_connections: 512,
                max_requests: 256,
                requests_per_second: 200,
                metrics_need_token: true,
            },
            otel: Otel { endpoint: String::new(), interval_ms: 60_000 },
            hooks: Hooks { enabled: true, context_tokens: 800, deadline_ms: 200 },
            embeddings: Embeddings {
                url: String::new(),
                model: String::new(),
                api_key: AuthToken::default(),
                api_key_file: PathBuf::new(),
            },
            retention: Retention { archive_after_days: 0, consolidate_after_idle_ms: 0 },
        }
    }

    /// What the storage on the database at `place` is opened with.
    pub fn storage(&self, place: Place) -> HybridConfig {
        let database = match place {
            Place::File(path) => DatabaseConfig::Local(self.file(path)),
            Place::Server(url) => DatabaseConfig::Remote {
                remote: self.server(url, self.token()),
                pending: self.pending(),
            },
        };
        HybridConfig { database, cache: self.cache_config(), embeddings: self.embeddings_config() }
    }

    /// What the cache is opened with.
    pub fn cache_config(&self) -> CacheConfig {
        let Cache {
            memory_bytes,
            disk_bytes,
            redb,
            policy,
            ttl_ms,
            max_staleness_ms,
            query_results,
        } = &self.cache;
        CacheConfig {
            memory_bytes: *memory_bytes,
            disk_bytes: *disk_bytes,
            // Both were checked when the settings were read.
            redb: redb.parse().unwrap_or_default(),
            policy: policy.parse().unwrap_or_default(),
            ttl: match ttl_ms {
                0 => Ttl::ByState,
                ms => Ttl::Fixed(Duration::from_millis(*ms)),
            },
            max_staleness: Duration::from_millis(*max_staleness_ms),
            query_results: *query_results,
            dir: Some(self.cache_dir()),
        }
    }

    /// Where the cache files are.
    pub fn cache_dir(&self) -> PathBuf {
        self.data_dir.join(CACHE_DIRECTORY)
    }

    /// What a database file is opened with.
    pub fn file(&self, path: PathBuf) -> TursoConfig {
        TursoConfig {
            path,
            synchronous: self.database.synchronous,
            readers: self.database.readers,
            statement_cache: self.database.statement_cache,
            queue: self.database.queue,
            max_group: self.database.max_group,
            parallel_chunks: self.database.parallel_chunks,
            weighed_matches: self.database.weighed_matches,
            busy_timeout: Duration::from_millis(self.database.busy_timeout_ms),
            payload: self.payload,
            upgrade: self.database.upgrade,
        }
    }

    /// What a server is connected to with.
    pub fn server(&self, url: DatabaseUrl, token: TokenSource) -> RemoteConfig {
        let Remote { ca_file, .. } = &self.remote;
        RemoteConfig {
            token,
            ca_file: (ca_file != Path::new("")).then(|| ca_file.clone()),
            payload: self.payload,
            parallel_chunks: self.database.parallel_chunks,
            weighed_matches: self.database.weighed_matches,
            upgrade: self.database.upgrade,
            ..self.remote.config(url)
        }
    }

    /// The token of the settings.
    pub fn token(&self) -> TokenSource {
        token(&self.database.auth_token, &self.database.auth_token_file)
    }

    /// The endpoint that makes embeddings, where there is one.
    fn embeddings_config(&self) -> Option<EmbeddingsConfig> {
        let Embeddings { url, model, api_key, api_key_file } = &self.embeddings;
        let ca_file = &self.remote.ca_file;
        (!url.is_empty()).then(|| EmbeddingsConfig {
            url: url.clone(),
            model: model.clone(),
            key: token(api_key, api_key_file),
            ca_file: (ca_file != Path::new("")).then(|| ca_file.clone()),
        })
    }

    pub(super) fn validate_embeddings(&self) -> Result<(), (String, String)> {
        if self.embeddings.api_key.is_set() && self.embeddings.api_key_file != Path::new("") {
            let problem = "is set beside embeddings.api_key; leave one of them out";
            return Err(("embeddings.api_key_file".into(), problem.into()));
        }
        match self.embeddings_config().map(|config| config.validate()) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(Error::Invalid { field, problem })) => {
                Err((format!("embeddings.{field}"), problem))
            }
            Some(Err(other)) => Err(("embeddings.url".into(), other.to_string())),
        }
    }

    /// The file of writes that a server does not have yet.
    pub fn pending_file(&self) -> PendingFileConfig {
        let PendingConfig { path, max_entries, max_bytes, .. } = self.pending();
        PendingFileConfig { path, max_entries, max_bytes }
    }

    /// Whose sizes metrics tell.
    pub fn files(&self, place: &Place) -> Files {
        match place {
            Place::File(path) => Files { database: Some(path.clone()), pending: None },
            Place::Server(_) => {
                Files { database: None, pending: Some(self.data_dir.join(PENDING_FILE)) }
            }
        }
    }

    fn pending(&self) -> PendingConfig {
        PendingConfig {
            path: self.data_dir.join(PENDING_FILE),
            flush_after: Duration::from_millis(self.writes.flush_after_ms),
            when_offline: self.writes.when_offline,
            max_entries: self.writes.max_entries,
            max_bytes: self.writes.max_bytes,
        }
    }

    /// The storage knows its own ranges; the names it uses are the last part of ours. Both halves are
    /// checked, so that a mistake does not wait for the day when the other half is used.
    pub(super) fn validate_storage(&self, place: &Place) -> Result<(), (String, String)> {
        let cache = &self.cache;
        let named = cache.redb.parse::<RedbMode>().map(drop);
        if let Err(Error::Invalid { field, problem }) =
            named.and_then(|()| cache.policy.parse::<Policy>().map(drop))
        {
            return Err((field, problem));
        }
        let (path, url) = match place {
            Place::File(path) => (path.clone(), RemoteConfig::default().url),
            Place::Server(url) => (TursoConfig::default().path, url.clone()),
        };
        match self.file(path).validate() {
            Err(Error::Invalid { field, problem }) if field == "path" => {
                return Err(("database.url".into(), problem));
            }
            Err(Error::Invalid { field, problem }) => {
                return Err((format!("database.{field}"), problem));
            }
            Err(other) => return Err(("database".into(), other.to_string())),
            Ok(()) => {}
        }
        match self.server(url, TokenSource::None).validate() {
            Err(Error::Invalid { field, problem }) if field == "database URL" => {
                Err(("database.url".into(), problem))
            }
            Err(Error::Invalid { field, problem }) => {
                let field = field.replace('.', "_");
                let unit = if TIMES.contains(&field.as_str()) { "_ms" } else { "" };
                Err((format!("remote.{field}{unit}"), problem))
            }
            Err(other) => Err(("remote".into(), other.to_string())),
            Ok(()) => Ok(()),
        }
    }
}

fn token(secret: &AuthToken, file: &Path) -> TokenSource {
    if file != Path::new("") {
        TokenSource::File(file.to_owned())
    } else if secret.is_set() {
        TokenSource::Fixed(secret.secret())
    } else {
        TokenSource::None
    }
}

impl Remote {
    fn of(config: &RemoteConfig) -> Self {
        Remote {
            ca_file: PathBuf::new(),
            compression: config.compression,
            connect_timeout_ms: milliseconds(config.connect_timeout),
            request_timeout_ms: milliseconds(config.request_timeout),
            deadline_ms: milliseconds(config.deadline),
            idle_timeout_ms: milliseconds(config.idle_timeout),
            warm_connections: config.warm_connections,
            min_concurrency: config.min_concurrency,
            max_concurrency: config.max_concurrency,
            queue: config.queue,
            max_group: config.max_group,
            pipeline: config.pipeline,
            max_response_bytes: config.max_response_bytes,
            retry_base_ms: milliseconds(config.retry.base),
            retry_cap_ms: milliseconds(config.retry.cap),
            retry_jitter: config.retry.jitter,
            retry_budget: config.retry.budget,
            breaker_failures: config.breaker.failures,
            breaker_open_for_ms: milliseconds(config.breaker.open_for),
        }
    }

    fn config(&self, url: DatabaseUrl) -> RemoteConfig {
        RemoteConfig {
            url,
            compression: self.compression,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            request_timeout: Duration::from_millis(self.request_timeout_ms),
            deadline: Duration::from_millis(self.deadline_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            warm_connections: self.warm_connections,
            min_concurrency: self.min_concurrency,
            max_concurrency: self.max_concurrency,
            queue: self.queue,
            max_group: self.max_group,
            pipeline: self.pipeline,
            max_response_bytes: self.max_response_bytes,
            retry: RetryConfig {
                base: Duration::from_millis(self.retry_base_ms),
                cap: Duration::from_millis(self.retry_cap_ms),
                jitter: self.retry_jitter,
                budget: self.retry_budget,
            },
            breaker: BreakerConfig {
                failures: self.breaker_failures,
                open_for: Duration::from_millis(self.breaker_open_for_ms),
            },
            ..RemoteConfig::default()
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that makes a server fast, turned off by its setting.
    #[test]
    fn every_optimization_of_the_connection_can_be_turned_off() {
        let mut config = Config::defaults("data".into());
        let remote = &mut config.remote;
        remote.idle_timeout_ms = 0;
        remote.warm_connections = 0;
        (remote.min_concurrency, remote.max_concurrency) = (10, 10);
        (remote.max_group, remote.pipeline) = (1, false);
        remote.compression = true;
        remote.retry_jitter = false;
        (config.database.max_group, config.database.parallel_chunks) = (1, 1);
        let server = config.server("http://127.0.0.1:1".into(), TokenSource::None);
        server.validate().unwrap();
        assert!(server.idle_timeout.is_zero() && server.warm_connections == 0);
        assert_eq!((server.min_concurrency, server.max_concurrency), (10, 10));
        assert!(server.max_group == 1 && !server.pipeline && server.parallel_chunks == 1);
        assert!(server.compression && !server.retry.jitter);
        let file = config.file("memory.db".into());
        file.validate().unwrap();
        assert_eq!((file.max_group, file.parallel_chunks), (1, 1));
    }
}
