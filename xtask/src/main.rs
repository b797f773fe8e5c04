//! The project's gates: `cargo xtask test` is the one command that says whether a change may go in.
//!
//! # Layout
//!
//! - `gates`: what is checked, in which order, and the summary.
//! - `soak`: the long size of the tests that have one.
//! - `run`: one command, its output passed through, its result and duration.
//! - `totals`: the numbers in the `test result` lines of cargo's test harness.
//!
//! The rules of style and dependencies that cargo and clippy do not know are in `tests/tidy`.

mod gates;
mod run;
mod soak;
mod totals;

use std::io::{self, Write};
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  test    Every gate: format, lints, documentation, the program alone, all tests of the workspace
  soak    The long size of the tests that have one: [--minutes N] [--fresh] [NAME]...
          Goes on where the last run stopped. docs/reliability.md says what they show
  help    This text

The tests install what they need from npm and PyPI under target/testkit. Where that cannot be done
they say so and are skipped; with CI in the environment they fail instead.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test"] => gates::run_all(),
        ["soak", rest @ ..] if !rest.iter().any(|word| matches!(*word, "--help" | "-h")) => {
            match soak::Wanted::of(rest) {
                Some(wanted) => soak::run_long(&wanted),
                None => io::stderr().write_all(HELP.as_bytes()).map(|()| false),
            }
        }
        ["help" | "--help" | "-h"] | [_, .., "--help" | "-h"] => say(HELP).map(|()| true),
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

/// Writes to stdout at once, so that lines keep their place among those of child processes.
fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
