//! What several tests need.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::record::RecordKind;
use memory_core::store::{ScanQuery, Scope};
use memory_core::{EpisodeStore, Result};
use memory_storage_turso::backup::{Sealed, Unpacked, unpack};
use memory_storage_turso::{Maintenance, TursoConfig, TursoStore};
use memory_testkit::generate;
use memory_testkit::story::save;
use tempfile::TempDir;

pub(crate) fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    (directory, path)
}

pub(crate) async fn open(path: &Path) -> TursoStore {
    TursoStore::open(TursoConfig::at(path)).await.unwrap()
}

/// A database with so many generated episodes.
pub(crate) async fn filled(path: &Path, seed: u64, episodes: u64) {
    let store = open(path).await;
    for n in 0..episodes {
        save(&store, &generate::episode(seed, n, 2_000), 0).await.unwrap();
    }
    store.close().await;
}

/// Everything, as an export writes it.
pub(crate) async fn export<S: EpisodeStore>(store: &S) -> String {
    let mut lines = String::new();
    for kind in RecordKind::ALL {
        let mut query = ScanQuery { scope: Scope::All, kind, after: None, limit: 500 };
        loop {
            let page = store.scan(&query).await.unwrap();
            for record in &page.records {
                lines.push_str(&record.to_line().unwrap());
                lines.push('\n');
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    lines
}

pub(crate) async fn export_of(path: &Path) -> String {
    let store = open(path).await;
    let lines = export(&store).await;
    store.close().await;
    lines
}

pub(crate) async fn back_up(path: &Path, to: &Path) -> Result<Sealed> {
    let database = Maintenance::open(TursoConfig::at(path)).await?;
    let sealed = database.back_up(to, &Arc::default()).await;
    database.close().await;
    sealed
}

pub(crate) async fn unpacked(backup: &Path, beside: &Path) -> Result<Unpacked> {
    unpack(backup, beside, Arc::default()).await
}

/// The whole of `memory-mcp restore`.
pub(crate) async fn restore(backup: &Path, path: &Path) -> Result<()> {
    let unpacked = unpacked(backup, path.parent().unwrap()).await?;
    let database = Maintenance::open_or_create(TursoConfig::at(path)).await?;
    let done = database.restore(&unpacked).await;
    database.close().await;
    done
}

/// Names of what is in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
