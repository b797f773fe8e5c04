//! The Python packages that tests need, pinned in `requirements.txt` and kept in a virtual
//! environment under `target/testkit`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::npm::skip;

/// Installs the pinned packages unless they are there already, one process at a time, and returns
/// the interpreter that sees them.
///
/// `None` when that cannot be done on this machine: the reason has been printed, and the test that
/// asked is to return. Panics instead when the environment says `CI`: there, nothing is skipped.
pub fn interpreter() -> Option<PathBuf> {
    match install() {
        Ok(path) => Some(path),
        Err(e) => {
            skip(&format!(
                "Python packages are missing: {e}; install Python 3.10 or later with venv"
            ));
            None
        }
    }
}

fn install() -> io::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pins = here.join("requirements.txt");
    let root = here.join("../../target/testkit");
    fs::create_dir_all(&root)?;
    let root = root.canonicalize()?;
    // Test binaries run side by side: the first one installs, the others wait for it.
    let lock = File::create(root.join("python.lock"))?;
    lock.lock()?;
    let environment = root.join("venv");
    let interpreter = environment.join("bin/python");
    let marker = root.join("python.installed");
    if fs::read(&marker).ok() != Some(fs::read(&pins)?) {
        // Past the harness, which keeps what a passing test prints: a first run takes longer.
        writeln!(io::stderr(), "installing the Python packages of {}", pins.display())?;
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&interpreter).args(pip).arg(&pins))?;
        // Last, so that an install that was cut short is done again.
        fs::copy(&pins, &marker)?;
    }
    Ok(interpreter)
}

fn run(command: &mut Command) -> io::Result<()> {
    let program = command.get_program().to_owned();
    let output = command.output().map_err(|e| io::Error::other(format!("{program:?}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    // venv writes its errors to stdout, pip to stderr.
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    Err(io::Error::other(format!("{program:?}: {}", words.trim())))
}
