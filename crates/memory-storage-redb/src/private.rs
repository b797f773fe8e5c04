//! Files and directories for their owner alone, whatever the mask for new ones is.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::path::Path;

/// Creates a directory and those above it, if they are not there. Those that are stay as they are.
///
/// # Errors
///
/// Those of the file system.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file for reading and writing, creating it if it is not there.
///
/// # Errors
///
/// Those of the file system.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes a whole file anew.
///
/// # Errors
///
/// Those of the file system.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    file.set_len(0)?;
    file.write_all(content)
}
