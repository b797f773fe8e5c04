//! The schema and how a database gets to it.
//!
//! Migrations are append-only: a released file is never edited, its checksum is on record in every
//! database. Each runs as one atomic batch, so it works on any transport, and a database that several
//! processes open for the first time at once is migrated by one of them.

mod migrate;
#[cfg(test)]
mod plan_guard;

pub(crate) use migrate::{MIGRATIONS, Migration, migrate};
