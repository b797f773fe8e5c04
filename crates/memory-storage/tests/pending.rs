//! The journal and the outbox in front of a real libSQL server.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod pending {
    mod child;
    mod clock;
    mod kill;
    mod lifecycle;
    mod offline;
    mod processes;
    mod world;
}
