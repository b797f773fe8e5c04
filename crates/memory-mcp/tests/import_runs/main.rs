//! The importers, format by format, on real runs where they are at hand, and on damaged input.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod claude_code;
mod damage;
mod formats;
mod real_data;

use std::path::{Path, PathBuf};

use memory_core::{Episode, OutcomeKind, Timestamp};
use memory_mcp::import::{ImportItem, ImportOptions, Importer, Malformed, plan};

/// What an import of some paths gave.
#[derive(Debug, Default, PartialEq)]
struct Imported {
    episodes: Vec<Episode>,
    records: usize,
    malformed: Vec<Malformed>,
}

impl Imported {
    fn count(&self, kind: OutcomeKind) -> usize {
        self.episodes.iter().filter(|e| e.outcome.as_ref().unwrap().kind == kind).count()
    }

    /// Ids with digests, sorted: what a second import is compared by.
    fn names(&self) -> Vec<(String, String)> {
        let name = |e: &Episode| (e.id.to_string(), e.source.as_ref().unwrap().digest.clone());
        let mut names: Vec<_> = self.episodes.iter().map(name).collect();
        names.sort();
        names
    }

    fn ids(&self) -> std::collections::BTreeSet<String> {
        self.episodes.iter().map(|e| e.id.to_string()).collect()
    }
}

fn import_at(paths: &[PathBuf], project: &str, time: i64) -> Imported {
    let options = ImportOptions { project: project.to_owned(), default_time: Timestamp(time) };
    let mut importer = Importer::new(plan(paths).unwrap(), options);
    let mut imported = Imported::default();
    for item in importer.by_ref() {
        match item {
            Ok(ImportItem::Episode(episode)) => {
                episode.validate().unwrap();
                assert!(episode.source.is_some() && episode.outcome.is_some());
                assert!(episode.steps.iter().zip(1..).all(|(step, n)| step.number == n));
                imported.episodes.push(*episode);
            }
            Ok(ImportItem::Record(_)) => imported.records += 1,
            Err(malformed) => imported.malformed.push(malformed),
        }
    }
    let progress = importer.progress();
    assert!(progress.bytes <= progress.total_bytes);
    imported
}

fn import(paths: &[&Path]) -> Imported {
    let paths: Vec<PathBuf> = paths.iter().map(|&p| p.to_owned()).collect();
    import_at(&paths, "default", 1_700_000_000_000_000)
}

/// Imports a file with this text.
fn import_text(text: &str) -> Imported {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    std::fs::write(&file, text).unwrap();
    import(&[&file])
}
