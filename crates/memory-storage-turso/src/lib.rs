//! The durable store: episodes in libSQL.
//!
//! # Layout
//!
//! - [`store`]: [`TursoStore`], the port implemented, one batch per operation
//! - `write`, `read`: every operation as statements, and the reading of their results
//! - `carried`: the change feed on the back of every batch to a server
//! - [`verify`]: whether what is stored agrees with itself, and repairs
//! - `schema`: numbered migrations
//! - [`maintenance`]: [`Maintenance`], work on a database as a whole
//! - [`backup`]: the database in a file by itself, and back
//! - [`older`]: databases in the older layout, to be read
//! - [`payload`]: episodes and steps as stored bytes: codecs, compression, dictionaries
//! - `upkeep`: dictionaries of the database, made when they pay; payloads written anew
//! - [`vectors`]: what an embedding model made of episodes
//! - `database`: a transport whose schema is brought up to date before its first use
//! - `transport`: runs a batch in one go; `transport::local` on a file, `transport::remote` on a server
//! - [`pending`]: writes accepted on this machine that a remote database does not have yet
//! - [`batch`]: statements, results
//! - [`config`], [`metrics`]

pub mod backup;
pub mod batch;
mod carried;
mod columns;
pub mod config;
mod database;
pub mod maintenance;
pub mod metrics;
mod names;
pub mod older;
pub mod payload;
pub mod pending;
mod read;
mod schema;
pub mod store;
mod transport;
mod upkeep;
pub mod vectors;
pub mod verify;
mod write;

pub use config::{Synchronous, TursoConfig};
pub use maintenance::{Maintenance, SchemaChange, SchemaStep};
pub use metrics::{Metrics, Operation, Pool};
pub use payload::PayloadConfig;
pub use schema::Upgrade;
pub use store::TursoStore;
pub use transport::{
    BreakerConfig, DatabaseUrl, Gauge, RemoteConfig, RemoteMetrics, RemoteTransport, RetryConfig,
    Secret, Token, TokenSource, tls_config,
};
pub use upkeep::Reencoded;
pub use vectors::Vectors;
