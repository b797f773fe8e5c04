//! Programs that tests need and that come with Debian packages.

use std::path::PathBuf;

use crate::npm::skip;

/// Where a program is. `None`: it is not on this machine; which package has it was printed, and the test
/// that asked is to return. Panics instead when the environment says `CI`: there, nothing is skipped.
#[expect(clippy::disallowed_methods, reason = "the test kit is where tests learn of their machine")]
pub fn program(name: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file());
    if found.is_none() {
        skip(&format!("{name} is missing: install the Debian package {package}"));
    }
    found
}
