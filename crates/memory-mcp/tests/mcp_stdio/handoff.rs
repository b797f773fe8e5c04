//! Work that one process begins and another ends.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Era, Server};

const TASK: &str = "Deploy the billing service to the staging cluster";

/// An episode in which the chart was not found until the repository was refreshed.
fn earlier_episode(server: &mut Server) {
    let id = server.start(TASK);
    let step = |action: &str, error: Value| {
        let success = error.is_null();
        json!({"tool": "bash", "action": action, "success": success, "error": error})
    };
    let steps = [
        step("helm upgrade billing", json!("Error: chart not found in repository")),
        step("docker login", Value::Null),
        step("helm upgrade billing", Value::Null),
    ];
    server.done("log_steps", json!({"episode_id": id, "steps": steps}));
    server.done("complete_episode", json!({"episode_id": id, "outcome": "success"}));
}

fn stats(lesson: &Value, server: &mut Server) -> (u64, f64) {
    let found = server.done("recall", json!({"task": TASK, "budget_tokens": 3000}));
    let lessons = found["lessons"].as_array().unwrap();
    let same = lessons.iter().find(|l| l["id"] == *lesson).unwrap();
    (lessons.len() as u64, same["confidence"].as_f64().unwrap())
}

#[test]
fn a_killed_agents_work_is_resumed_by_another_and_its_outcome_counts_for_what_was_recalled() {
    let data = TempDir::new().unwrap();
    let mut first = Server::open(data.path(), Era::Modern);
    earlier_episode(&mut first);
    let started = first.done("start_episode", json!({"task": TASK}));
    let lesson = started["memory"]["lessons"][0]["id"].clone();
    assert!(lesson.is_string(), "{started}");
    let (_, before) = stats(&lesson, &mut first);
    let id = started["episode_id"].as_str().unwrap().to_owned();
    for n in 1..=6 {
        let step = json!({"tool": "bash", "action": format!("kubectl get pods, look {n}")});
        first.done("log_steps", json!({"episode_id": id, "steps": [step]}));
    }
    let note = "the pods are up; next: run the smoke test";
    let noted = first.done("log_steps", json!({"episode_id": id, "checkpoint": note}));
    assert_eq!(noted, json!({"episode_id": id, "first_step": 7, "total_steps": 7}));
    first.kill();

    let mut second = Server::open(data.path(), Era::Legacy);
    let running = second.done("list_episodes", json!({"filter": {"states": ["running"]}}));
    assert_eq!(running["episodes"][0]["episode_id"], json!(id));
    let shown = second.done("get_episode", json!({"episode_id": id}));
    let handoff = shown["handoff"].as_str().unwrap();
    assert_eq!(shown["total_steps"], 7);
    for said in [TASK, note, "Done so far: 6 steps", "look 1", "look 6", "from number 8"] {
        assert!(handoff.contains(said), "{said:?} is not in {handoff}");
    }
    assert_eq!(stats(&lesson, &mut second).1, before, "a running episode says nothing yet");
    let step = json!({"tool": "bash", "action": "make smoke", "success": true});
    second.done("log_steps", json!({"episode_id": id, "steps": [step], "first_step": 8}));
    second.done("complete_episode", json!({"episode_id": id, "outcome": "success"}));
    let shown = second.done("get_episode", json!({"episode_id": id}));
    assert!(shown["handoff"].is_null() && shown["total_steps"] == 8);
    assert!(stats(&lesson, &mut second).1 > before, "the outcome counts for the lesson");
    second.close();
}
