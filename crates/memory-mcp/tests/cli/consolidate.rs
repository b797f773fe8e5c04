//! Duplicates and old episodes are archived: they stay, and what they taught comes back.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Ran, World, episode};

/// A run of `task` in which a failure was got past, so that there is something to learn.
fn taught(n: u8, task: &str, outcome: &str) -> Value {
    let mut episode = episode(n, task, outcome);
    let step = |number: u8, action: &str, error: Value| {
        json!({"number": number, "tool": "bash", "action": action, "observation": "",
            "success": error.is_null(), "error": error})
    };
    episode["steps"] = json!([
        step(1, "helm upgrade billing", json!("Error: chart not found in repository")),
        step(2, "docker login", Value::Null),
        step(3, "helm upgrade billing", Value::Null),
    ]);
    episode
}

const TASK: &str = "Deploy the billing service to staging";

fn ids(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn duplicates_are_archived_once_and_stay_readable_evidence() {
    let mut other = taught(4, TASK, "success");
    other["steps"][1]["action"] = "docker pull".into();
    let runs =
        [taught(1, TASK, "success"), taught(2, TASK, "success"), taught(3, TASK, "failure"), other];
    let world = World::with(&runs);
    let before = world.run(&["export"]).done().stdout;
    let dry = world.json(&["consolidate", "--dry-run"]);
    assert_eq!((&dry["looked_at"], &dry["dry_run"]), (&json!(4), &json!(true)), "{dry}");
    let first = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4c01";
    assert_eq!(ids(&dry["archived"]), [first], "the later run stays: {dry}");
    assert!(world.run(&["export"]).done().stdout == before, "a dry run changes nothing");
    let told = world.run(&["consolidate", "--dry-run"]).done().stdout;
    assert!(told.contains("repeats 0198c0de-7a3b-7c11-9e02-5d1f2a3b4c02"), "{told}");

    let lessons = || {
        let kinds = ["heuristic", "pattern"];
        kinds.map(|kind| world.run(&["export", "--kind", kind]).done().stdout).concat()
    };
    let taught = lessons();
    assert!(taught.contains(first), "{taught}");
    let as_it_was = world.json(&["show", first]);
    let done = world.json(&["consolidate"]);
    assert_eq!(done["archived"], dry["archived"]);
    assert_eq!(world.json(&["consolidate"])["archived"], json!([]), "nothing is left to do");
    assert_eq!(world.json(&["list"])["episodes"].as_array().unwrap().len(), 3);
    assert_eq!(world.json(&["list", "--archived"])["episodes"].as_array().unwrap().len(), 4);
    let shown = world.json(&["show", first]);
    assert!(shown["episode"]["archived_at"].is_string(), "{shown}");
    assert_eq!(shown["relations"][0]["relation"], "duplicates", "{shown}");
    assert_eq!(shown["episode"]["steps"], as_it_was["episode"]["steps"], "{shown}");
    assert!(lessons() == taught, "it is evidence as before");
    let after = world.json(&["recall", TASK, "--budget-tokens", "3000"]);
    assert!(!after["items"].to_string().contains(first), "{after}");
    world.run(&["verify"]).done();
}

#[test]
fn old_episodes_are_archived_only_when_asked_and_their_lessons_still_come_back() {
    let world =
        World::with(&[taught(1, TASK, "success"), taught(2, "Ship the invoice worker", "success")]);
    assert_eq!(world.json(&["consolidate"])["archived"], json!([]), "age alone is no reason");
    let policy = ["--set", "retention.archive_after_days=30"];
    let consolidate = [&["consolidate"], policy.as_slice()].concat();
    let done = world.json(&consolidate);
    assert_eq!(done["archived"].as_array().unwrap().len(), 2, "{done}");
    assert_eq!(world.json(&consolidate)["archived"], json!([]));
    assert_eq!(world.json(&["list"])["episodes"], json!([]));
    let found = world.json(&["recall", TASK]);
    assert!(found["items"].is_null(), "{found}");
    assert!(found["nothing_relevant"].as_str().unwrap().contains("archived"), "{found}");
    let lesson = found["lessons"].to_string();
    assert!(lesson.contains("docker login"), "what it taught comes back: {found}");
    let archived = world.json(&["recall", TASK, "--archived"]);
    assert_eq!(archived["items"][0]["task"], TASK, "{archived}");
    let moved = world.run(&["export"]).done().stdout;
    let copy = World::new();
    copy.run(&["import", crate::world::text(&copy.write("moved.jsonl", &moved))]).done();
    assert!(copy.run(&["export"]).done().stdout == moved, "archived ones travel as they are");

    // Forgetting reaches what was archived, and the lessons that it alone taught.
    for task in archived["items"].as_array().unwrap() {
        world.run(&["forget", task["id"].as_str().unwrap()]).done();
    }
    let gone = world.json(&["recall", TASK]);
    assert!(!gone.to_string().contains("this task"), "{gone}");
}

#[test]
fn an_idle_server_consolidates_by_itself_only_when_told_to() {
    let world = World::with(&[taught(1, TASK, "success"), taught(2, TASK, "success")]);
    let archived = || world.json(&["list"])["episodes"].as_array().unwrap().len() == 1;
    for (idle, expected) in [("0", false), ("200", true)] {
        let setting = format!("retention.consolidate_after_idle_ms={idle}");
        let mut command = world.command(&["serve", "--set", &setting]);
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let patience = Duration::from_secs(if expected { 30 } else { 2 });
        let deadline = Instant::now() + patience;
        while !archived() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(archived(), expected, "{setting}");
        server.stdin.take().unwrap().flush().unwrap();
        Ran::of(&server.wait_with_output().unwrap()).done();
    }
}
