//! Databases as a whole: backups, restoring, old schemas, and leaving no trace.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod whole {
    mod backup;
    mod fixtures;
    mod hostile;
    mod kill;
    mod purge;
    mod server;
    mod support;
}
