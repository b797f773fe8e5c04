//! The cache directory: one file per process, and what was set aside.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError};

use super::tables::{self, Contents, Fault};
use crate::metrics::CacheMetrics;
use crate::private;

/// Processes on one directory that get a file; further ones do with memory alone.
pub(super) const SLOTS: usize = 8;

const README: &str = "\
This directory is the read cache of memory-mcp. Everything in it is a copy of what is in the database.
Deleting it while memory-mcp is not running is always safe.

0.redb, 1.redb, ...   one cache file per running process; the lowest free one is taken
0.json, 1.json, ...   what each was good for: hits, misses, evictions; `memory-mcp stats` sums them up
quarantine-1.redb     the last file that was found damaged or of an unknown format, kept to be
quarantine-2.redb     looked into, and the one before it; they can be deleted at any time
";

/// An open cache file.
pub(super) struct CacheFile {
    pub(super) db: Database,
    pub(super) path: PathBuf,
    pub(super) contents: Contents,
}

/// Runs something of the storage library: a panic in it is a fault of the file, not of the program.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Fault::Damaged(format!("redb panicked: {}", said.unwrap_or_default())))
    })
}

/// Takes the first free file of the directory. A file that cannot be used is set aside and a new one
/// made in its place. `None`, with a log line, when none can be had.
pub(super) fn open(dir: &Path, cache_bytes: usize, metrics: &CacheMetrics) -> Option<CacheFile> {
    if let Err(e) = prepare(dir) {
        tracing::warn!("no cache file: {} cannot be used: {e}", dir.display());
        return None;
    }
    for slot in 0..SLOTS {
        let path = slot_path(dir, slot);
        match open_one(&path, cache_bytes) {
            Ok(Some(file)) => return Some(file),
            Ok(None) => continue,
            Err(fault) => set_aside(&path, &fault, metrics),
        }
        match open_one(&path, cache_bytes) {
            Ok(Some(file)) => {
                metrics.rebuilds.add(1);
                return Some(file);
            }
            Ok(None) => {}
            Err(fault) => tracing::warn!("no cache file {}: {fault:?}", path.display()),
        }
    }
    tracing::warn!("no cache file: all {SLOTS} in {} are taken", dir.display());
    None
}

/// The cache files of a directory, whether anybody uses them or not.
pub fn cache_files(dir: &Path) -> Vec<PathBuf> {
    (0..SLOTS).map(|slot| slot_path(dir, slot)).filter(|path| path.exists()).collect()
}

fn slot_path(dir: &Path, slot: usize) -> PathBuf {
    dir.join(format!("{slot}.redb"))
}

fn prepare(dir: &Path) -> std::io::Result<()> {
    private::create_directory(dir)?;
    let readme = dir.join("README");
    let explains = fs::read_to_string(&readme).is_ok_and(|text| text == README);
    if explains { Ok(()) } else { private::write(&readme, README.as_bytes()) }
}

/// `None`: another process has it.
fn open_one(path: &Path, cache_bytes: usize) -> Result<Option<CacheFile>, Fault> {
    guarded(|| {
        let mut builder = Builder::new();
        // Values carry a checksum of their own, but a damaged table of free pages makes the library
        // panic while it cleans up after a panic, which ends the process. So the file is read through
        // once: 5 ms a MB.
        builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
        let file = private::open(path).map_err(redb::StorageError::Io)?;
        let db = match builder.create_with_backend(FileBackend::new(file)?) {
            Ok(db) => db,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        match guarded(|| tables::load(&db)) {
            Ok(contents) => Ok(Some(CacheFile { db, path: path.to_owned(), contents })),
            Err(fault) => {
                close(db);
                Err(fault)
            }
        }
    })
}

/// Lets go of a database that may be damaged.
pub(super) fn close(db: Database) {
    let closed = guarded(|| {
        drop(db);
        Ok(())
    });
    if let Err(fault) = closed {
        tracing::debug!("closing a damaged cache file: {fault:?}");
    }
}

/// Moves a file out of the way. While its process still has it open: so nobody else can take it in
/// between.
pub(super) fn set_aside(path: &Path, fault: &Fault, metrics: &CacheMetrics) {
    tracing::warn!("the cache file {} is set aside and built anew: {fault:?}", path.display());
    let name = |n| path.with_file_name(format!("quarantine-{n}.redb"));
    let (last, before) = (name(1), name(2));
    remove(&before);
    // The first one has nothing to make room for.
    let _ = fs::rename(&last, &before);
    match fs::rename(path, &last) {
        Ok(()) => metrics.quarantines.add(1),
        Err(e) => {
            tracing::warn!("{} cannot be moved aside: {e}", path.display());
            remove(path);
        }
    }
}

/// Deletes a file whose disk failed.
pub(super) fn discard(path: &Path, problem: &str) {
    tracing::warn!("the cache file {} is given up: {problem}", path.display());
    remove(path);
}

fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}
