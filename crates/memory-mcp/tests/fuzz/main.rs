//! Whatever comes in from outside, mutated: no crash, no hang, memory bounded. The corpora are what the
//! project's own tools write.
//!
//! - `stored`: payloads, cache records, backups
//! - `text`: importers, conditions on metadata
//! - `peers`: messages of MCP clients, answers of a server

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod peers;
mod stored;
mod text;

use std::path::{Path, PathBuf};

use memory_core::Episode;
use memory_testkit::generate;

/// Inputs that once failed at a target.
fn cases(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/cases").join(target)
}

fn episodes() -> Vec<Episode> {
    let mut episodes: Vec<_> = (0..4).map(|n| generate::episode(4, n, 800)).collect();
    episodes.push(memory_testkit::story::saving::full_episode("fuzz"));
    episodes
}
