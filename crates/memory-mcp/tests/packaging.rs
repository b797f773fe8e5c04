//! The files in `packaging`: valid by their own tools, and true of this program.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use memory_testkit::{npm, python};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_memory-mcp");

fn packaging(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(file)
}

fn read(file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(packaging(file)).unwrap()).unwrap()
}

/// What a command says, which must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The names of the tools that the server has.
fn tools() -> Vec<String> {
    let home = TempDir::new().unwrap();
    let mut server = Command::new(SERVER)
        .args(["serve", "--data-dir"])
        .arg(home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let list =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    writeln!(server.stdin.take().unwrap(), "{list}").unwrap();
    let answer: Value = serde_json::from_slice(&server.wait_with_output().unwrap().stdout).unwrap();
    let tools = answer["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_files_say_what_the_program_is() {
    let (manifest, registry) = (read("mcpb/manifest.json"), read("server.json"));
    for file in [&manifest, &registry] {
        assert_eq!(file["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(file["repository"]["url"], env!("CARGO_PKG_REPOSITORY"));
    }
    let listed = manifest["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone());
    assert_eq!(listed.collect::<Vec<_>>(), tools());
    let bundle = registry["packages"][0]["identifier"].as_str().unwrap();
    assert!(bundle.contains(&format!("/v{}/", env!("CARGO_PKG_VERSION"))), "{bundle}");
    // Every variable is one that the program reads.
    let variables = manifest["server"]["mcp_config"]["env"].as_object().unwrap().keys().cloned();
    let more = registry["packages"][0]["environmentVariables"].as_array().unwrap();
    let more = more.iter().map(|variable| variable["name"].as_str().unwrap().to_owned());
    let home = TempDir::new().unwrap();
    let mut command = Command::new(SERVER);
    command.arg("config").env("XDG_CONFIG_HOME", home.path());
    for variable in variables.chain(more) {
        command.env(variable, home.path().join("x"));
    }
    let said = output(&mut command);
    assert!(!said.contains("is no setting"), "{said}");
}

#[test]
fn the_bundle_and_the_registrys_file_pass_their_validators() {
    let (Some(suites), Some(python)) = (npm::suites(), python::interpreter()) else { return };
    let home = TempDir::new().unwrap();
    let bundle = home.path().join("bundle");
    std::fs::create_dir_all(bundle.join("server")).unwrap();
    std::fs::copy(packaging("mcpb/manifest.json"), bundle.join("manifest.json")).unwrap();
    std::fs::copy(SERVER, bundle.join("server/memory-mcp")).unwrap();
    let mcpb = || suites.script("@anthropic-ai/mcpb", "dist/cli/cli.js");
    output(mcpb().arg("validate").arg(bundle.join("manifest.json")));
    let packed = home.path().join("memory-mcp.mcpb");
    output(mcpb().arg("pack").args([&bundle, &packed]));

    // As a release does: the registry wants the hash of the bundle.
    let hash = Sha256::digest(std::fs::read(&packed).unwrap());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut registry = read("server.json");
    registry["packages"][0]["fileSha256"] = hash.into();
    let linted = home.path().join("registry");
    std::fs::create_dir(&linted).unwrap();
    let lint = |file: &Value| {
        std::fs::write(linted.join("server.json"), file.to_string()).unwrap();
        let output = Command::new(python.with_file_name("skillsaw"))
            .args(["lint", "--no-color"])
            .arg(&linted)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (valid, said) = lint(&registry);
    assert!(valid && said.contains("mcp-registry"), "{said}");
    // It does look at the file.
    registry["version"] = "latest".into();
    let (valid, said) = lint(&registry);
    assert!(!valid && said.contains("exact release"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_systemd_unit_is_one() {
    let unit = std::fs::read_to_string(packaging("memory-mcp.service")).unwrap();
    let installed = "%h/.cargo/bin/memory-mcp";
    assert!(unit.contains(&format!("ExecStart={installed} serve --http ")), "{unit}");
    let home = TempDir::new().unwrap();
    let path = home.path().join("memory-mcp.service");
    std::fs::write(&path, unit.replace(installed, SERVER)).unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["--user", "verify"])
        .arg(&path)
        .env("XDG_RUNTIME_DIR", home.path())
        .output();
    match verify {
        Ok(verify) => {
            let said = String::from_utf8_lossy(&verify.stderr);
            assert!(verify.status.success() && said.is_empty(), "{said}");
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            npm::skip("systemd-analyze is missing; install systemd");
        }
        Err(e) => panic!("systemd-analyze: {e}"),
    }
}
