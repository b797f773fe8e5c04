//! The durable store with a cache in front of it, behind the same port.
//!
//! # Layout
//!
//! - [`hybrid`]: [`HybridStorage`], cache-first reads, durable-first writes
//! - `shared`: how a read is answered: held, confirmed, fetched
//! - `writes`: what a write does to the cache
//! - `feed`: where the change feed was read to, and when
//! - `queries`: results of queries, kept while nothing is known to have changed
//! - [`single_flight`]: concurrent misses of one id become one fetch
//! - [`embeddings`]: recall by meaning, where an endpoint is configured
//! - `background`: warm-up, idle polls, memory pressure, history
//! - [`pending`]: the journal of steps and the outbox in front of a remote database
//! - [`check`]: comparing what is cached with the database
//! - [`metrics`]: what the cache did, as counters; `report`: the same by tier, over all runs

mod background;
pub mod check;
pub mod embeddings;
mod feed;
pub mod hybrid;
pub mod metrics;
pub mod pending;
mod pressure;
mod queries;
mod report;
mod shared;
pub mod single_flight;
mod writes;

pub use check::CacheCheck;
pub use embeddings::{Embeddings, EmbeddingsConfig, Filled};
pub use hybrid::{DatabaseConfig, Freshness, HybridConfig, HybridStorage, Place};
pub use memory_storage_redb::metrics::TierMetrics;
pub use memory_storage_redb::{
    CacheConfig, CacheMetrics, Policy, RedbMode, Ttl, cache_files, private,
};
pub use memory_storage_turso::pending::PendingFileConfig;
pub use memory_storage_turso::{
    BreakerConfig, DatabaseUrl, PayloadConfig, RemoteConfig, RetryConfig, Secret, Synchronous,
    TokenSource, TursoConfig,
};
pub use pending::{PendingConfig, PendingStore, WhenOffline};
pub use report::{CacheReport, TierReport};
