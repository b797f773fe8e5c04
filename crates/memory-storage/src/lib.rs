//! The durable store with a cache in front of it, behind the same port.
//!
//! # Layout
//!
//! - [`hybrid`]: [`HybridStorage`], cache-first reads, durable-first writes
//! - [`memory_tier`]: decoded episodes shared in memory, weighed in bytes, coherent by version
//! - [`single_flight`]: concurrent misses of one id become one fetch
//! - [`metrics`]: what the cache did, as counters

pub mod hybrid;
pub mod memory_tier;
pub mod metrics;
pub mod single_flight;

pub use hybrid::{CacheConfig, HybridConfig, HybridStorage};
pub use memory_storage_turso::{Synchronous, TursoConfig};
