//! What goes in comes out.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::world::{Ran, World, episode, lines, text};

#[test]
fn importing_again_adds_nothing() {
    let world = World::new();
    let records = [episode(1, "first task", "success"), episode(2, "second task", "partial")];
    let file = world.write("runs.jsonl", &lines(&records));
    let first = world.json(&["import", text(&file)]);
    assert_eq!(first["total"]["added"], 2);
    assert_eq!(first["total"]["outcomes"], json!({ "partial": 1, "success": 1 }));
    let again = world.json(&["import", text(&file)]);
    assert_eq!((&again["total"]["added"], &again["total"]["unchanged"]), (&0.into(), &2.into()));
}

#[test]
fn an_export_of_an_import_of_an_export_is_the_same_to_the_byte() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/runs.jsonl");
    let (first, second) = (World::new(), World::new());
    first.run(&["import", samples]).done();
    let forgotten =
        first.id_of("Drop the unused table legacy_tickets from the production database.");
    first.run(&["forget", &forgotten]).done();

    let exported = first.run(&["export"]).done().stdout;
    let file = second.write("export.jsonl", &exported);
    second.run(&["import", text(&file)]).done();
    let again = second.run(&["export"]).done().stdout;
    assert!(exported == again, "the second export differs from the first");
    let kinds = |kind: &str| exported.matches(&format!("{{\"kind\":\"{kind}\"")).count();
    assert_eq!((kinds("episode"), kinds("tombstone")), (46, 1));
    assert!(kinds("pattern") > 0 && kinds("heuristic") > 0);

    let episodes = first.run(&["export", "--kind", "episode"]).done().stdout;
    assert_eq!(episodes.lines().count(), 46);
    assert!(episodes.lines().all(|line| line.starts_with("{\"kind\":\"episode\"")));
}

#[test]
fn export_and_import_can_be_kept_to_one_project() {
    let world = World::with(&[episode(1, "first task", "success")]);
    let plain = world.write("plain.jsonl", "{\"task_description\":\"a note by hand\"}\n");
    world.run(&["import", text(&plain), "--project", "notes"]).done();
    let of = |project: &str| {
        let exported = world.run(&["export", "--kind", "episode", "--project", project]).done();
        exported.stdout.lines().count()
    };
    assert_eq!((of("shop"), of("notes"), of("none")), (1, 1, 0));
    assert_eq!(world.run(&["export", "--kind", "episode"]).done().stdout.lines().count(), 2);
}

#[test]
fn a_file_cut_in_the_middle_gives_everything_before_the_cut_and_names_the_line() {
    let world = World::new();
    let all = lines(&[1, 2, 3].map(|n| episode(n, &format!("task number {n}"), "success")));
    let cut = all.len() - 200;
    let file = world.write("cut.jsonl", all.get(..cut).unwrap());
    let ran = world.run(&["import", text(&file)]).done();
    assert!(ran.stdout.contains("2 added, 1 malformed"), "{}", ran.stdout);
    assert!(ran.stderr.contains("cut.jsonl:3: "), "{}", ran.stderr);
}

#[test]
fn malformed_records_are_counted_and_only_the_first_are_shown() {
    let world = World::new();
    let broken = "{\"kind\":\"episode\",\"id\":7}\n".repeat(50);
    let content = format!("{}{broken}", lines(&[episode(1, "the good one", "success")]));
    let file = world.write("broken.jsonl", &content);
    let ran = world.run(&["import", text(&file)]).done();
    assert_eq!(ran.stderr.matches("broken.jsonl:").count(), 20, "{}", ran.stderr);
    assert!(ran.stderr.contains("30 more records"), "{}", ran.stderr);
    assert_eq!(world.json(&["import", text(&file)])["total"]["malformed"], 50);
}

#[test]
fn what_the_memory_refuses_is_named_and_the_exit_code_tells() {
    let world = World::with(&[episode(1, "first task", "success")]);
    let mut elsewhere = episode(1, "first task", "success");
    elsewhere["project"] = "another".into();
    let records = [elsewhere, episode(2, "second task", "success")];
    let file = world.write("mixed.jsonl", &lines(&records));
    let ran = world.run(&["import", text(&file)]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stdout.contains("1 added, 1 refused"), "{}", ran.stdout);
    assert!(ran.stderr.contains("already recorded in another project"), "{}", ran.stderr);
}

#[test]
fn a_folder_is_walked_and_what_is_not_ours_is_left_alone() {
    let world = World::new();
    std::fs::create_dir_all(world.path("runs/below")).unwrap();
    world.write("runs/a.jsonl", &lines(&[episode(1, "first task", "success")]));
    world.write("runs/below/b.jsonl", &lines(&[episode(2, "second task", "success")]));
    world.write("runs/LICENSE", "do as you like\n");
    let report = world.json(&["import", text(&world.path("runs"))]);
    assert_eq!(report["total"]["added"], 2);
    assert_eq!(report["files"].as_array().unwrap().len(), 2);
    assert!(report["skipped_files"][0]["file"].as_str().unwrap().ends_with("LICENSE"));
}

#[test]
fn secrets_do_not_come_in() {
    let world = World::new();
    let mut one = episode(1, "deploy the site", "success");
    one["steps"][0]["action"] =
        "curl -H 'Authorization: Bearer ghp_0123456789abcdefghijABCDEFGHIJ456789'".into();
    let file = world.write("secret.jsonl", &lines(&[one]));
    world.run(&["import", text(&file)]).done();
    let exported = world.run(&["export"]).done().stdout;
    assert!(!exported.contains("ghp_0123456789"), "{exported}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_import_keeps_what_is_in_and_is_finished_by_running_it_again() {
    const EPISODES: usize = 2000;
    let world = World::new();
    let mut all = String::new();
    for n in 0..EPISODES {
        let mut one = episode(1, &format!("task {n}"), "success");
        one["id"] = format!("0198c0de-7a3b-7c11-9e02-5d1f0000{n:04x}").into();
        one["steps"][0]["observation"] = "a line of output\n".repeat(2000).into();
        all.push_str(&lines(&[one]));
    }
    let file = world.write("large.jsonl", &all);
    let stored = || world.json(&["stats"])["episodes"].as_u64().unwrap();

    let mut command = world.command(&["import", text(&file)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Until the first batch is in; most of the file is still to come then.
    while stored() == 0 && child.try_wait().unwrap().is_none() {}
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap()).failed(130);
    let ran = ran.says("run the same command again");
    let kept = stored();
    assert!(ran.stdout.contains(&format!("{kept} added")), "{kept} stored, told: {}", ran.stdout);

    let rest = world.json(&["import", text(&file)]);
    assert_eq!(rest["total"]["unchanged"], kept);
    assert_eq!(stored(), EPISODES as u64);
}
