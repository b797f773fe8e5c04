//! One directory, one database, the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory with a memory in it, gone when dropped.
pub(crate) struct World {
    dir: TempDir,
}

/// What a run of the binary left behind.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        World { dir: tempfile::tempdir().unwrap() }
    }

    /// A world that holds `episodes`.
    pub(crate) fn with(episodes: &[Value]) -> Self {
        let world = World::new();
        let file = world.write("episodes.jsonl", &lines(episodes));
        world.run(&["import", text(&file)]).done();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary with this world's data directory and no other settings of the machine.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory-mcp"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MEMORY_MCP_") {
                command.env_remove(variable);
            }
        }
        command
            .env("HOME", self.dir.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME");
        command.env("MEMORY_MCP_DATA_DIR", self.path("data"));
        command.args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// A run that must succeed, with its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat()).done();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout))
    }

    /// The id of the only episode with this task.
    pub(crate) fn id_of(&self, task: &str) -> String {
        let listed = self.json(&["list", "--limit", "1000"]);
        let all = listed["episodes"].as_array().unwrap();
        let mut found = all.iter().filter(|e| e["task_description"] == task);
        let id = found.next().unwrap_or_else(|| panic!("no {task:?} in {listed}"))["id"].clone();
        assert!(found.next().is_none(), "several {task:?}");
        id.as_str().unwrap().to_owned()
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ran {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Must have succeeded.
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Must have failed with `code`, in words: one error, a hint, no trace of the program's inside.
    pub(crate) fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.matches("error: ").count(), 1, "{}", self.stderr);
        for word in ["panicked", "RUST_BACKTRACE", "Caused by", ".rs:"] {
            assert!(!self.stderr.contains(word), "{}", self.stderr);
        }
        self
    }

    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} is not in: {}", self.stderr);
        self
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// A complete episode of the export format.
pub(crate) fn episode(n: u8, task: &str, outcome: &str) -> Value {
    json!({
        "kind": "episode",
        "id": format!("0198c0de-7a3b-7c11-9e02-5d1f2a3b4c{n:02x}"),
        "project": "shop",
        "task_type": "bugfix",
        "task_description": task,
        "context": { "domain": "web", "language": "rust" },
        "started_at": format!("2026-03-{:02}T12:00:00Z", n + 1),
        "ended_at": format!("2026-03-{:02}T12:30:00Z", n + 1),
        "steps": [{
            "number": 1, "tool": "bash", "action": format!("cargo test --test t{n}"),
            "observation": "1 passed", "success": true,
        }],
        "outcome": { "kind": outcome, "verdict": "the checker said so" },
        "metadata": { "attempt": n, "repo": "shop-api", "green": outcome == "success" },
        "version": 1,
    })
}
