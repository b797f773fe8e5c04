//! The project's gates: `cargo xtask test` is the one command that says whether a change may go in.
//!
//! # Layout
//!
//! - `gates`: what is checked, in which order, and the summary.
//! - `run`: one command, its output passed through, its result and duration.
//! - `testkit`: what the tests need from npm and PyPI, installed under the target directory.
//! - `totals`: the numbers in the `test result` lines of cargo's test harness.
//!
//! The rules of style and dependencies that cargo and clippy do not know are in `tests/tidy`.

mod gates;
mod run;
mod testkit;
mod totals;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  test    Every gate: format, lints, documentation, all tests of the workspace
  setup   Only install what the tests need from npm and PyPI, under target/testkit
  help    This text

With CI=true in the environment nothing is skipped: what is missing is a failure.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test"] => gates::run_all(&Workspace::from_environment()),
        ["setup"] => testkit::install(&Workspace::from_environment()),
        ["help" | "--help" | "-h"] | [_, "--help" | "-h"] => say(HELP).map(|()| true),
        _ => io::stderr().write_all(HELP.as_bytes()).map(|()| false),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // The terminal or a file failed us; if this cannot be written either, the code tells.
            let _ = writeln!(io::stderr(), "xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where things are, and whether a machine without npm or Python may skip what needs them.
struct Workspace {
    root: PathBuf,
    /// What the tests need from other registries, shared by all test binaries.
    testkit: PathBuf,
    /// Nothing may be skipped.
    ci: bool,
}

impl Workspace {
    #[expect(clippy::disallowed_methods, reason = "this is xtask's one place for settings")]
    fn from_environment() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from);
        let root = root.unwrap_or_default();
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let testkit = root.join(target).join("testkit");
        Self { testkit, ci: std::env::var("CI").is_ok_and(|value| value != "false"), root }
    }
}

/// Writes to stdout at once, so that lines keep their place among those of child processes.
fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
