//! What is refused, how, and that the server goes on.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Era, Server};

/// A server on a directory of its own.
fn server() -> (TempDir, Server) {
    let data = TempDir::new().unwrap();
    let server = Server::open(data.path(), Era::Legacy);
    (data, server)
}

/// An error that names `words`, and no structured content, which would have to fit the schema.
fn refuses(answer: &Answer, words: &[&str]) {
    assert!(answer.is_error, "{answer:?}");
    assert_eq!(answer.structured, Value::Null);
    assert!(answer.text.chars().count() < 700, "{}", answer.text);
    for word in words {
        assert!(answer.text.contains(word), "no {word:?} in {:?}", answer.text);
    }
}

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn bad_arguments_are_refused_by_the_name_of_the_field() {
    let (_data, mut server) = server();
    let id = server.start("Refuse bad input");
    let long = "y".repeat(5000);
    let step = |step: Value| json!({"episode_id": id, "steps": [{"action": "ls"}, step]});
    let complete =
        |name: &str, value: Value| json!({"episode_id": id, "outcome": "success", name: value});
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("start_episode", json!({}), &["missing field `task`"]),
        ("start_episode", json!({"task": "  "}), &["task: is empty", "say"]),
        ("start_episode", json!({"task": 7}), &["task: ", "integer `7`", "expected a string"]),
        ("start_episode", json!({"task": "a\0b"}), &["task: contains a NUL"]),
        ("start_episode", json!({"task": "x", "tsak": "y"}), &["tsak: unknown field", "task_type"]),
        ("start_episode", json!({"task": "x", long.as_str(): 1}), &["unknown field", "task_type"]),
        ("start_episode", json!({"task": "x", "project": ""}), &["project: is empty"]),
        (
            "start_episode",
            json!({"task": "x", "context": {"complexity": "hard"}}),
            &["context.complexity", "hard", "moderate"],
        ),
        ("start_episode", json!({"task": "x", "metadata": {"a": [1]}}), &["metadata[a]: must be"]),
        (
            "start_episode",
            json!({"task": "x", "recall_budget_tokens": 5}),
            &["recall_budget_tokens: is 5", "at least"],
        ),
        (
            "start_episode",
            json!({"task": "x".repeat(70_000)}),
            &["task: is 70000 bytes long", "65536"],
        ),
        (
            "log_steps",
            json!({"episode_id": "7", "steps": []}),
            &["episode_id: \"7\" is no id", "0198"],
        ),
        ("log_steps", json!({"episode_id": id, "steps": []}), &["steps: is empty"]),
        (
            "log_steps",
            json!({"episode_id": id, "steps": [{"action": "ls"}], "first_step": 0}),
            &["first_step: is 0"],
        ),
        ("log_steps", step(json!({})), &["steps[1].action: is empty", "tool"]),
        ("log_steps", step(json!({"action": "a\0"})), &["steps[1].action: contains a NUL"]),
        (
            "log_steps",
            step(json!({"actoin": "ls"})),
            &["steps[1].actoin: unknown field", "`action`"],
        ),
        (
            "log_steps",
            step(json!({"action": "ls", "latency_ms": -1})),
            &["steps[1].latency_ms", "-1"],
        ),
        (
            "log_steps",
            step(json!({"action": "ls", "observation": "x".repeat(2 << 20)})),
            &["steps[1].observation", "1048576"],
        ),
        (
            "log_steps",
            json!({"episode_id": UNKNOWN, "steps": [{"action": "ls"}]}),
            &[UNKNOWN, "start_episode"],
        ),
        ("complete_episode", complete("reward", json!("NaN")), &["reward: ", "NaN", "a number"]),
        ("complete_episode", complete("reward", json!(1.5)), &["reward: is 1.5", "0 to 1"]),
        (
            "complete_episode",
            json!({"episode_id": id, "outcome": "won"}),
            &["outcome: ", "won", "abstained"],
        ),
        (
            "complete_episode",
            json!({"episode_id": id, "outcome": "abstained"}),
            &["verdict: is empty"],
        ),
        ("complete_episode", json!({"episode_id": UNKNOWN, "outcome": "success"}), &[UNKNOWN]),
        ("recall", json!({"task": ""}), &["task: is empty"]),
        ("recall", json!({"task": "x", "limit": 0}), &["limit: is 0"]),
        (
            "recall",
            json!({"task": "x", "filter": {"states": ["done"]}}),
            &["filter.states[0]: \"done\"", "running"],
        ),
        ("get_episode", json!({"episode_id": UNKNOWN}), &[UNKNOWN, "list_episodes"]),
        ("get_episode", json!({"episode_id": id, "from_step": 0}), &["from_step: is 0"]),
        ("list_episodes", json!({"limit": 101}), &["limit: is 101", "1 to 100"]),
        ("list_episodes", json!({"cursor": "page two"}), &["cursor: is not from a page"]),
        ("list_episodes", json!({"filter": {"since": "soon"}}), &["filter.since: \"soon\""]),
        (
            "feedback",
            json!({"subject_id": id, "verdict": "meh"}),
            &["verdict: ", "meh", "did_not_help"],
        ),
        ("forget_episode", json!({"episode_id": UNKNOWN}), &[UNKNOWN]),
    ];
    for (tool, arguments, words) in cases {
        refuses(&server.call(tool, arguments), words);
    }
    let shown = server.done("get_episode", json!({"episode_id": id}));
    assert_eq!((&shown["total_steps"], &shown["episode"]["state"]), (&json!(0), &json!("running")));
    server.close();
}

#[test]
fn a_completed_episode_takes_no_steps_and_no_second_outcome() {
    let (_data, mut server) = server();
    let id = server.start("Complete me");
    server.done("complete_episode", json!({"episode_id": id, "outcome": "success"}));
    let step = json!({"episode_id": id, "steps": [{"action": "ls"}]});
    refuses(&server.call("log_steps", step), &[&id, "completed", "start_episode"]);
    let again = json!({"episode_id": id, "outcome": "failure"});
    refuses(&server.call("complete_episode", again), &[&id, "completed", "success"]);
    server.close();
}

#[test]
fn a_step_out_of_order_is_a_conflict() {
    let (_data, mut server) = server();
    let id = server.start("Keep the order");
    let step = |first: u32, action: &str| json!({"episode_id": id, "first_step": first, "steps": [{"action": action}]});
    server.done("log_steps", step(1, "one"));
    for (first, action) in [(1, "another"), (3, "three")] {
        let answer = server.call("log_steps", step(first, action));
        refuses(&answer, &[&id, "get_episode"]);
    }
    assert_eq!(server.done("log_steps", step(2, "two"))["total_steps"], 2);
    server.close();
}

/// A call as text, for what `serde_json` cannot write.
fn call(id: &str, tool: &str, arguments: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\",\"arguments\":{arguments}}}}}\n"
    )
}

#[test]
fn numbers_and_nesting_beyond_all_bounds_are_refused_by_the_name_of_the_field() {
    let (_data, mut server) = server();
    let id = server.start("Nest deeply");
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let reward = format!("{{\"episode_id\":\"{id}\",\"outcome\":\"success\",\"reward\":1e999}}");
    let steps =
        format!("{{\"episode_id\":\"{id}\",\"steps\":[{{\"tool\":\"x\",\"parameters\":{deep}}}]}}");
    let metadata = format!("{{\"task\":\"x\",\"metadata\":{{\"a\":{deep}}}}}");
    let cases: [(&str, &str, &[&str]); 4] = [
        ("complete_episode", &reward, &["reward: number out of range"]),
        ("log_steps", &steps, &["steps[0].parameters: is nested deeper than"]),
        ("start_episode", &metadata, &["metadata"]),
        ("start_episode", &deep, &["arguments: must be an object"]),
    ];
    for (tool, arguments, words) in cases {
        server.raw(call("\"deep\"", tool, arguments).as_bytes());
        refuses(&Answer::of(&server.receive()), words);
    }
    server.raw(format!("{deep}\n").as_bytes());
    assert_eq!(server.receive()["error"]["code"], -32600);
    let list = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/list\",\"params\":{{\"x\":{deep}}}}}\n"
    );
    server.raw(list.as_bytes());
    assert_eq!(server.receive()["id"], 9);
    server.start("Go on");
    server.close();
}

#[test]
fn a_message_over_the_limit_is_answered_and_thrown_away() {
    let (_data, mut server) = server();
    let id = server.start("Send too much");
    let huge = format!(
        "{{\"episode_id\":\"{id}\",\"steps\":[{{\"action\":\"{}\"}}]}}",
        "x".repeat(20 << 20)
    );
    server.raw(call("\"huge\"", "log_steps", &huge).as_bytes());
    let refused = server.receive();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("huge"), &json!(-32600)));
    assert!(refused["error"]["message"].as_str().unwrap().contains("the limit is 8388608"));
    server.raw(&[b'x'; 9 << 20]);
    server.raw(b"\n");
    assert_eq!(server.receive()["id"], Value::Null);
    assert_eq!(server.done("get_episode", json!({"episode_id": id}))["total_steps"], 0);
    server.close();
}

#[test]
#[cfg(target_os = "linux")]
fn a_message_of_any_size_costs_bounded_memory() {
    let (_data, mut server) = server();
    server.raw(b"{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":\"");
    let mebibyte = vec![b'x'; 1 << 20];
    (0..128).for_each(|_| server.raw(&mebibyte));
    server.raw(b"\",\"id\":\"last\"}\n");
    assert_eq!(server.receive()["id"], "last");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak of resident memory: {peak_kib} KiB");
    assert!(peak_kib < 96 * 1024, "{peak_kib} KiB");
    server.close();
}

#[test]
fn broken_lines_are_answered_by_the_rules_of_json_rpc() {
    let (_data, mut server) = server();
    let cases: [(&[u8], i64, Value); 9] = [
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,", -32700, Value::Null),
        (b"hello", -32700, Value::Null),
        (b"\xff\xfe{}", -32700, Value::Null),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600, json!(1)),
        (b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", -32600, json!(1)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no/such\"}", -32601, json!(1)),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"no_such\"}}", -32602, json!(1)),
    ];
    for (line, code, id) in cases {
        server.raw(line);
        server.raw(b"\n");
        let answer = server.receive();
        let line = String::from_utf8_lossy(line);
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{line}: {answer}"
        );
    }
    // Blank lines, answers to questions nobody asked, unknown notifications: nothing to say.
    server.raw(b"\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n");
    server.start("Go on");
    server.close();
}

#[test]
fn an_id_that_is_in_use_is_refused_and_the_first_call_is_answered() {
    let (_data, mut server) = server();
    let calls = 40;
    let line = call("7", "start_episode", "{\"task\":\"Use one id for all\"}");
    server.raw(line.repeat(calls).as_bytes());
    let answers: Vec<_> = (0..calls).map(|_| server.receive()).collect();
    assert!(answers.iter().all(|answer| answer["id"] == 7));
    let done = answers.iter().filter(|a| a["result"]["isError"] == false).count();
    let refused = answers.iter().filter(|a| a["error"]["code"] == -32600).count();
    // How many overlap is a matter of timing; that every one is answered once is not.
    assert!(done >= 1 && done + refused == calls, "{done} done, {refused} refused");
    let listed = server.done("list_episodes", json!({"limit": 100}));
    assert_eq!(listed["episodes"].as_array().unwrap().len(), done);
    server.close();
}

#[test]
fn input_that_ends_in_the_middle_of_a_message_is_no_call() {
    let (data, mut server) = server();
    let line = call("7", "start_episode", "{\"task\":\"Cut in the middle\"}");
    server.raw(&line.as_bytes()[..line.len() - 10]);
    server.close_input();
    let (status, rest) = server.wait();
    assert!(status.success(), "{status}");
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0]["error"]["code"], -32700);
    let mut later = Server::open(data.path(), Era::Modern);
    assert_eq!(later.done("list_episodes", json!({}))["episodes"], json!([]));
    later.close();
}
