//! What the HTTP server promises to those who may call, and to those who may not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod client;
mod isolation;

use std::io::{BufReader, Read, Write};
use std::process::Command;
use std::time::Duration;

use client::{Server, bearer, call, read};
use memory_core::Timestamp;
use serde_json::{Value, json};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn foreign_hosts_and_origins_are_refused_on_every_path() {
    let server = Server::start(|_| {});
    let token = bearer(&server.token);
    let own = format!("Origin: http://{}", server.address);
    assert_eq!(server.post(&[&token], PING).status, 200);
    assert_eq!(server.post(&[&token, &own], PING).status, 200);
    for path in ["POST /mcp", "GET /mcp", "GET /healthz", "GET /nowhere"] {
        for foreign in ["Host: evil.example", "Origin: http://evil.example", "Origin: null"] {
            let answer = server.send(path, &[&token, foreign, "Content-Length: 0"], b"");
            assert_eq!(answer.status, 403, "{path} {foreign} {answer:?}");
        }
    }
    assert_eq!(server.send("GET /healthz", &[], b"").body, "ok\n");
}

#[test]
fn without_one_good_token_nothing_is_read() {
    let server = Server::start(|_| {});
    let good = bearer(&server.token);
    let truncated = &good[..good.len() - 1];
    let longer = format!("{good}A");
    let wrong = "Authorization: Bearer mmcp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let cases: [&[&str]; 7] = [
        &[],
        &[wrong],
        &[truncated],
        &[&longer],
        &[&good, &good],
        &["Authorization: Bearer"],
        &["Authorization: Basic bWU6aHVzaA=="],
    ];
    for headers in cases {
        // The body that is announced never comes: the answer does not wait for it.
        let mut headers = headers.to_vec();
        headers.push("Content-Length: 5000000");
        let answer = server.send("POST /mcp", &headers, b"");
        assert_eq!(answer.status, 401, "{headers:?} {answer:?}");
        assert!(answer.headers.contains("www-authenticate: bearer"), "{answer:?}");
    }
    let in_url = format!("POST /mcp?access_token={}", server.token.reveal());
    let answer = server.send(&in_url, &["Content-Length: 0"], b"");
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(!answer.body.contains(server.token.reveal()));
}

#[test]
fn a_token_opens_its_projects_and_nothing_else() {
    let server = Server::start(|_| {});
    let make = |name: &str, projects: &[&str]| {
        let projects = projects.iter().map(|&p| p.to_owned()).collect();
        server.tokens.create(name, projects, Timestamp(0)).unwrap()
    };
    let (web, api) = (make("web", &["web", "shop"]), make("api", &["api"]));
    let started = server.call(&web, "start_episode", &json!({ "task": "Paint the door green" }));
    let started = &started["structuredContent"];
    assert_eq!(started["project"], "web", "the first of its own, when the call says nothing");
    let id = &started["episode_id"];

    for project in ["web", "default"] {
        let result =
            server.call(&api, "get_episode", &json!({"episode_id": id, "project": project}));
        assert_eq!(result["isError"], true);
        assert!(text(&result).contains("is not open to this token; it may use api"), "{result}");
    }
    for tool in ["get_episode", "forget_episode"] {
        let result = server.call(&api, tool, &json!({ "episode_id": id }));
        assert_eq!(result["isError"], true, "{tool} {result}");
        assert!(text(&result).contains("not found"), "{tool} {result}");
    }
    let step = json!({ "episode_id": id, "steps": [{ "tool": "t", "action": "a" }] });
    assert_eq!(server.call(&api, "log_steps", &step)["isError"], true);
    let complete = json!({ "episode_id": id, "outcome": "success" });
    assert_eq!(server.call(&api, "complete_episode", &complete)["isError"], true);
    let list = server.call(&api, "list_episodes", &json!({}));
    assert_eq!(list["structuredContent"]["episodes"], json!([]));
    let recalled = server.call(&api, "recall", &json!({ "task": "Paint the door green" }));
    assert!(!text(&recalled).contains("door"), "{recalled}");

    // Who may see it sees it; and a token that is taken back opens nothing from then on.
    assert_eq!(server.call(&web, "get_episode", &json!({ "episode_id": id }))["isError"], false);
    assert!(server.tokens.revoke("web").unwrap());
    assert_eq!(server.post(&[&bearer(&web)], PING).status, 401);
}

#[test]
fn large_deep_and_broken_bodies_get_the_right_error_and_the_server_lives() {
    let server = Server::start(|_| {});
    let token = bearer(&server.token);
    let post = |body: &str| server.post(&[&token], body);
    assert_eq!(post(&" ".repeat(9 << 20)).status, 413);
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let chunked = chunk.repeat(64);
    let headers = [token.as_str(), "Transfer-Encoding: chunked"];
    assert_eq!(server.send("POST /mcp", &headers, chunked.as_bytes()).status, 413);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let nested = json!({ "task": "t", "metadata": { "deep": serde_json::from_str::<Value>(&deep).unwrap() }});
    let answer = post(&call("start_episode", &nested));
    assert!(answer.body.contains("metadata[deep]"), "{answer:?}");
    let deeper = "[".repeat(200_000);
    for broken in [deeper.as_str(), "{", "nonsense", "[]", "{\"jsonrpc\":\"2.0\",\"id\":1}"] {
        let answer = post(broken);
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    assert_eq!(post(PING).status, 200);
}

#[test]
fn a_slow_client_is_cut_off_and_idle_strangers_keep_nobody_out() {
    let server = Server::start(|config| {
        config.max_connections = 8;
        config.header_timeout = Duration::from_secs(2);
    });
    let mut slow = server.connect();
    slow.write_all(b"POST /mcp HTTP/1.1\r\nHost: loc").unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{rest:?}");

    // Far more than there are slots for; a client with a token still gets through at once.
    let _strangers: Vec<_> = (0..100).map(|_| server.connect()).collect();
    let token = bearer(&server.token);
    assert_eq!(server.post(&[&token], PING).status, 200);
}

#[test]
fn a_trusted_connection_is_kept_and_answers_follow_each_other_on_it() {
    let server = Server::start(|config| config.max_connections = 4);
    let token = bearer(&server.token);
    let length = format!("Content-Length: {}", PING.len());
    let mut stream = server.connect();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for round in 0..3 {
        server.write(&mut stream, "POST /mcp", &[&token, &length], PING.as_bytes());
        assert_eq!(read(&mut answers).unwrap().status, 200, "{round}");
        let _strangers: Vec<_> = (0..16).map(|_| server.connect()).collect();
    }
}

#[test]
fn beyond_its_rate_a_token_is_told_to_wait() {
    let server = Server::start(|config| config.requests_per_second = 1);
    let token = bearer(&server.token);
    let answers: Vec<_> = (0..40).map(|_| server.post(&[&token], PING)).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("no 429 in 40");
    assert!(refused.headers.contains("retry-after: 1"), "{refused:?}");
    assert!(answers.iter().filter(|answer| answer.status == 200).count() >= 1);
}

#[test]
fn a_request_in_flight_is_answered_before_the_server_ends() {
    let mut server = Server::start(|_| {});
    let body = call("start_episode", &json!({ "task": "Outlive the server" }));
    let (head, tail) = body.split_at(body.len() / 2);
    let length = format!("Content-Length: {}", body.len());
    let token = bearer(&server.token);
    let mut stream = server.connect();
    let headers = [token.as_str(), &length, "Expect: 100-continue"];
    server.write(&mut stream, "POST /mcp", &headers, head.as_bytes());
    // The request is under way once the server asks for its body.
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut asked = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    answers.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{asked:?}");
    std::thread::scope(|scope| {
        scope.spawn(|| server.stop());
        stream.write_all(tail.as_bytes()).unwrap();
        let answer = read(&mut answers).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body.contains("episode_id"), "{answer:?}");
    });
}

#[test]
fn a_thousand_idle_connections_keep_nobody_out() {
    // Both ends of them are in this process.
    let own = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &own, "--nofile=8192:"]).status().unwrap();
    assert!(raised.success());
    let server = Server::start(|_| {});
    let _idle: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    let token = bearer(&server.token);
    for _ in 0..10 {
        assert_eq!(server.post(&[&token], PING).status, 200);
    }
    assert_eq!(server.send("GET /healthz", &[], b"").status, 200);
}

#[test]
fn requests_of_the_same_id_are_answered_each_by_its_own() {
    let server = Server::start(|_| {});
    let tasks: Vec<String> = (0..20).map(|n| format!("Use one id for all, {n}")).collect();
    std::thread::scope(|scope| {
        for task in &tasks {
            let server = &server;
            scope.spawn(move || {
                let started = server.call(&server.token, "start_episode", &json!({ "task": task }));
                let id = &started["structuredContent"]["episode_id"];
                let shown = server.call(&server.token, "get_episode", &json!({ "episode_id": id }));
                assert_eq!(shown["structuredContent"]["episode"]["task"], *task, "{shown}");
            });
        }
    });
}
