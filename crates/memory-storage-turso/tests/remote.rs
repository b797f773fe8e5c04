//! The store on a real libSQL server, near, far and behind faults.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod remote {
    mod auth;
    mod connections;
    mod cost;
    mod faults;
    mod raw;
    mod replica;
    mod story;
    mod transport;
}

use memory_storage_turso::RemoteConfig;

/// Nothing in the background, so that every request at the proxy is one of the test's.
fn config(url: String) -> RemoteConfig {
    RemoteConfig { warm_connections: 0, ..RemoteConfig::at(url) }
}
