//! What others send: messages of MCP clients to a real process, answers of a server to a real client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use memory_core::store::{Filter, ListQuery, Scope};
use memory_core::{EpisodeStore, Error};
use memory_storage_turso::{BreakerConfig, RemoteConfig, RetryConfig, TursoStore};
use memory_testkit::fuzz::{fuzz, peak_memory};
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story::{completed, save};
use serde_json::{Value, json};

use crate::cases;

/// A server process that must survive everything.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Process {
    fn start(data: &std::path::Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory-mcp"));
        command.args(["serve", "--log", "off", "--data-dir"]).arg(data);
        command.env("XDG_CONFIG_HOME", data).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Process { child, output, asked: 0 }
    }

    /// Sends a line, and a ping whose answer shows that the line was dealt with; now and then a call of
    /// a tool, whose answer shows that those are still served. Gives what came before that answer.
    fn send(&mut self, line: &[u8]) -> String {
        self.asked += 1;
        let id = format!("ping {}", self.asked);
        let ping = if self.asked.is_multiple_of(50) {
            request(&id, "tools/call", json!({"name": "list_episodes", "arguments": {"limit": 1}}))
        } else {
            request(&id, "ping", json!({}))
        };
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(&[line, b"\n", ping.as_bytes(), b"\n"].concat()).unwrap();
        let mut before = String::new();
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server ended");
            let answer: Value = serde_json::from_str(&line).unwrap();
            // What a panic in a tool is told as.
            assert!(!line.contains("an internal error"), "{line}");
            if answer["id"] == id.as_str() {
                let is_tool = self.asked.is_multiple_of(50);
                assert!(!is_tool || answer["result"]["isError"] == false, "{line}");
                return before;
            }
            assert_eq!(answer["jsonrpc"], "2.0", "{line}");
            let text = &answer["result"]["content"][0]["text"];
            before = format!("{} {text}", answer["error"]["message"]);
        }
    }
}

fn request(id: &str, method: &str, mut params: Value) -> String {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

#[test]
fn mcp_messages() {
    let data = tempfile::tempdir().unwrap();
    let mut process = Process::start(data.path());
    let id = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4c5d";
    let call = |tool: &str, arguments: Value| {
        request("1", "tools/call", json!({"name": tool, "arguments": arguments}))
    };
    let steps = json!([{"tool": "bash", "action": "ls", "parameters": {"a": [1, null]}, "success": true,
                        "at": "2026-01-01T00:00:00Z", "latency_ms": 5}]);
    let corpus = [
        call("start_episode", json!({"episode_id": id, "task": "t", "metadata": {"a": 1}})),
        call("log_steps", json!({"episode_id": id, "steps": steps, "first_step": 1})),
        call("complete_episode", json!({"episode_id": id, "outcome": "success", "reward": 0.5})),
        call("recall", json!({"task": "t", "budget_tokens": 500, "where": "a = 1"})),
        call("get_episode", json!({"episode_id": id, "step_count": 3})),
        call("list_episodes", json!({"limit": 3, "states": ["success"]})),
        call("feedback", json!({"subject_id": id, "verdict": "helped"})),
        call("forget_episode", json!({"episode_id": id})),
        request("2", "tools/list", json!({})),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "1"}})
            .to_string(),
        json!({"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}})
        .to_string(),
    ];
    let corpus = corpus.map(String::into_bytes).to_vec();
    fuzz("mcp_messages", &cases("mcp_messages"), corpus, |input| process.send(input));
    let peak = peak_memory(process.child.id());
    println!("the server took {peak} MiB at most");
    assert!(peak < 512, "{peak} MiB");
    drop(process.child.stdin.take());
    assert!(process.child.wait().unwrap().success());
}

/// Reads one HTTP message: head, and the body by its length.
fn message(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let mut body = vec![0; length.map_or(0, |n| n.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// What the listener answers with.
type Script = Arc<Mutex<Answers>>;

enum Answers {
    /// What the server behind it says, which is noted.
    Noted(SocketAddr, Vec<Vec<u8>>),
    /// This.
    These(Vec<u8>),
}

fn serve(stream: TcpStream, script: &Script) -> Option<()> {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = message(&mut stream) {
        let answer = match &mut *script.lock().unwrap() {
            Answers::These(answer) => answer.clone(),
            Answers::Noted(address, noted) => {
                let mut upstream = TcpStream::connect(*address).ok()?;
                let path = head.split(' ').nth(1)?;
                let length = body.len();
                let head = format!(
                    "POST {path} HTTP/1.0\r\nhost: x\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\n\r\n"
                );
                upstream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
                let mut answer = Vec::new();
                upstream.read_to_end(&mut answer).ok()?;
                let start = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
                let body = answer.split_off(start);
                noted.push(body.clone());
                body
            }
        };
        let length = answer.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.get_mut().write_all(&[head.as_bytes(), &answer].concat()).ok()?;
    }
    Some(())
}

/// Whatever a server answers, the client says in time what it makes of it.
#[test]
fn answers_of_a_server() {
    let Some(server) = Server::start(Options::default()) else { return };
    let script: Script = Arc::new(Mutex::new(Answers::Noted(server.address(), Vec::new())));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shared = script.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let script = shared.clone();
            std::thread::spawn(move || serve(stream, &script));
        }
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _within = runtime.enter();
    let connect = || {
        TursoStore::connect(RemoteConfig {
            warm_connections: 0,
            deadline: Duration::from_secs(5),
            retry: RetryConfig { budget: 0.0, ..RetryConfig::default() },
            breaker: BreakerConfig { failures: 1000, ..BreakerConfig::default() },
            ..RemoteConfig::at(&*url)
        })
        .unwrap()
    };
    let episode = completed("fuzz", "repair the login", memory_core::OutcomeKind::Success);
    let query = ListQuery { scope: Scope::All, filter: Filter::default(), after: None, limit: 5 };
    let mut store = connect();
    runtime.block_on(async {
        save(&store, &episode, 0).await.unwrap();
        store.list(&query).await.unwrap();
        store.changes(None).await.unwrap();
    });
    // Not in a pattern of `let`, which would hold the lock to the end.
    let corpus = match &*script.lock().unwrap() {
        Answers::Noted(_, noted) => noted.clone(),
        Answers::These(_) => panic!("they were noted"),
    };
    let mut n = 0_u64;
    fuzz("answers_of_a_server", &cases("answers_of_a_server"), corpus, |input| {
        n += 1;
        if n.is_multiple_of(500) {
            // A client that saw nothing but failures would rightly stop asking.
            *script.lock().unwrap() = Answers::Noted(server.address(), Vec::new());
            store = connect();
            runtime.block_on(store.ready()).unwrap();
        }
        *script.lock().unwrap() = Answers::These(input.to_vec());
        runtime.block_on(async {
            // One that knows the schema, and one that asks for it first.
            let fresh;
            let store = if n.is_multiple_of(4) {
                fresh = connect();
                &fresh
            } else {
                &store
            };
            let say = |e: Error| e.to_string();
            match n % 3 {
                0 => format!("{:?}", save(store, &episode, 0).await.map(drop).map_err(say)),
                1 => format!("{:?}", store.list(&query).await.map(drop).map_err(say)),
                _ => {
                    let found = store.get(&Scope::All, &[episode.id]).await;
                    format!("{:?}", found.map(drop).map_err(say))
                }
            }
        })
    });
}
