//! What an agent does.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Era, Server};

#[test]
fn what_one_process_recorded_a_later_one_recalls_in_both_eras() {
    for era in [Era::Legacy, Era::Modern] {
        let data = TempDir::new().unwrap();
        let mut first = Server::open(data.path(), era);
        let task = "Deploy the billing service to the staging cluster";
        let failed = attempt(&mut first, task, "failure", 8);
        let solved = attempt(&mut first, task, "success", 25);
        first.close();

        let mut later = Server::open(data.path(), era);
        let started = later.done("start_episode", json!({"task": task}));
        let memory = started["memory"].to_string();
        assert!(memory.contains(&solved), "{era:?}: {memory}");
        let found = later.done("recall", json!({"task": task, "budget_tokens": 3000}));
        let ids: Vec<_> = found["items"].as_array().unwrap().iter().map(|i| &i["id"]).collect();
        assert_eq!(ids, [&json!(solved), &json!(failed)], "{era:?}: {found}");
        assert!(found.to_string().contains("pin the chart version"), "{found}");
        let nothing = later.done("recall", json!({"task": "xylophone lessons in Reykjavik"}));
        assert!(nothing["nothing_relevant"].is_string(), "{nothing}");
        later.close();
    }
}

/// An episode of `steps` steps, the second of which fails, logged one by one and then all together.
fn attempt(server: &mut Server, task: &str, outcome: &str, steps: usize) -> String {
    let id = server.start(task);
    let step = |n: usize| {
        json!({
            "tool": "bash",
            "action": format!("helm upgrade billing, attempt {n}"),
            "parameters": {"timeout": n, "flags": ["--atomic"]},
            "observation": if n == 2 { "" } else { "released" },
            "success": n != 2,
            "error": if n == 2 { json!("chart version not found") } else { Value::Null },
        })
    };
    server.done("log_steps", json!({"episode_id": id, "steps": [step(1)]}));
    let rest: Vec<_> = (2..=steps).map(step).collect();
    let logged = server.done("log_steps", json!({"episode_id": id, "steps": rest}));
    assert_eq!(logged, json!({"episode_id": id, "first_step": 2, "total_steps": steps}));
    let reflection = json!({"next_time": ["pin the chart version"]});
    let completed = server.done(
        "complete_episode",
        json!({"episode_id": id, "outcome": outcome, "verdict": "done", "reflection": reflection}),
    );
    assert_eq!((&completed["outcome"], &completed["steps"]), (&json!(outcome), &json!(steps)));
    id
}

#[test]
fn calls_that_are_sent_twice_count_once() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let id = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4c5d";
    let start = json!({"task": "Rename the crate", "episode_id": id});
    let steps = json!({"episode_id": id, "first_step": 1, "steps": [{"action": "cargo mv"}]});
    let complete = json!({"episode_id": id, "outcome": "partial", "reward": 0.25});
    for (tool, arguments) in
        [("start_episode", start), ("log_steps", steps), ("complete_episode", complete)]
    {
        let once = server.done(tool, arguments.clone());
        let twice = server.done(tool, arguments);
        for field in ["episode_id", "total_steps", "reward"] {
            assert_eq!(once[field], twice[field], "{tool}");
        }
    }
    let shown = server.done("get_episode", json!({"episode_id": id}));
    assert_eq!(shown["total_steps"], 1);
    assert_eq!(shown["episode"]["reward"], 0.25);
    assert_eq!(server.done("list_episodes", json!({}))["episodes"].as_array().unwrap().len(), 1);
    server.close();
}

#[test]
fn calls_of_one_client_for_one_episode_may_overlap() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let id = server.start("Watch several builds at once");
    let calls = 50;
    for n in 0..calls {
        let step = json!({"tool": "bash", "action": format!("tail -1 build-{n}.log")});
        server.post_call("log_steps", json!({"episode_id": id, "steps": [step]}));
    }
    for _ in 0..calls {
        let response = server.receive();
        assert_eq!(response["result"]["isError"], false, "{response}");
    }
    let completed =
        server.done("complete_episode", json!({"episode_id": id, "outcome": "unjudged"}));
    assert_eq!(completed["steps"], calls);
    server.close();
}

#[test]
fn long_texts_are_shortened_and_one_step_alone_is_shown_in_full() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let id = server.start("Read a long log");
    let steps: Vec<_> = (1..=30)
        .map(|n| json!({"tool": "bash", "action": "cat build.log", "observation": "x".repeat(n * 500)}))
        .collect();
    server.done("log_steps", json!({"episode_id": id, "steps": steps}));

    let page = server.call("get_episode", json!({"episode_id": id}));
    assert_eq!(page.structured["steps"].as_array().unwrap().len(), 20);
    assert_eq!(page.structured["next_step"], 21);
    assert!(page.text.contains("more characters") && page.text.len() < 10_000, "{}", page.text);
    let rest = server.done("get_episode", json!({"episode_id": id, "from_step": 21}));
    assert_eq!(rest["steps"].as_array().unwrap().len(), 10);
    assert!(rest["next_step"].is_null());
    let one = json!({"episode_id": id, "from_step": 30, "step_count": 1});
    let one = server.done("get_episode", one);
    assert_eq!(one["steps"][0]["observation"].as_str().unwrap().len(), 15_000);
    server.close();
}

#[test]
fn a_listing_goes_on_at_its_cursor_and_keeps_to_its_filter() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let mut running: Vec<String> = Vec::new();
    for n in 0..7 {
        let id = server.start(&format!("Task number {n}"));
        if n % 3 == 0 {
            server.done("complete_episode", json!({"episode_id": id, "outcome": "success"}));
        } else {
            running.push(id);
        }
    }
    running.reverse();
    let mut listed = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let filter = json!({"states": ["running"]});
        let page = json!({"filter": filter, "limit": 3, "cursor": cursor});
        let page = server.done("list_episodes", page);
        let rows = page["episodes"].as_array().unwrap();
        listed.extend(rows.iter().map(|r| r["episode_id"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(listed, running);
    server.close();
}

#[test]
fn the_episodes_of_another_project_are_out_of_reach() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let task = "Rotate the signing keys";
    let started = server.done("start_episode", json!({"task": task, "project": "vault"}));
    let id = started["episode_id"].clone();
    for (tool, arguments) in [
        ("get_episode", json!({"episode_id": id})),
        ("log_steps", json!({"episode_id": id, "steps": [{"action": "peek"}]})),
        ("complete_episode", json!({"episode_id": id, "outcome": "failure"})),
        ("forget_episode", json!({"episode_id": id})),
    ] {
        let answer = server.call(tool, arguments);
        assert!(answer.is_error && answer.text.contains("not found"), "{tool}: {}", answer.text);
    }
    let own = json!({"episode_id": id, "outcome": "success", "project": "vault"});
    server.done("complete_episode", own);
    assert_eq!(server.done("list_episodes", json!({}))["episodes"], json!([]));
    assert!(!server.done("recall", json!({"task": task})).to_string().contains("Rotate"));
    let found = server.done("recall", json!({"task": task, "project": "vault"}));
    assert_eq!(found["items"][0]["id"], id);
    server.close();
}

#[test]
fn what_is_forgotten_or_wrong_is_not_recalled() {
    let data = TempDir::new().unwrap();
    let mut server = Server::open(data.path(), Era::Modern);
    let task = "Compress the nightly database dump";
    let wrong = attempt(&mut server, task, "success", 3);
    let forgotten = attempt(&mut server, task, "success", 4);
    server.done("feedback", json!({"subject_id": wrong, "verdict": "wrong"}));
    server.done("forget_episode", json!({"episode_id": forgotten}));
    let found = server.done("recall", json!({"task": task})).to_string();
    assert!(!found.contains(&wrong) && !found.contains(&forgotten), "{found}");
    let answer = server.call("get_episode", json!({"episode_id": forgotten}));
    assert!(answer.is_error, "{}", answer.text);
    server.close();
}
