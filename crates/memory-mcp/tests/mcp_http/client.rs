//! A server under test, and requests to it byte by byte: what a careless or hostile client sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{Memory, SystemClock};
use memory_mcp::config::Config;
use memory_mcp::http::{self, Allowed, HttpConfig, Token, TokenFile};
use memory_mcp::mcp::ServeDefaults;
use memory_mcp::telemetry::Telemetry;
use memory_storage::HybridStorage;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server in this process, on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) token: Token,
    pub(crate) tokens: TokenFile,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    _home: TempDir,
}

impl Server {
    /// With limits that a test can reach.
    pub(crate) fn start(limits: impl FnOnce(&mut HttpConfig)) -> Self {
        let home = TempDir::new().unwrap();
        let path = home.path().join("tokens.json");
        let token = Token::generate().unwrap();
        let mut config = HttpConfig {
            allowed: Allowed::parse("", "").unwrap(),
            tokens: TokenFile::at(path.clone()),
            trial: Some(token.clone()),
            max_connections: 512,
            max_requests: 256,
            requests_per_second: 0,
            metrics_need_token: true,
            header_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(60),
        };
        limits(&mut config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let data = home.path().to_owned();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let settings = Config::defaults(data);
                let place = settings.place().unwrap();
                let files = settings.files(&place);
                let store = HybridStorage::open(settings.storage(place)).await.unwrap();
                let memory = Arc::new(Memory::new(store, Arc::new(SystemClock)));
                let defaults = ServeDefaults { project: "default".into() };
                let stopped = async {
                    // The sender is dropped, or sent: both mean the end.
                    let _ = stopped.await;
                };
                let telemetry = Arc::new(Telemetry::new(memory.clone(), files));
                http::serve(listener, memory.clone(), defaults, telemetry, config, stopped).await;
                memory.store().durable().close().await;
            });
        });
        let tokens = TokenFile::at(path);
        Server { address, token, tokens, stop: Some(stop), thread: Some(thread), _home: home }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends header lines (without `Host`, if they have one) and a body.
    pub(crate) fn post(&self, headers: &[&str], body: &str) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let mut lines = headers.to_vec();
        lines.push(&length);
        self.send("POST /mcp", &lines, body.as_bytes())
    }

    /// Sends a request line (without the version), header lines and bytes; reads one answer.
    pub(crate) fn send(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        self.write(&mut stream, request, headers, body);
        read(&mut BufReader::new(stream)).expect("the connection ended without an answer")
    }

    pub(crate) fn write(
        &self,
        stream: &mut TcpStream,
        request: &str,
        headers: &[&str],
        body: &[u8],
    ) {
        let mut head = format!("{request} HTTP/1.1\r\n");
        if !headers.iter().any(|line| line.starts_with("Host:")) {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for line in headers.iter().chain(&[
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
        ]) {
            head.push_str(&format!("{line}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The server may have answered and gone before it read everything.
        let _ = stream.write_all(body);
    }

    /// Calls a tool with a token; the result of the call.
    pub(crate) fn call(&self, token: &Token, tool: &str, arguments: &Value) -> Value {
        let authorization = bearer(token);
        let answer = self.post(&[&authorization], &call(tool, arguments));
        assert_eq!(answer.status, 200, "{answer:?}");
        let message: Value = serde_json::from_str(&answer.body).unwrap();
        message["result"].clone()
    }

    /// Asks the server to end and waits until it has.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn bearer(token: &Token) -> String {
    format!("Authorization: Bearer {}", token.reveal())
}

/// The message of a call, as a client of the legacy era sends it.
pub(crate) fn call(tool: &str, arguments: &Value) -> String {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// The next answer; `None` at the end of the connection.
pub(crate) fn read(stream: &mut BufReader<TcpStream>) -> Option<Answer> {
    let mut headers = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        headers.push_str(&line.to_ascii_lowercase());
    }
    let status = headers.split(' ').nth(1)?.parse().ok()?;
    let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
