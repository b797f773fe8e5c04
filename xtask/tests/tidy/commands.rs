//! The documents, the continuous integration and the gates name the same commands.

use std::fs;
use std::process::Command;

use crate::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn continuous_integration_runs_the_test_command_of_the_readme() {
    let script = read(".ci/run");
    let command = script.lines().rfind(|line| !line.trim().is_empty()).unwrap();
    assert_eq!(command, "cargo xtask test", "the last line of .ci/run is the test command");
    for document in ["README.md", "CONTRIBUTING.md"] {
        let shown = read(document).lines().any(|line| {
            line.trim_start().strip_prefix(command).is_some_and(|rest| {
                // A comment may follow.
                rest.is_empty() || rest.trim_start().starts_with('#')
            })
        });
        assert!(shown, "{document} does not show the test command: {command}");
    }
}

#[test]
fn an_unknown_task_is_an_error() {
    let status = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("tset").output().unwrap().status;
    assert!(!status.success());
}
