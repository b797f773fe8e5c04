//! Rules of the project that neither cargo nor clippy knows.
//!
//! # Layout
//!
//! - `sources`: length and contents of the source files.
//! - `commands`: the documents, the continuous integration and the gates name the same commands.
//! - `dependencies`: how many there are, under which licences, and which are banned.
//! - `licence`: evaluates SPDX licence expressions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod commands;
mod dependencies;
mod licence;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Stdout of a command that must succeed, run in the workspace.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// What breaks a rule, one a line; a test passes when there is nothing.
fn assert_none(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}
