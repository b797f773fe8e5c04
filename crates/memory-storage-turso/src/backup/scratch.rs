//! Directories for what is not finished yet.

use std::fs::File;
use std::path::{Path, PathBuf};

use memory_core::{Error, Result};
use tempfile::TempDir;

/// How the name of every one begins.
const PREFIX: &str = ".memory-scratch-";

/// A directory that goes away when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    directory: TempDir,
    /// Held for as long as it is in use: one that nobody holds was left by a killed process.
    _lock: Option<File>,
}

impl Scratch {
    /// Makes one in `parent`, readable by its owner alone, and clears away those of killed processes.
    pub(super) fn make(parent: &Path) -> Result<Self> {
        sweep(parent);
        let made = TempDir::with_prefix_in(PREFIX, parent).map_err(|e| Error::Refused {
            problem: format!("there is no writing in {}: {e}", parent.display()),
            hint: "check the directory, its rights and the free space".into(),
        })?;
        let lock = File::open(made.path()).ok().filter(|lock| lock.try_lock().is_ok());
        Ok(Scratch { directory: made, _lock: lock })
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // A symbolic link is no directory here.
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            let left = File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok());
            if left && let Err(e) = std::fs::remove_dir_all(&path) {
                tracing::warn!("{} was left by a killed process: {e}", path.display());
            }
        }
    }
}
