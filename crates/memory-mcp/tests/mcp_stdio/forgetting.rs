//! What is forgotten is gone for every process.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Era, Server};

const TASK: &str = "Rotate the signing key of the token service";

/// What a process finds of an episode and of the lesson that it alone taught.
fn traces(server: &mut Server, id: &str, lesson: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut look = |path, is_there| {
        if is_there {
            found.push(path);
        }
    };
    look("get_episode", !server.call("get_episode", json!({"episode_id": id})).is_error);
    let listed = server.done("list_episodes", json!({"limit": 100}));
    look("list_episodes", listed.to_string().contains(id));
    let recalled = server.done("recall", json!({"task": TASK, "budget_tokens": 3000})).to_string();
    look("recall", recalled.contains(id));
    look("recalled lessons", recalled.contains(lesson));
    let arguments = json!({"task": TASK, "recall_budget_tokens": 2000});
    let started = server.done("start_episode", arguments).to_string();
    look("start_episode", started.contains(id) || started.contains(lesson));
    for subject in [id, lesson] {
        let word = json!({"subject_id": subject, "verdict": "helped"});
        look("feedback", !server.call("feedback", word).is_error);
    }
    let step = json!({"episode_id": id, "steps": [{"action": "x"}]});
    look("log_steps", !server.call("log_steps", step).is_error);
    found
}

#[test]
fn a_forgotten_episode_is_found_by_no_path_in_any_process() {
    let data = TempDir::new().unwrap();
    let mut one = Server::open(data.path(), Era::Modern);
    let mut other = Server::open(data.path(), Era::Modern);
    let id = one.start(TASK);
    let step = |action: &str, error: Value| {
        let success = error.is_null();
        json!({"tool": "bash", "action": action, "success": success, "error": error})
    };
    let steps = [
        step("vault rotate", json!("Error: lease has expired")),
        step("docker login", Value::Null),
        step("vault rotate", Value::Null),
    ];
    one.done("log_steps", json!({"episode_id": id, "steps": steps}));
    let completed = one.done("complete_episode", json!({"episode_id": id, "outcome": "success"}));
    let lessons = completed["lessons"].as_array().unwrap();
    let rule = lessons.iter().find(|lesson| lesson["kind"] == "heuristic").unwrap();
    let lesson = rule["lesson_id"].as_str().unwrap().to_owned();
    // Both processes have it in their caches; only the steps of a completed episode are refused.
    for server in [&mut one, &mut other] {
        let found = traces(server, &id, &lesson);
        assert_eq!(found.len(), 7, "{found:?}");
    }
    one.done("forget_episode", json!({"episode_id": id}));
    for server in [&mut one, &mut other] {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut found = traces(server, &id, &lesson);
        while !found.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
            found = traces(server, &id, &lesson);
        }
        assert!(found.is_empty(), "still found by {found:?}");
    }
    one.close();
    other.close();
}
