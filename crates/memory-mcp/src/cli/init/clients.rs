//! The clients: where each has its configuration and in which form.
//!
//! Places and forms are those of the clients' own documentation, looked up in November 2026.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

/// A client that can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Claude Code, with hooks
    ClaudeCode,
    /// Claude Desktop
    ClaudeDesktop,
    /// Codex: CLI, IDE extension, app
    Codex,
    /// Cursor
    Cursor,
    /// Gemini CLI
    Gemini,
    /// opencode
    Opencode,
    /// Visual Studio Code
    Vscode,
    /// Windsurf
    Windsurf,
    /// Zed
    Zed,
}

/// For whom it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reach {
    /// Every project of this user
    User,
    /// This directory alone, in files that are shared with it
    Project,
}

/// How a client is told how to start the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object of servers under this key, with `command` and `args`.
    Json(&'static str),
    /// The same, with `"type": "stdio"`.
    JsonStdio(&'static str),
    /// opencode's: the command line as one list.
    JsonList(&'static str),
    /// A table of servers in TOML.
    Toml(&'static str),
}

/// The directories that the places are relative to.
#[derive(Debug, Clone)]
pub(crate) struct Dirs {
    pub(crate) home: PathBuf,
    /// Where programs with a window keep their settings.
    pub(crate) app_settings: PathBuf,
    pub(crate) project: PathBuf,
}

impl Dirs {
    pub(crate) fn of_process() -> Result<Self, String> {
        let home = etcetera::home_dir().map_err(|e| format!("there is no home directory: {e}"))?;
        let app_settings = if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else if cfg!(windows) {
            home.join("AppData/Roaming")
        } else {
            home.join(".config")
        };
        let project = std::env::current_dir().map_err(|e| format!("no directory to be in: {e}"))?;
        Ok(Dirs { home, app_settings, project })
    }
}

impl Client {
    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// True when there is a trace of it on this machine.
    pub(crate) fn is_there(self, dirs: &Dirs) -> bool {
        let home = |name: &str| dirs.home.join(name).exists();
        match self {
            Client::ClaudeCode => home(".claude") || home(".claude.json"),
            Client::ClaudeDesktop => dirs.app_settings.join("Claude").exists(),
            Client::Codex => home(".codex"),
            Client::Cursor => home(".cursor"),
            Client::Gemini => home(".gemini"),
            Client::Opencode => home(".config/opencode"),
            Client::Vscode => dirs.app_settings.join("Code/User").exists(),
            Client::Windsurf => home(".codeium/windsurf"),
            Client::Zed => home(".config/zed"),
        }
    }

    /// The file that names its servers; `None` where it has none for a project.
    pub(crate) fn servers(self, reach: Reach, dirs: &Dirs) -> Option<(PathBuf, Form)> {
        let (user, project, form) = match self {
            Client::ClaudeCode => {
                (dirs.home.join(".claude.json"), Some(".mcp.json"), Form::JsonStdio("mcpServers"))
            }
            Client::ClaudeDesktop => {
                let file = "Claude/claude_desktop_config.json";
                (dirs.app_settings.join(file), None, Form::Json("mcpServers"))
            }
            Client::Codex => {
                let file = ".codex/config.toml";
                (dirs.home.join(file), Some(file), Form::Toml("mcp_servers"))
            }
            Client::Cursor => {
                let file = ".cursor/mcp.json";
                (dirs.home.join(file), Some(file), Form::Json("mcpServers"))
            }
            Client::Gemini => {
                let file = ".gemini/settings.json";
                (dirs.home.join(file), Some(file), Form::Json("mcpServers"))
            }
            Client::Opencode => {
                let file = dirs.home.join(".config/opencode/opencode.json");
                (file, Some("opencode.json"), Form::JsonList("mcp"))
            }
            Client::Vscode => {
                let file = dirs.app_settings.join("Code/User/mcp.json");
                (file, Some(".vscode/mcp.json"), Form::JsonStdio("servers"))
            }
            Client::Windsurf => (
                dirs.home.join(".codeium/windsurf/mcp_config.json"),
                None,
                Form::Json("mcpServers"),
            ),
            Client::Zed => {
                let file = dirs.home.join(".config/zed/settings.json");
                (file, Some(".zed/settings.json"), Form::Json("context_servers"))
            }
        };
        match reach {
            Reach::User => Some((user, form)),
            Reach::Project => project.map(|file| (dirs.project.join(file), form)),
        }
    }

    /// The file that names its hooks, where it has hooks that are recorded.
    pub(crate) fn hooks(self, reach: Reach, dirs: &Dirs) -> Option<PathBuf> {
        let base = match reach {
            Reach::User => &dirs.home,
            Reach::Project => &dirs.project,
        };
        (self == Client::ClaudeCode).then(|| base.join(".claude/settings.json"))
    }
}

impl Form {
    /// The key that the servers are under.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Form::Json(key) | Form::JsonStdio(key) | Form::JsonList(key) | Form::Toml(key) => key,
        }
    }

    /// What is put there.
    pub(crate) fn entry(self, command: &str, args: &[String]) -> Value {
        match self {
            Form::Json(_) | Form::Toml(_) => json!({ "command": command, "args": args }),
            Form::JsonStdio(_) => json!({ "type": "stdio", "command": command, "args": args }),
            Form::JsonList(_) => {
                let mut line = vec![command.to_owned()];
                line.extend_from_slice(args);
                json!({ "type": "local", "command": line, "enabled": true })
            }
        }
    }

    /// The program that an entry starts.
    pub(crate) fn program(entry: &Value) -> Option<&str> {
        let command = entry.get("command")?;
        command.as_str().or_else(|| command.get(0)?.as_str())
    }
}

/// True for a program that is this one, wherever it is.
pub(crate) fn is_ours(program: &str) -> bool {
    Path::new(program).file_stem().is_some_and(|name| name == "memory-mcp")
}
