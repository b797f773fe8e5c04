//! What is forgotten is found by no command, and what hangs on it is gone too.

use serde_json::{Value, json};

use crate::world::{World, episode};

const TASK: &str = "Rotate the signing key of the token service";

/// A run that alone teaches how to get past an expired lease.
fn secret() -> Value {
    let mut secret = episode(1, TASK, "success");
    secret["task_type"] = "rotation".into();
    let step = |number: u8, action: &str, error: Value| {
        json!({"number": number, "tool": "bash", "action": action, "observation": "",
            "success": error.is_null(), "error": error})
    };
    secret["steps"] = json!([
        step(1, "vault rotate", json!("Error: lease has expired")),
        step(2, "docker login", Value::Null),
        step(3, "vault rotate", Value::Null),
    ]);
    secret
}

#[test]
fn no_command_finds_a_forgotten_episode_or_what_it_alone_taught() {
    let world = World::with(&[secret(), episode(2, "Paint the fence", "success")]);
    let [id, other] = [TASK, "Paint the fence"].map(|task| world.id_of(task));
    world.run(&["relate", &other, "follows", &id]).done();
    let recall = ["recall", TASK, "--budget-tokens", "3000"];
    let everywhere = || {
        let commands: [&[&str]; 6] = [
            &recall,
            &["list", "--archived"],
            &["show", &other],
            &["export", "--kind", "episode"],
            &["export", "--kind", "heuristic"],
            &["export", "--kind", "relation"],
        ];
        let found = commands.map(|command| world.run(command).stdout);
        let holds = |text: &String| {
            [&id, TASK, "lease has expired"].iter().any(|sign| text.contains(*sign))
        };
        commands
            .iter()
            .zip(&found)
            .filter(|(_, text)| holds(text))
            .map(|(c, _)| c.join(" "))
            .collect()
    };
    let before: Vec<String> = everywhere();
    assert_eq!(before.len(), 6, "the test looks where it is: {before:?}");
    assert_eq!(world.json(&["playbook", "rotation"])["playbook"]["runs"], 1);

    world.run(&["forget", &id]).done();
    let after: Vec<String> = everywhere();
    assert!(after.is_empty(), "{after:?}");
    for command in [["show", &id], ["resume", &id], ["playbook", "rotation"], ["forget", &id]] {
        world.run(&command).failed(3);
    }
    world.run(&["checkpoint", &id, "still here?"]).failed(1).says("was forgotten");
    world.run(&["relate", &other, "follows", &id]).failed(1).says("was forgotten");
    let left = world.run(&["export", "--kind", "tombstone"]).done().stdout;
    assert!(left.contains(&id) && !left.contains(TASK), "{left}");
    world.run(&["verify"]).done();
}
