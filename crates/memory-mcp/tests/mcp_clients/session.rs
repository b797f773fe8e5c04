//! Talks to the drivers, the programs around the official clients.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const SERVER: &str = env!("CARGO_BIN_EXE_memory-mcp");

/// An installed client: the driver's command line, up to the server's.
pub(crate) struct Client {
    command: Vec<PathBuf>,
    pub(crate) is_pinned_python: bool,
}

impl Client {
    /// The Python client in one of its modes. `None`: not on this machine, and that was said.
    pub(crate) fn python(mode: &str) -> Option<Self> {
        let interpreter = memory_testkit::python::interpreter()?;
        let is_pinned_python = !["legacy", "auto"].contains(&mode);
        let command = vec![interpreter, driver("driver.py"), mode.into()];
        Some(Client { command, is_pinned_python })
    }

    /// A TypeScript package in one of its modes. `None`: not on this machine, and that was said.
    pub(crate) fn typescript(package: &str, mode: &str) -> Option<Self> {
        let modules = memory_testkit::npm::node_modules()?;
        let driver = driver("driver.mjs");
        let command = vec!["node".into(), driver, modules, package.into(), mode.into()];
        Some(Client { command, is_pinned_python: false })
    }
}

fn driver(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp_clients").join(script)
}

/// A client connected to a server process of its own.
pub(crate) struct Session {
    driver: Child,
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What the client learned while connecting: `protocol`, `instructions`, `tools`.
    pub(crate) server: Value,
    http: Option<HttpServer>,
}

/// How a client talks to its server.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Over {
    Stdio,
    Http,
}

/// A server that listens on a port of its own choice.
struct HttpServer {
    process: Child,
    url: String,
    token: String,
}

impl HttpServer {
    fn start(world: &World) -> Self {
        let mut server = Command::new(SERVER);
        server.args(["serve", "--http", "127.0.0.1:0"]).stderr(Stdio::piped());
        let mut process = world.apply(&mut server).spawn().unwrap();
        let mut told = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut after = |words: &str| {
            let line = told.next().unwrap().unwrap();
            line.split_once(words).unwrap_or_else(|| panic!("{line}")).1.to_owned()
        };
        let (url, token) = (after("Serving MCP at "), after("until this process ends: "));
        HttpServer { process, url, token }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // Gone already: nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a server keeps its data, and settings beside that.
pub(crate) struct World {
    home: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl World {
    pub(crate) fn new(settings: Vec<(&'static str, String)>) -> Self {
        World { home: TempDir::new().unwrap(), settings }
    }

    fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("MEMORY_MCP_DATA_DIR", self.home.path().join("data"))
            .env("XDG_CONFIG_HOME", self.home.path().join("config"))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
    }
}

/// The result of a tool call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) is_error: bool,
    pub(crate) text: String,
    pub(crate) structured: Value,
}

impl Session {
    /// Has `client` start a server in `world` and connect to it; over HTTP the server is started first.
    pub(crate) fn open(client: &Client, world: &World, over: Over) -> Self {
        let http = (over == Over::Http).then(|| HttpServer::start(world));
        let (program, arguments) = client.command.split_first().unwrap();
        let mut driver = Command::new(program);
        match &http {
            None => driver.args(arguments).args([SERVER, "serve"]),
            Some(server) => driver.args(arguments).args([&server.url, &server.token]),
        };
        let mut driver =
            world.apply(&mut driver).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let calls = driver.stdin.take().unwrap();
        let answers = BufReader::new(driver.stdout.take().unwrap());
        let mut session = Session { driver, calls, answers, server: Value::Null, http };
        session.server = session.line();
        session
    }

    /// Calls a tool and waits for its result.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Answer {
        let mut line = self.run(&json!({ "do": "call", "name": tool, "arguments": arguments }));
        Answer {
            is_error: line["is_error"] == true,
            text: line["text"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned(),
            structured: line["structured"].take(),
        }
    }

    /// Has the driver do something; its result.
    pub(crate) fn run(&mut self, command: &Value) -> Value {
        self.send(command);
        self.line()
    }

    /// Writes a line to the driver.
    pub(crate) fn send(&mut self, command: &Value) {
        writeln!(self.calls, "{command}").unwrap();
    }

    /// The next line of the driver, which writes its troubles to stderr and ends.
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the client failed: {e}: {line:?}"))
    }

    /// Ends the session the way a client does, and with it the server.
    pub(crate) fn close(mut self) {
        drop(self.calls);
        assert!(self.driver.wait().unwrap().success());
        drop(self.http);
    }
}

impl Answer {
    /// All it says, of a call that succeeded.
    pub(crate) fn done(self) -> String {
        assert!(!self.is_error, "{self:?}");
        format!("{}\n{}", self.text, self.structured)
    }
}
