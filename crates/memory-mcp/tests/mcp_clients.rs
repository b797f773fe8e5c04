//! The server works with the official MCP clients, of both protocol eras, over stdio: what one
//! session recorded, the next one recalls.
//!
//! The clients are drivers in `tests/clients`, one small program per language: a line of JSON is a
//! call, a line of JSON its result. The story is told here, once for all of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_memory-mcp");
const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// The steps of the longer attempt: a success of many steps is as welcome as any other.
const MANY: usize = 25;
const FEW: usize = 8;

#[test]
fn python_client_of_the_legacy_era_records_and_recalls() {
    let Some(python) = memory_testkit::python::interpreter() else { return };
    story(LEGACY, || python_client(&python, "legacy"));
}

#[test]
fn python_client_of_the_modern_era_records_and_recalls() {
    let Some(python) = memory_testkit::python::interpreter() else { return };
    story(MODERN, || python_client(&python, "auto"));
}

#[test]
fn typescript_sdk_of_the_legacy_era_records_and_recalls() {
    let Some(modules) = memory_testkit::npm::node_modules() else { return };
    story(LEGACY, || typescript_client(&modules, "sdk", "legacy"));
}

#[test]
fn typescript_client_that_probes_records_and_recalls() {
    let Some(modules) = memory_testkit::npm::node_modules() else { return };
    story(MODERN, || typescript_client(&modules, "client", "auto"));
}

#[test]
fn typescript_client_pinned_to_the_modern_era_records_and_recalls() {
    let Some(modules) = memory_testkit::npm::node_modules() else { return };
    story(MODERN, || typescript_client(&modules, "client", MODERN));
}

/// A failed and a successful attempt at one task in one session, recalled in another.
fn story(protocol: &str, client: impl Fn() -> Command) {
    let home = TempDir::new().unwrap();
    let mut session = Session::open(client(), &home);
    assert_eq!(session.server["protocol"], protocol);
    for tool in ["start_episode", "log_steps", "complete_episode", "recall"] {
        assert!(session.tools().any(|name| name == tool), "no tool {tool}: {}", session.server);
    }
    let failure = json!({
        "outcome": "failure",
        "verdict": "the wheel of psycopg2 does not build",
        "reflection": { "next_time": ["install libpq-dev before building psycopg2"] },
    });
    let failed = attempt(&mut session, FEW, failure);
    let success = json!({ "outcome": "success", "verdict": "all migrations apply" });
    let succeeded = attempt(&mut session, MANY, success);
    session.refuses_steps_of_an_unknown_episode();
    session.close();

    let mut later = Session::open(client(), &home);
    let question = "Run the database migrations of the billing service";
    let recalled = later.call("recall", &json!({ "task": question })).done();
    for id in [&failed, &succeeded] {
        assert!(recalled.contains(id.as_str()), "{id} was not recalled: {recalled}");
    }
    assert!(recalled.contains("install libpq-dev"), "the lesson was not recalled: {recalled}");
    later.close();
}

/// Starts an episode, logs its steps one call at a time and all the rest at once, completes it.
fn attempt(session: &mut Session, steps: usize, mut completion: Value) -> String {
    let task = "Run the database migrations of the billing service on a fresh machine";
    let started = session.call("start_episode", &json!({ "task": task, "task_type": "ops" }));
    let id = started.structured["episode_id"].as_str().unwrap_or_else(|| panic!("{started:?}"));
    let (first, rest) = (step(1), (2..=steps).map(step).collect::<Vec<_>>());
    for steps in [vec![first], rest] {
        session.call("log_steps", &json!({ "episode_id": id, "steps": steps })).done();
    }
    completion["episode_id"] = json!(id);
    session.call("complete_episode", &completion).done();
    id.to_owned()
}

/// What an agent logs: the second step fails, the others do not.
fn step(number: usize) -> Value {
    let failed = number == 2;
    json!({
        "tool": "bash",
        "action": format!("apply migration {number}"),
        "parameters": { "command": "alembic upgrade +1", "attempt": number },
        "observation": if failed { "pg_config executable not found" } else { "ok" },
        "success": !failed,
        "error": if failed { json!("pg_config executable not found") } else { Value::Null },
        "latency_ms": 40 + number,
    })
}

/// The Python driver; `interpreter` is the one that sees the client.
fn python_client(interpreter: &Path, mode: &str) -> Command {
    let mut python = driver(interpreter, "driver.py");
    python.arg(mode);
    python
}

/// The TypeScript driver; `modules` is the installed `node_modules`.
fn typescript_client(modules: &Path, package: &str, mode: &str) -> Command {
    let mut node = driver("node", "driver.mjs");
    node.arg(modules.parent().unwrap()).arg(package).arg(mode);
    node
}

fn driver(interpreter: impl AsRef<OsStr>, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script));
    command
}

/// A driver with its client connected to a server process of its own.
struct Session {
    driver: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What the client learned while connecting.
    server: Value,
}

/// The result of a tool call.
#[derive(Debug)]
struct Answer {
    is_error: bool,
    text: String,
    structured: Value,
}

impl Session {
    /// Connects `driver`, complete but for the server's command line, to a server on `home`.
    fn open(mut driver: Command, home: &TempDir) -> Self {
        driver.arg(SERVER).arg("serve").env("MEMORY_MCP_DATA_DIR", home.path().join("data"));
        driver.env("XDG_CONFIG_HOME", home.path().join("config"));
        let mut driver = driver.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let calls = driver.stdin.take().unwrap();
        let answers = BufReader::new(driver.stdout.take().unwrap());
        let mut session = Session { driver, calls, answers, server: Value::Null };
        session.server = session.line();
        session
    }

    fn tools(&self) -> impl Iterator<Item = &str> {
        self.server["tools"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Answer {
        let call = json!({ "tool": tool, "arguments": arguments });
        writeln!(self.calls, "{call}").unwrap();
        let mut line = self.line();
        Answer {
            is_error: line["is_error"] == true,
            text: line["text"].as_str().unwrap().to_owned(),
            structured: line["structured"].take(),
        }
    }

    fn refuses_steps_of_an_unknown_episode(&mut self) {
        let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
        let arguments = json!({ "episode_id": unknown, "steps": [step(1)] });
        let answer = self.call("log_steps", &arguments);
        assert!(answer.is_error, "{answer:?}");
        for words in [unknown, "start_episode"] {
            assert!(answer.text.contains(words), "the error should say {words:?}: {answer:?}");
        }
    }

    /// The next line of the driver, which writes its troubles to stderr and ends.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the client failed: {e}: {line:?}"))
    }

    /// Ends the session the way a client does, and with it the server.
    fn close(mut self) {
        drop(self.calls);
        assert!(self.driver.wait().unwrap().success());
    }
}

impl Answer {
    /// All it says, of a call that succeeded.
    fn done(self) -> String {
        assert!(!self.is_error, "{self:?}");
        format!("{}\n{}", self.text, self.structured)
    }
}
