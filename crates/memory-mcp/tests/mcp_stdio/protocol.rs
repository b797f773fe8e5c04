//! Both eras, sizes, beginnings and ends of a connection.

use std::fs::File;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Era, Server, initialize};

#[test]
fn both_eras_are_served() {
    let data = TempDir::new().unwrap();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut server = Server::spawn(data.path());
        let opened = server.request("initialize", initialize(version));
        assert_eq!(opened["result"]["protocolVersion"], version, "{opened}");
        assert_eq!(opened["result"]["serverInfo"]["name"], "memory-mcp");
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server.send(&json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"}));
        let listed = server.receive();
        assert_eq!(listed["id"], "a");
        assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 8, "{listed}");
        server.close();
    }
    let mut server = Server::open(data.path(), Era::Modern);
    let discovered = server.request("server/discover", json!({}));
    let versions = discovered["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28"), "{discovered}");
    let listed = server.request("tools/list", json!({}));
    assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 8, "{listed}");
    server.close();
}

#[test]
fn what_a_client_puts_before_its_model_is_small() {
    let data = TempDir::new().unwrap();
    let mut server = Server::spawn(data.path());
    let opened = server.request("initialize", initialize("2025-11-25"));
    let instructions = opened["result"]["instructions"].as_str().unwrap();
    assert!(instructions.chars().count() < 2048);
    let listed = server.request("tools/list", json!({})).to_string();
    println!("tools/list: {} bytes, instructions: {} characters", listed.len(), instructions.len());
    assert!(listed.len() < 8000, "{} bytes", listed.len());
    server.close();
}

#[test]
fn results_keep_to_the_schemas_of_their_tools() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let tools = server.request("tools/list", json!({}))["result"]["tools"].clone();
    let id = server.start("Check the schemas");
    let step = json!({"tool": "bash", "action": "ls", "success": true});
    for (tool, arguments) in [
        ("start_episode", json!({"task": "Check the schemas again"})),
        ("log_steps", json!({"episode_id": id, "steps": [step]})),
        ("complete_episode", json!({"episode_id": id, "outcome": "success"})),
        ("recall", json!({"task": "Check the schemas"})),
        ("get_episode", json!({"episode_id": id, "step_count": 0})),
        ("list_episodes", json!({"limit": 1})),
        ("feedback", json!({"subject_id": id, "verdict": "helped"})),
        ("forget_episode", json!({"episode_id": id})),
    ] {
        let definition = tools.as_array().unwrap().iter().find(|t| t["name"] == tool).unwrap();
        for (argument, value) in arguments.as_object().unwrap() {
            check(&definition["inputSchema"]["properties"][argument], value, tool, argument);
        }
        let result = server.done(tool, arguments);
        for (field, value) in result.as_object().unwrap() {
            check(&definition["outputSchema"]["properties"][field], value, tool, field);
        }
    }
    server.close();
}

/// The value has the type that the schema gives it.
fn check(schema: &Value, value: &Value, tool: &str, field: &str) {
    let fits = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    assert!(fits, "{tool}.{field} is {value}, its schema is {schema}");
}

#[test]
fn a_client_that_begins_wrong_may_begin_again() {
    let data = TempDir::new().unwrap();
    let mut server = Server::spawn(data.path());
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    server.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
    assert_eq!(server.receive()["result"], json!({}));
    server.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}));
    let refused = server.receive();
    assert!(refused["error"]["message"].as_str().unwrap().contains("_meta"), "{refused}");
    server.send(
        &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}),
    );
    let opened = server.request("initialize", initialize("2025-11-25"));
    assert!(opened["result"]["capabilities"]["tools"].is_object(), "{opened}");
    server.close();
}

#[test]
fn the_end_of_input_lets_calls_in_flight_finish_and_is_success() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    server.request("server/discover", json!({}));
    let calls = 60;
    for n in 0..calls {
        server.post_call("start_episode", json!({"task": format!("Call {n} of the last breath")}));
    }
    server.close_input();
    let (status, answers) = server.wait();
    assert!(status.success(), "{status}");
    assert_eq!(answers.len(), calls);
    let mut later = Server::open(data.path(), Era::Modern);
    for answer in &answers {
        let id = &answer["result"]["structuredContent"]["episode_id"];
        later.done("get_episode", json!({"episode_id": id}));
    }
    later.close();
}

#[test]
fn a_last_line_without_its_line_feed_is_answered() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    server.raw(ping.to_string().as_bytes());
    server.close_input();
    let (status, answers) = server.wait();
    assert!(status.success(), "{status}");
    assert_eq!(answers, [json!({"jsonrpc": "2.0", "id": 1, "result": {}})]);
}

#[test]
fn a_request_to_stop_is_success_too() {
    let data = TempDir::new().unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::open(data.path(), Era::Legacy);
        server.start("Wait for a signal");
        let killed = Command::new("kill").arg(signal).arg(server.pid().to_string()).status();
        assert!(killed.unwrap().success());
        let (status, rest) = server.wait();
        assert!(status.success() && rest.is_empty(), "{signal}: {status}, {rest:?}");
    }
}

#[test]
fn what_agents_say_stays_out_of_the_log() {
    let data = TempDir::new().unwrap();
    let log = data.path().join("log");
    let mut command = Server::command(data.path());
    command.env("MEMORY_MCP_LOG", "trace").stderr(File::create(&log).unwrap());
    let mut server = Server::run(command, Era::Modern);
    let planted = "plover xyzzy plugh";
    let id = server.start(planted);
    server.done("log_steps", json!({"episode_id": id, "steps": [{"action": planted}]}));
    server.call("start_episode", json!({"task": "x", "project": 7, "context": planted}));
    server.close();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("TRACE"), "nothing was logged: {log}");
    assert!(!log.contains(planted), "{log}");
}

#[test]
fn a_client_that_outruns_the_server_waits_and_gets_every_answer() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let calls = 3000;
    for _ in 0..calls {
        server.post_call("list_episodes", json!({"limit": 1}));
    }
    let mut answered: Vec<_> = (0..calls).map(|_| server.receive()["id"].as_u64()).collect();
    answered.sort_unstable();
    answered.dedup();
    assert_eq!(answered.len(), calls);
    server.close();
}

#[test]
fn a_cancelled_call_is_not_answered_and_the_others_are() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Legacy);
    let calls: Vec<_> = (0..50)
        .map(|n| server.post_call("start_episode", json!({"task": format!("Task {n}")})))
        .collect();
    let last = *calls.last().unwrap();
    let cancel = json!({"requestId": last, "reason": "changed my mind"});
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}));
    let ping = server.post("ping", json!({}));
    // The cancelled call may have been answered before the cancellation was read, never twice.
    let mut seen = Vec::new();
    while seen.iter().filter(|id| **id != last).count() < calls.len() {
        seen.push(server.receive()["id"].as_u64().unwrap());
    }
    seen.sort_unstable();
    let unique = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), unique);
    assert!(seen.contains(&ping));
    server.close_input();
    assert!(server.wait().0.success());
}
