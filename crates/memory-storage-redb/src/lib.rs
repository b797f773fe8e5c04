//! The read cache: decoded episodes in memory, a redb file behind them.
//!
//! # Layout
//!
//! - [`cache`]: [`Cache`], the two tiers together, coherent by version and by the change feed
//! - [`entry`]: what the memory tier holds for an id
//! - `disk`: the redb tier: slots, writer thread, quarantine
//! - [`index`]: what is held and what must go, by policy
//! - [`config`]: settings, and how long entries count as current
//! - [`stored`]: an episode as the file holds it; [`weight`]: what an episode costs
//! - `history`: how often each episode was asked for, over restarts
//! - [`private`]: files for their owner alone
//! - [`metrics`]

pub mod cache;
pub mod config;
mod disk;
pub mod entry;
mod history;
pub mod index;
pub mod metrics;
pub mod private;
pub mod stored;
pub mod weight;

pub use cache::{Cache, FetchMark};
pub use config::{CacheConfig, RedbMode, State, Ttl};
pub use disk::cache_files;
pub use entry::Entry;
pub use index::Policy;
pub use metrics::CacheMetrics;
