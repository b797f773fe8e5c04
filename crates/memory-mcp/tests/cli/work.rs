//! Work in several episodes: relations, checkpoints, playbooks.

use serde_json::{Value, json};

use crate::world::{Ran, World, episode};

/// Work that is still going on.
fn running(n: u8, task: &str) -> Value {
    let mut episode = episode(n, task, "success");
    let fields = episode.as_object_mut().unwrap();
    for field in ["outcome", "ended_at"] {
        fields.remove(field);
    }
    episode
}

#[test]
fn relations_are_shown_from_both_ends_and_a_cycle_is_refused() {
    let world = World::with(&[running(1, "design"), running(2, "build"), running(3, "ship")]);
    let [design, build, ship] = ["design", "build", "ship"].map(|task| world.id_of(task));
    world.run(&["relate", &build, "depends_on", &design]).done();
    world.run(&["relate", &build, "blocks", &ship]).done();
    let shown = world.json(&["show", &build]);
    assert_eq!(shown["relations"].as_array().unwrap().len(), 2, "{shown}");
    let text = world.run(&["show", &design]).done().stdout;
    assert!(text.contains(&format!("{build} depends_on this")), "{text}");
    world.run(&["relate", &design, "follows", &ship]).failed(2).says("cycle");
    world.run(&["relate", &design, "resembles", &ship]).failed(2);
    let unknown = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4cff";
    world.run(&["relate", &design, "follows", unknown]).failed(3);
}

#[test]
fn of_two_processes_that_would_close_a_cycle_together_one_is_refused() {
    let world = World::with(&[running(1, "chicken"), running(2, "egg")]);
    let [a, b] = ["chicken", "egg"].map(|task| world.id_of(task));
    for kind in ["depends_on", "follows", "blocks", "parent"] {
        let world = World::with(&[running(1, "chicken"), running(2, "egg")]);
        let begin = |from: &str, to: &str| {
            let mut command = world.command(&["relate", from, kind, to]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        };
        let both = [begin(&a, &b), begin(&b, &a)];
        let ran = both.map(|child| Ran::of(&child.wait_with_output().unwrap()));
        let mut codes = ran.map(|ran| ran.code);
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(2)], "{kind}");
        let shown = world.json(&["show", &a]);
        assert_eq!(shown["relations"].as_array().unwrap().len(), 1, "{shown}");
    }
}

#[test]
fn a_checkpoint_is_what_a_resumed_episode_begins_with() {
    let world = World::with(&[running(1, "Fix the login test"), episode(2, "done", "success")]);
    let id = world.id_of("Fix the login test");
    world.run(&["checkpoint", &id, "the clock", "is next"]).done();
    let text = world.run(&["resume", &id]).done().stdout;
    for said in ["Fix the login test", "(step 2): the clock is next", "cargo test --test t1"] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    assert_eq!(world.json(&["resume", &id])["steps"], 2);
    world.run(&["resume", &world.id_of("done")]).failed(2).says("completed: success");
}

#[test]
fn a_playbook_tells_what_runs_of_a_task_type_share() {
    let mut failed = episode(3, "c", "failure");
    failed["steps"] = json!([{
        "number": 1, "tool": "bash", "action": "cargo build", "success": false,
        "error": "error: linking with `cc` failed", "observation": "",
    }]);
    let world = World::with(&[episode(1, "a", "success"), episode(2, "b", "success"), failed]);
    let book = world.json(&["playbook", "bugfix"])["playbook"].clone();
    assert_eq!((&book["runs"], &book["successes"]), (&json!(3), &json!(2)));
    assert_eq!(book["steps"][0]["what"], "cargo test");
    assert_eq!((&book["steps"][0]["runs"], &book["steps"][0]["of"]), (&json!(2), &json!(2)));
    assert_eq!(book["errors"][0]["what"], "error: linking with … failed");
    let text = world.run(&["playbook", "bugfix"]).done().stdout;
    assert!(text.contains("cargo test (2 of 2)"), "{text}");
    world.run(&["playbook", "cooking"]).failed(3);
}
