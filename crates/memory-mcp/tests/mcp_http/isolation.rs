//! Another project's data is out of reach by any tool, resource, prompt, cursor, completion or id.

use memory_core::Timestamp;
use memory_mcp::http::Token;
use serde_json::{Value, json};

use crate::client::{Server, bearer};

/// Planted in the one project, and asked for by no request: it must not be seen from the other.
const SECRET: &str = "xyzzy";

/// What is asked for.
const TASK: &str = "Oil the squeaking hinge of the cellar door";

const TASK_TYPE: &str = "glazing";

/// The answer to any request.
fn ask(server: &Server, token: &Token, method: &str, params: &Value) -> Value {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = server.post(&[&bearer(token)], &message.to_string());
    assert_eq!(answer.status, 200, "{method} {params}: {answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn completion(template: &str, argument: &str) -> Value {
    let reference = json!({ "type": "ref/resource", "uri": template });
    json!({ "ref": reference, "argument": { "name": argument, "value": "" } })
}

#[test]
fn another_projects_data_is_out_of_reach_by_any_means() {
    let server = Server::start(|_| {});
    let token = |name: &str| server.tokens.create(name, vec![name.into()], Timestamp(0)).unwrap();
    let (web, api) = (token("web"), token("api"));
    let mut ids = Vec::new();
    for n in 0..60 {
        let task = if n == 0 { TASK.to_owned() } else { format!("Open door number {n}") };
        let start = json!({
            "task": format!("{task} {SECRET}"), "task_type": TASK_TYPE,
            "metadata": { "door": SECRET }, "recall_budget_tokens": 0,
        });
        let started = server.call(&web, "start_episode", &start);
        ids.push(started["structuredContent"]["episode_id"].as_str().unwrap().to_owned());
    }
    let id = &ids[0];
    let steps = |error: &str| {
        json!({ "episode_id": id, "steps": [
            { "tool": "bash", "action": "pip install psycopg2", "success": false, "error": error },
            { "tool": "bash", "action": "apt-get install libpq-dev", "success": true },
        ]})
    };
    let error = format!("pg_config executable not found {SECRET}");
    server.call(&web, "log_steps", &steps(&error));
    let complete = json!({
        "episode_id": id, "outcome": "success", "reflection": { "next_time": [SECRET] },
    });
    let done = server.call(&web, "complete_episode", &complete);
    let lesson = done["structuredContent"]["lessons"][0]["lesson_id"].clone();
    assert!(lesson.is_string(), "{done}");
    let cursor = server.call(&web, "list_episodes", &json!({ "limit": 1 }));
    let cursor = &cursor["structuredContent"]["next_cursor"];
    let resources = ask(&server, &web, "resources/list", &json!({}));
    let resource_cursor = &resources["result"]["nextCursor"];
    assert!(cursor.is_string() && resource_cursor.is_string(), "{cursor} {resource_cursor}");

    let tool = |name: &str, arguments: Value| {
        ("tools/call", json!({ "name": name, "arguments": arguments }))
    };
    let prompt = |name: &str, arguments: Value| {
        ("prompts/get", json!({ "name": name, "arguments": arguments }))
    };
    let mut requests = vec![
        tool("start_episode", json!({ "task": TASK })),
        tool("start_episode", json!({ "task": "x", "project": "web" })),
        tool("start_episode", json!({ "task": "Take an id over", "episode_id": ids[1] })),
        tool("log_steps", steps("another")),
        tool("complete_episode", json!({ "episode_id": ids[1], "outcome": "failure" })),
        tool("recall", json!({ "task": TASK, "episode_id": id })),
        tool("recall", json!({ "task": TASK, "project": "web" })),
        tool("get_episode", json!({ "episode_id": id })),
        tool("list_episodes", json!({})),
        tool("list_episodes", json!({ "cursor": cursor })),
        tool("list_episodes", json!({ "filter": { "where": "door EXISTS" } })),
        tool("feedback", json!({ "subject_id": lesson, "verdict": "wrong" })),
        tool("feedback", json!({ "subject_id": id, "verdict": "wrong" })),
        tool("forget_episode", json!({ "episode_id": id })),
        prompt("start_task", json!({ "task": TASK })),
        prompt("reflect", json!({ "episode_id": id })),
        prompt("reflect", json!({ "episode_id": id, "project": "web" })),
        ("resources/list", json!({})),
        ("resources/list", json!({ "cursor": resource_cursor })),
        ("completion/complete", completion("episode://{episode_id}", "episode_id")),
        ("completion/complete", completion("playbook://{task_type}", "task_type")),
    ];
    for query in ["", "?project=web"] {
        for uri in [format!("episode://{id}{query}"), format!("playbook://{TASK_TYPE}{query}")] {
            requests.push(("resources/read", json!({ "uri": uri })));
        }
    }
    for (method, params) in &requests {
        let answer = ask(&server, &api, method, params);
        let told = answer.to_string();
        // What the caller said itself may come back.
        let said = params.to_string();
        for planted in [SECRET, "door number", "psycopg2", TASK_TYPE] {
            let leaked = told.contains(planted) && !said.contains(planted);
            assert!(!leaked, "{planted}: {method} {params}: {told}");
        }
        let others = ids.iter().filter(|other| told.contains(*other) && !said.contains(*other));
        assert_eq!(others.count(), 0, "{method} {params}: {told}");
    }
    let refused =
        ask(&server, &api, "tools/call", &tool("list_episodes", json!({ "cursor": cursor })).1);
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    let refused = ask(&server, &api, "resources/list", &json!({ "cursor": resource_cursor }));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");

    // All of it is as it was.
    let shown = server.call(&web, "get_episode", &json!({ "episode_id": id }));
    assert_eq!(shown["structuredContent"]["total_steps"], 2, "{shown}");
    let shown = server.call(&web, "get_episode", &json!({ "episode_id": ids[1] }));
    assert_eq!(shown["structuredContent"]["episode"]["state"], "running", "{shown}");
    let recalled = server.call(&web, "recall", &json!({ "task": TASK }));
    assert!(recalled.to_string().contains(id.as_str()), "feedback of others counts: {recalled}");
}
