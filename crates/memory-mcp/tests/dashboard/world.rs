//! A served memory, calls of an agent, a browser that is driven.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use memory_testkit::{npm, programs};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_memory-mcp");

/// A server with a home of its own; a browser where that is asked for.
pub(crate) struct World {
    home: TempDir,
    process: Child,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    pub(crate) token: String,
    browser: Option<Browser>,
}

struct Browser {
    modules: PathBuf,
    chromium: PathBuf,
}

impl World {
    /// With a browser. `None`: not on this machine, and that was said.
    pub(crate) fn new(arguments: &[&str]) -> Option<Self> {
        Self::started(arguments, None, true)
    }

    /// The same with the sample runs of the quickstart in it.
    pub(crate) fn with_samples() -> Option<Self> {
        Self::started(&[], Some("samples/runs.jsonl"), true)
    }

    /// Without a browser.
    pub(crate) fn without_browser(arguments: &[&str]) -> Self {
        Self::started(arguments, Some("samples/runs.jsonl"), false).unwrap()
    }

    fn started(arguments: &[&str], import: Option<&str>, in_browser: bool) -> Option<Self> {
        let browser = match in_browser {
            true => Some(Browser {
                chromium: programs::program("chromium", "chromium")?,
                modules: npm::node_modules()?,
            }),
            false => None,
        };
        let home = TempDir::new().unwrap();
        if let Some(import) = import {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(import);
            let import = command(home.path()).args(["import"]).arg(path).output().unwrap();
            assert!(import.status.success(), "{import:?}");
        }
        // A token to keep, so that the server prints none: what it prints is then the same each time.
        let token = create_token(home.path(), "test", &[]);
        let mut server = command(home.path());
        server.args(["serve", "--http", "127.0.0.1:0"]).args(arguments).stderr(Stdio::piped());
        let mut process = server.spawn().unwrap();
        let mut told = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = told.next().unwrap().unwrap();
        let url = line.split_once("http://").unwrap_or_else(|| panic!("{line}")).1;
        let address = url.trim_end_matches("/mcp").to_owned();
        // Whatever it logs must be read, or it would wait for that.
        std::thread::spawn(move || told.map_while(Result::ok).for_each(drop));
        Some(World { home, process, address, token, browser })
    }

    /// Makes another token.
    pub(crate) fn create_token(&self, name: &str, projects: &[&str]) -> String {
        create_token(self.home.path(), name, projects)
    }

    /// Calls a tool as an agent does; its structured result.
    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let bearer = format!("Authorization: Bearer {}", self.token);
        let headers = [
            bearer.as_str(),
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
        ];
        let answer = self.send("POST", "/mcp", &headers, &body.to_string());
        let message: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(message["result"]["isError"], false, "{message}");
        message["result"]["structuredContent"].clone()
    }

    /// Sends one request.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, body.len());
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n"
        );
        headers.iter().for_each(|line| head.push_str(&format!("{line}\r\n")));
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Lets the browser do what a function of `drive.mjs` says.
    pub(crate) fn drive(&self, scene: &str, config: &Value) {
        self.start_driving(scene, config).done();
    }

    /// The same, while the test goes on.
    pub(crate) fn start_driving(&self, scene: &str, config: &Value) -> Driven {
        let Browser { modules, chromium } = self.browser.as_ref().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let screenshots = here.join("../../target/dashboard");
        std::fs::create_dir_all(&screenshots).unwrap();
        let profile = self.home.path().join("profile");
        let mut process = Command::new("node")
            .arg(here.join("tests/dashboard/drive.mjs"))
            .args([modules.as_path(), chromium, &profile, &screenshots])
            .args([scene, &format!("http://{}", self.address), &config.to_string()])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Driven { scene: scene.to_owned(), process, said }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Gone already: nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A browser at work.
pub(crate) struct Driven {
    scene: String,
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Driven {
    /// Waits until it says that it got that far.
    pub(crate) fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word, "{}: what went wrong is above", self.scene);
    }

    /// Waits for the end, which must be a good one.
    pub(crate) fn done(mut self) {
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{}: what went wrong is above", self.scene);
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env("MEMORY_MCP_DATA_DIR", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"));
    command
}

fn create_token(home: &Path, name: &str, projects: &[&str]) -> String {
    let mut create = command(home);
    create.args(["token", "create", name, "--json"]).args(projects);
    let created = create.output().unwrap();
    assert!(created.status.success(), "{created:?}");
    let created: Value = serde_json::from_slice(&created.stdout).unwrap();
    created["token"].as_str().unwrap().to_owned()
}

/// Takes one request and answers `200`; its head and its body.
pub(crate) fn accept(listener: &std::net::TcpListener) -> (String, String) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).unwrap();
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.trim().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
    (head, String::from_utf8(body).unwrap())
}
