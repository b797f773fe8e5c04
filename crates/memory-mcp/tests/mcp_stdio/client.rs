//! A server process, and the lines that go to and fro.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// How long to wait for a line. Generous: it only decides how a broken server fails the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server process with one client.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    era: Era,
    next_id: u64,
}

/// How the client opens and marks its requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Era {
    /// `initialize`, then bare requests.
    Legacy,
    /// The revision and the client in every request.
    Modern,
}

/// The result of a tool call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) is_error: bool,
    pub(crate) text: String,
    pub(crate) structured: Value,
}

impl Server {
    /// The command line of a server on `data`.
    pub(crate) fn command(data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory-mcp"));
        command.args(["serve", "--data-dir"]).arg(data).env("XDG_CONFIG_HOME", data);
        command
    }

    /// Starts a server; nothing is said yet. Requests will be marked as those of `era`.
    pub(crate) fn run(mut command: Command, era: Era) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let input = child.stdin.take();
        Server { child, input, lines, era, next_id: 1 }
    }

    /// Starts a server on `data`; nothing is said yet.
    pub(crate) fn spawn(data: &Path) -> Self {
        Server::run(Server::command(data), Era::Modern)
    }

    /// Starts a server and opens the connection as clients of `era` do.
    pub(crate) fn open(data: &Path, era: Era) -> Self {
        let mut server = Server::run(Server::command(data), era);
        if era == Era::Legacy {
            let opened = server.request("initialize", initialize("2025-06-18"));
            assert_eq!(opened["result"]["protocolVersion"], "2025-06-18", "{opened}");
            server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        server
    }

    /// The next message; `None` when the process has ended instead.
    pub(crate) fn receive_if_alive(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(parse(&line)),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no answer"),
        }
    }

    /// Ends the input and waits, whatever the process thinks of that.
    pub(crate) fn end(mut self) {
        self.close_input();
        self.child.wait().unwrap();
    }

    /// What a process whose stderr is piped said, and that ended with an error.
    pub(crate) fn end_of_a_failed_one(mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert!(matches!(status.code(), Some(1 | 2)), "{status}: {said}");
        said
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        // Whoever has ended is noticed by its missing answer.
        let _ = self.input.as_mut().unwrap().write_all(bytes);
    }

    /// Writes a message.
    pub(crate) fn send(&mut self, message: &Value) {
        self.raw(format!("{message}\n").as_bytes());
    }

    /// The next message. Whatever is on stdout must be one.
    pub(crate) fn receive(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).unwrap();
        parse(&line)
    }

    /// Writes a request and gives its id.
    pub(crate) fn post(&mut self, method: &str, mut params: Value) -> u64 {
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// A request and its response, of a client that has nothing else in flight.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.post(method, params);
        let response = self.receive();
        assert_eq!(response["id"], id, "{response}");
        response
    }

    /// Calls a tool without waiting; gives the id of the call.
    pub(crate) fn post_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.post("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Answer {
        Answer::of(&self.request("tools/call", json!({"name": tool, "arguments": arguments})))
    }

    /// The structured result of a call that succeeds.
    pub(crate) fn done(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.call(tool, arguments);
        assert!(!answer.is_error, "{tool}: {}", answer.text);
        answer.structured
    }

    /// The id of a new episode.
    pub(crate) fn start(&mut self, task: &str) -> String {
        let started = self.done("start_episode", json!({"task": task}));
        started["episode_id"].as_str().unwrap().to_owned()
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits for the process to end; gives what it still had to say.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<Value>) {
        let rest = self.lines.iter().map(|line| parse(&line)).collect();
        (self.child.wait().unwrap(), rest)
    }

    /// Ends the input; the process must end well, and have nothing left to say.
    pub(crate) fn close(mut self) {
        self.close_input();
        let (status, rest) = self.wait();
        assert!(status.success() && rest.is_empty(), "{status}, {rest:?}");
    }

    /// Kills the process the hard way; gives what it had said before. A last line may be torn.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }
}

impl Answer {
    /// Of a response to `tools/call`.
    pub(crate) fn of(response: &Value) -> Self {
        let result = &response["result"];
        Answer {
            is_error: result["isError"]
                .as_bool()
                .unwrap_or_else(|| panic!("no result of a tool: {response}")),
            text: result["content"][0]["text"].as_str().unwrap().to_owned(),
            structured: result["structuredContent"].clone(),
        }
    }
}

fn parse(line: &str) -> Value {
    let message: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    assert_eq!(message["jsonrpc"], "2.0", "{line}");
    message
}

/// Parameters of `initialize`.
pub(crate) fn initialize(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    })
}
