//! A running `memory-mcp serve` and its one client.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::world::World;

pub(crate) struct Session {
    serve: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Session {
    /// Starts the server with these settings, and shakes hands.
    pub(crate) fn start(world: &World, settings: &[&str]) -> Self {
        Session::start_in(world, settings, &std::env::current_dir().unwrap())
    }

    /// The same, with its client in this directory.
    pub(crate) fn start_in(world: &World, settings: &[&str], dir: &std::path::Path) -> Self {
        let mut command = world.command(&[&["serve"], settings].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir(dir);
        let log = world.path("serve.log");
        command.stderr(File::create(&log).unwrap());
        let mut serve = command.spawn().unwrap();
        let input = serve.stdin.take().unwrap();
        let output = BufReader::new(serve.stdout.take().unwrap());
        let mut session = Session { serve, input, output, log };
        session.ask(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        } }));
        session
    }

    /// The result of a tool.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let message =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        self.ask(&message)["result"].clone()
    }

    fn ask(&mut self, message: &Value) -> Value {
        writeln!(self.input, "{message}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// Ends it in good order; what it logged.
    pub(crate) fn end(mut self) -> String {
        drop(self.input);
        let ended = self.serve.wait().unwrap();
        let logged = std::fs::read_to_string(self.log).unwrap();
        assert!(ended.success(), "{logged}");
        logged
    }
}
