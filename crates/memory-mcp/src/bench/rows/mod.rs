//! The plan's twenty rows.
//!
//! - `table`: each with its settings, claim and guards
//! - `remote`: connections, limits, batches, parallel work, on the way to a server
//! - `local`: statements, the index of metadata, group commit, on a file
//! - `payload`: encodings and compression
//! - `cache`: what the cache holds, for how long, and what it saves
//! - `process`: what takes another process: the allocator, resident memory

mod cache;
mod local;
mod payload;
mod process;
mod remote;
mod table;

pub(crate) use cache::zipf_queries;
pub(crate) use table::ROWS;

use super::row::Row;

/// The row called `id`.
pub(crate) fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}
