//! A backup is a database file with a seal behind its last page:
//!
//! ```text
//! the pages of the database, in rollback mode, without a log
//! 16 bytes  "memory-mcp seal1"
//!  8 bytes  length of the pages, little endian
//! 32 bytes  SHA-256 of the pages
//! ```
//!
//! The engine does not look behind the last page, so a backup opens as a database like any other. One
//! byte of it changed, it is no longer taken for a backup.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use memory_core::{Error, Result};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::Progress;
use super::unpack::damaged;

const MAGIC: &[u8; 16] = b"memory-mcp seal1";

/// Bytes of the seal.
pub(super) const SEAL_BYTES: usize = 16 + 8 + 32;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

/// A backup that was written, or read to its end and found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Of the database in it.
    pub bytes: u64,
    /// Of the database in it, in hexadecimal digits.
    pub sha256: String,
}

/// Makes a backup: `fill` writes a database into the empty file it is given, which then gets its seal
/// and, when all of it is on the disk, its name. What has that name already is left alone.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<Sealed> {
    if path.file_name().is_none() {
        return Err(Error::invalid("backup file", format!("{} names no file", path.display())));
    }
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let directory = directory_of(path);
    let refuse = |e: std::io::Error| cannot(path, "written", &e);
    // Readable by its owner alone, like a database.
    let partial = NamedTempFile::with_prefix_in(".memory-backup-", directory).map_err(refuse)?;
    fill(partial.path())?;
    let mut file = File::options().read(true).append(true).open(partial.path()).map_err(refuse)?;
    let sealed = seal(&mut file).map_err(refuse)?;
    drop(file);
    partial.persist_noclobber(path).map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => refuse(e.error),
    })?;
    // The name is on the disk when its directory is.
    #[cfg(unix)]
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(refuse)?;
    Ok(sealed)
}

/// The directory that a path names a file in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A file that looks like a backup.
pub(super) struct Source {
    file: File,
    name: String,
    bytes: u64,
    sha256: [u8; 32],
}

impl Source {
    /// Reads the seal.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let refuse = |e: std::io::Error| cannot(path, "read", &e);
        // Asked before it is opened: opening a pipe would wait for somebody to write into it.
        let kind = std::fs::metadata(path).map_err(refuse)?;
        if !kind.is_file() {
            return Err(no_backup(&name, "it is no regular file"));
        }
        let mut file = File::open(path).map_err(refuse)?;
        let length = file.metadata().map_err(refuse)?.len();
        let Some(bytes) = length.checked_sub(SEAL_BYTES as u64) else {
            return Err(no_backup(&name, "it is too short"));
        };
        let mut seal = [0; SEAL_BYTES];
        file.seek(SeekFrom::Start(bytes)).map_err(refuse)?;
        file.read_exact(&mut seal).map_err(refuse)?;
        file.rewind().map_err(refuse)?;
        let (magic, rest) = seal.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(no_backup(&name, "it has no seal at its end; it may be cut off"));
        }
        let (said, sha256) = rest.split_at(8);
        if said != bytes.to_le_bytes() {
            return Err(damaged(&name, "its length is not what its seal says"));
        }
        let sha256 = sha256.try_into().unwrap_or_default();
        Ok(Source { file, name, bytes, sha256 })
    }

    /// Copies the database in it to the new file `to`, which is whole when this succeeds.
    pub(super) fn copy_to(mut self, to: &Path, progress: &Progress) -> Result<Sealed> {
        progress.expect(self.bytes);
        let refuse = |e: std::io::Error| cannot(to, "unpacked", &e);
        let mut copy = File::options().write(true).create_new(true).open(to).map_err(refuse)?;
        let (bytes, sha256) = digest(&mut self.file, self.bytes, |part| {
            progress.add(part.len() as u64);
            copy.write_all(part)
        })
        .map_err(refuse)?;
        if bytes != self.bytes || sha256 != self.sha256 {
            return Err(damaged(&self.name, "its checksum does not match: it was changed"));
        }
        Ok(Sealed { bytes, sha256: hex(&sha256) })
    }
}

fn no_backup(name: &str, why: &str) -> Error {
    Error::Refused {
        problem: format!("{name} is no backup made by this program: {why}"),
        hint: "nothing was changed; a database file is taken over with `memory-mcp copy --from`, \
               an export with `memory-mcp import`"
            .into(),
    }
}

fn seal(file: &mut File) -> std::io::Result<Sealed> {
    let (bytes, digest) =
        digest(&mut BufReader::with_capacity(CHUNK, &*file), u64::MAX, |_| Ok(()))?;
    file.write_all(&[&MAGIC[..], &bytes.to_le_bytes(), &digest].concat())?;
    file.sync_all()?;
    Ok(Sealed { bytes, sha256: hex(&digest) })
}

/// Reads at most `limit` bytes, each part of which `take` gets, and sums them up.
fn digest(
    from: &mut impl Read,
    limit: u64,
    mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(u64, [u8; 32])> {
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    let mut from = from.take(limit);
    loop {
        let read = from.read(&mut chunk)?;
        let part = chunk.get(..read).unwrap_or_default();
        if part.is_empty() {
            return Ok((bytes, hash.finalize().into()));
        }
        hash.update(part);
        take(part)?;
        bytes += read as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn exists(path: &Path) -> Error {
    Error::Refused {
        problem: format!("{} is there already", path.display()),
        hint: "choose another name; a backup replaces nothing".into(),
    }
}

fn cannot(path: &Path, what: &str, e: &std::io::Error) -> Error {
    Error::Refused {
        problem: format!("the backup {} cannot be {what}: {e}", path.display()),
        hint: "check the directory, its rights and the free space".into(),
    }
}
