//! The official conformance suites of both eras, run against the HTTP server, and the official
//! inspector, whose strict mode tells what clients stumble over.
//!
//! What a suite asks of its own example server is in `expected-*.yaml`, with the reason; a scenario
//! that fails and is not there fails the test, and so does one that is there and passes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use memory_testkit::npm::{Suites, suites};
use serde_json::Value;
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_memory-mcp");

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already: nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp_conformance")
}

/// The server's command line, on data of its own.
fn server(home: &Path) -> Command {
    let mut server = Command::new(SERVER);
    server.arg("serve").env("MEMORY_MCP_DATA_DIR", home).env("XDG_CONFIG_HOME", home);
    server
}

/// Starts a server, and before it a proxy that adds the token, as the suites cannot: its URL.
fn behind_a_proxy(suites: &Suites, home: &Path) -> (String, [Running; 2]) {
    let mut command = server(home);
    let mut server =
        command.args(["--http", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut after = |words: &str| {
        let line = told.next().unwrap().unwrap();
        line.split_once(words).unwrap_or_else(|| panic!("{line}")).1.to_owned()
    };
    let (url, token) = (after("Serving MCP at http://"), after("until this process ends: "));
    let address = url.trim_end_matches("/mcp");
    let mut command = suites.node(&here().join("with_token.mjs"));
    let mut proxy = command
        .args([address, &token])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut own = String::new();
    BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut own).unwrap();
    (format!("http://{}/mcp", own.trim()), [Running(server), Running(proxy)])
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn conforms(revision: &str, arguments: &[&str]) {
    let Some(suites) = suites() else { return };
    let home = TempDir::new().unwrap();
    let (url, _processes) = behind_a_proxy(&suites, home.path());
    let expected = here().join(format!("expected-{revision}.yaml"));
    let output = suites
        .script(&format!("conformance-{revision}"), "dist/index.js")
        .args(["server", "--url", &url, "--expected-failures", text(&expected)])
        .args(arguments)
        .current_dir(home.path())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let summary = report.split("=== SUMMARY ===").nth(1).unwrap_or(&report);
    assert!(output.status.success(), "{summary}{}", String::from_utf8_lossy(&output.stderr));
    assert!(summary.contains("Baseline check passed"), "{summary}");
    // What matters for a product passed, and was not merely left out.
    for scenario in ["tools-list", "resources-list", "prompts-list", "dns-rebinding-protection"] {
        assert!(summary.contains(&format!("✓ {scenario}: ")), "{scenario}: {summary}");
    }
}

#[test]
fn the_suite_of_2026_07_28_passes() {
    conforms("2026-07-28", &["--requirements", "2026-07-28"]);
}

#[test]
fn the_suite_of_the_revisions_before_passes() {
    conforms("2025-11-25", &[]);
}

#[test]
fn the_inspector_has_nothing_to_warn_of() {
    let Some(suites) = suites() else { return };
    let home = TempDir::new().unwrap();
    for (method, strict) in [
        ("tools/list", Some("--strict")),
        ("resources/list", None),
        ("resources/templates/list", None),
        ("prompts/list", None),
    ] {
        let output = suites
            .script("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
            .args(["--cli", SERVER, "serve", "--data-dir", text(home.path())])
            .args(["--method", method])
            .args(strict)
            .env("XDG_CONFIG_HOME", home.path())
            .env("HOME", home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method}: {said}");
        let warned = said.to_lowercase();
        assert!(!warned.contains("warning") || warned.contains("0 warnings"), "{method}: {said}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        println!("{method}: {} bytes, stderr {said:?}", answer.to_string().len());
    }
}
