//! A real server behind `--database`, and `copy` to it and back.

use std::process::{Command, Stdio};

use memory_testkit::sqld::{Options, Rights, Server, TokenKey};
use serde_json::{Value, json};

use crate::session::Session;
use crate::world::{Ran, World, episode, lines, text};

pub(crate) const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/runs.jsonl");

fn server() -> Option<Server> {
    Server::start(Options::default())
}

/// What the database holds, as an export.
fn export(world: &World, database: &str) -> String {
    world.run(&["export", "--database", database]).done().stdout
}

#[test]
fn every_command_works_on_a_server() {
    let Some(server) = server() else { return };
    let world = World::new();
    let url = server.url();
    let on = |arguments: &[&str]| world.json(&[arguments, &["--database", &url]].concat());
    assert_eq!(on(&["import", SAMPLES])["total"]["added"], 47);
    assert_eq!(on(&["import", SAMPLES])["total"]["unchanged"], 47);
    let listed = on(&["list", "--limit", "1"]);
    let id = listed["episodes"][0]["id"].as_str().unwrap();
    assert_eq!(on(&["show", id])["episode"]["id"], id);
    let task = listed["episodes"][0]["task_description"].as_str().unwrap();
    assert!(!on(&["recall", task])["items"].as_array().unwrap().is_empty());
    on(&["forget", id]);
    // A second machine, by the variable.
    let other = World::new();
    let mut command = other.command(&["stats", "--json"]);
    let stats = Ran::of(&command.env("MEMORY_MCP_DATABASE", &url).output().unwrap()).done().stdout;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!((&stats["episodes"], &stats["tombstones"]), (&46.into(), &1.into()));
    assert_eq!(stats["database"]["url"], url.as_str());
    let survives = stats["database"]["an_acknowledged_write_survives"].as_str().unwrap();
    assert!(survives.contains("power loss may take the last writes"), "{survives}");
    assert_eq!(stats["connection"]["breaker"], "closed");
    assert_eq!(stats["waiting_on_this_machine"]["queued"], 0);
    assert!(!world.path("data/memory.db").exists(), "nothing of it belongs on this machine");
}

#[test]
fn a_copy_to_a_server_and_back_is_the_same_to_the_byte() {
    let Some(server) = server() else { return };
    let world = World::new();
    world.run(&["import", SAMPLES]).done();
    let task = "Drop the unused table legacy_tickets from the production database.";
    world.run(&["forget", &world.id_of(task)]).done();
    let there = world.json(&["copy", "--to", &server.url()]);
    assert_eq!((&there["same"], &there["records"]["episode"]["added"]), (&true.into(), &46.into()));
    assert_eq!(there["records"]["tombstone"]["added"], 1);
    let back = world.path("back.db");
    let back_again = world.json(&["copy", "--from", &server.url(), "--to", text(&back)]);
    assert_eq!(back_again["same"], true);
    assert_eq!(there["verified"]["sha256_to"], back_again["verified"]["sha256_to"]);
    let exported = world.run(&["export"]).done().stdout;
    assert!(exported == export(&world, &server.url()), "the server's export differs");
    assert!(exported == export(&world, &format!("file:{}", text(&back))), "the file's differs");

    let again = world.json(&["copy", "--to", &server.url()]);
    for kind in ["episode", "pattern", "heuristic", "tombstone"] {
        let counts = &again["records"][kind];
        assert_eq!(counts["already_there"], counts["read"], "{kind}: {counts}");
    }
    assert!(exported == export(&world, &server.url()), "copying again changed something");
}

#[test]
fn a_copy_that_was_killed_half_way_is_completed_by_running_it_again() {
    let Some(server) = server() else { return };
    const EPISODES: u64 = 3000;
    let world = World::new();
    let many: Vec<Value> = (0..EPISODES)
        .map(|n| {
            let mut one = episode(1, &format!("task {n}"), "success");
            one["id"] = format!("0198c0de-7a3b-7c11-9e02-5d1f0000{n:04x}").into();
            one["steps"][0]["observation"] = "a line of output\n".repeat(500).into();
            one
        })
        .collect();
    world.run(&["import", text(&world.write("many.jsonl", &lines(&many)))]).done();

    let stored = || {
        let stats = world.json(&["stats", "--database", &server.url()]);
        stats["episodes"].as_u64().unwrap()
    };
    let mut command = world.command(&["copy", "--to", &server.url()]);
    let mut copy = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while stored() == 0 && copy.try_wait().unwrap().is_none() {}
    let killed = Command::new("kill").args(["-KILL", &copy.id().to_string()]).status().unwrap();
    assert!(killed.success());
    copy.wait().unwrap();
    let kept = stored();
    assert!((1..EPISODES).contains(&kept), "{kept} of {EPISODES} when it was killed");

    let rest = world.json(&["copy", "--to", &server.url()]);
    let counts = &rest["records"]["episode"];
    assert_eq!(counts["already_there"], kept);
    assert_eq!((&counts["added"], &rest["same"]), (&(EPISODES - kept).into(), &true.into()));
    assert!(world.run(&["export"]).done().stdout == export(&world, &server.url()));
}

#[test]
fn a_copy_merges_and_leaves_newer_and_forgotten_episodes_of_the_target_alone() {
    let Some(server) = server() else { return };
    let [first, second, third] =
        [1, 2, 3].map(|n| episode(n, &format!("task number {n}"), "success"));
    let world = World::with(&[first, second.clone(), third]);
    world.run(&["copy", "--to", &server.url()]).done();
    let other = World::with(&[episode(4, "task number 4", "failure")]);
    let mut newer = second;
    newer["version"] = 2.into();
    newer["outcome"]["kind"] = "failure".into();
    let newer = other.write("newer.jsonl", &lines(&[newer]));
    other.run(&["import", text(&newer), "--database", &server.url()]).done();
    other.run(&["copy", "--to", &server.url()]).done();
    let forgotten = world.id_of("task number 3");
    other.run(&["forget", &forgotten, "--database", &server.url()]).done();

    let copied = world.json(&["copy", "--to", &server.url()]);
    let counts = &copied["records"]["episode"];
    assert_eq!((&counts["already_there"], &counts["newer_in_target"]), (&1.into(), &1.into()));
    assert_eq!((&counts["forgotten_in_target"], &copied["same"]), (&1.into(), &true.into()));
    let outcomes = world.json(&["stats", "--database", &server.url()])["outcomes"].clone();
    assert_eq!((&outcomes["success"], &outcomes["failure"]), (&1.into(), &2.into()));

    // And the other way: what is newer there comes back, what was forgotten there goes.
    world.run(&["copy", "--from", &server.url()]).done();
    assert!(world.run(&["export"]).done().stdout == export(&world, &server.url()));
}

#[test]
fn a_server_that_is_down_is_named_and_nothing_is_lost() {
    let world = World::with(&[episode(1, "first task", "success")]);
    let nobody = "http://127.0.0.1:9";
    let file = text(&world.path("episodes.jsonl")).to_owned();
    for arguments in
        [&["stats"][..], &["list"], &["recall", "task"], &["export"], &["import", &file]]
    {
        let ran = world.run(&[arguments, &["--database", nobody]].concat()).failed(1);
        ran.says("127.0.0.1:9");
    }
    world.run(&["copy", "--to", nobody]).failed(1).says("127.0.0.1:9");
    assert_eq!(world.json(&["stats"])["episodes"], 1);
}

#[test]
fn what_is_no_database_is_refused_with_what_would_be_right() {
    let world = World::new();
    let refused = |arguments: &[&str], code| world.run(arguments).failed(code);
    refused(&["stats", "--database", "ftp://host"], 2).says("none of libsql, https, http, file");
    refused(&["stats", "--database", "localhost:8080"], 2).says("http://localhost:8080");
    refused(&["copy", "--from", text(&world.path("no.db")), "--to", "b.db"], 3).says("no.db");
    refused(&["copy", "--to", text(&world.path("data/memory.db"))], 2).says("the same database");
    refused(&["stats", "--set", "remote.max_concurrency=1"], 2).says("remote.max_concurrency");
    refused(&["stats", "--set", "remote.deadline_ms=0"], 2)
        .says("remote.deadline_ms (flag) is zero");
    refused(&["stats", "--set", "writes.when_offline=wait"], 2).says("`refuse` or `queue`");
    refused(&["stats", "--set", "cache.policy=fifo"], 2).says("cache.policy (flag)");
    assert!(!world.path("data").exists(), "a wrong setting must not create anything");
}

#[test]
fn the_token_opens_the_server_and_is_shown_nowhere() {
    let key = TokenKey::generate();
    let options = Options { key: Some(key.clone()), ..Options::default() };
    let Some(server) = Server::start(options) else { return };
    let world = World::new();
    let (token, url) = (key.token(Rights::Full), server.url());
    let run = |arguments: &[&str], token: Option<&str>| {
        let mut command = world.command(&[arguments, &["--database", &url]].concat());
        command.arg("--log").arg("trace");
        if let Some(token) = token {
            command.env("MEMORY_MCP_DATABASE_AUTH_TOKEN", token);
        }
        Ran::of(&command.output().unwrap())
    };
    let secret = token.rsplit('.').next().unwrap();
    let silent = |ran: Ran| {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}", ran.stderr);
        ran
    };
    run(&["stats"], None).failed(1).says("token");
    silent(run(&["stats"], Some(&token))).done();
    silent(run(&["import", SAMPLES], Some(&token))).done();
    let shown = silent(run(&["config"], Some(&token))).done().stdout;
    assert!(shown.contains("[set]"), "{shown}");
    silent(run(&["stats"], Some(&format!("{token}x")))).failed(1).says("token");
    let expired = key.token(Rights::Expired);
    silent(run(&["stats"], Some(&expired))).failed(1);

    let in_url = format!("{url}?authToken={token}");
    silent(world.run(&["stats", "--database", &in_url])).failed(2).says("database.auth_token_file");
    let on_the_command_line = format!("database.auth_token={token}");
    silent(world.run(&["stats", "--set", &on_the_command_line])).failed(2);

    let file = world.write("token", &token);
    let setting = format!("database.auth_token_file={}", text(&file));
    run(&["stats", "--set", &setting], None).done();
    let both = run(&["stats", "--set", &setting], Some(&token));
    silent(both).failed(2).says("leave one of them out");
    let to = ["copy", "--from", SAMPLES, "--to", &url, "--to-token-file", text(&file)];
    world.run(&to).failed(2).says("memory-mcp import");
    let copied = world.json(&["copy", "--from", &url, "--from-token-file", text(&file)]);
    assert_eq!(
        (&copied["same"], &copied["records"]["episode"]["added"]),
        (&true.into(), &47.into())
    );
}

/// Calls tools one after the other, in one session; each with its structured result.
pub(crate) fn call(world: &World, settings: &[&str], calls: &[(&str, Value)]) -> Vec<Value> {
    let mut session = Session::start(world, settings);
    let results = calls.iter().map(|(tool, arguments)| session.call(tool, arguments)).collect();
    session.end();
    results
}

#[test]
fn an_agent_is_told_what_is_journaled_and_another_machine_sees_it_completed() {
    let Some(server) = server() else { return };
    let (world, url) = (World::new(), server.url());
    let id = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4c01";
    let results = call(
        &world,
        &["--database", &url],
        &[
            ("start_episode", json!({ "episode_id": id, "task": "repair the login" })),
            ("log_steps", json!({ "episode_id": id, "steps": [{ "action": "read the log" }] })),
            ("complete_episode", json!({ "episode_id": id, "outcome": "success" })),
        ],
    );
    assert_eq!(results[1]["structuredContent"]["kept"], "journaled", "{}", results[1]);
    assert_eq!(results[2]["structuredContent"]["steps"], 1, "{}", results[2]);
    assert!(results[2]["structuredContent"]["kept"].is_null(), "{}", results[2]);
    let seen = World::new().json(&["show", id, "--database", &url]);
    assert_eq!(seen["episode"]["steps"][0]["action"], "read the log");
}

#[test]
fn queued_writes_are_listed_dropped_and_delivered_once_the_server_is_back() {
    let Some(mut server) = server() else { return };
    let (world, url) = (World::new(), server.url());
    let settings = ["--database", &url, "--set", "writes.when_offline=queue"];
    call(&world, &settings, &[("start_episode", json!({ "task": "before" }))]);
    server.stop();
    let start = |task: &str| ("start_episode", json!({ "task": task, "recall_budget_tokens": 0 }));
    let refused = call(&world, &settings[..2], &[start("refused")]);
    assert_eq!(refused[0]["isError"], true, "{}", refused[0]);
    let queued = call(&world, &settings, &[start("wanted"), start("unwanted")]);
    for result in &queued {
        assert_eq!(result["structuredContent"]["kept"], "queued", "{result}");
    }

    let waiting = world.json(&["outbox", "list"]);
    let waiting = waiting.as_array().unwrap();
    assert_eq!(waiting.len(), 2, "{waiting:?}");
    assert!(waiting.iter().all(|entry| entry["state"] == "queued" && entry["database"] == *url));
    let unwanted = waiting.iter().find(|e| e["what"].as_str().unwrap().contains("unwanted"));
    let unwanted = unwanted.unwrap()["number"].clone();
    let number = unwanted.to_string();
    world.run(&["outbox", "drop", &number]).done();
    world.run(&["outbox", "drop", &number]).failed(3).says("nothing was changed");
    let left = waiting.iter().find(|e| e["number"] != unwanted).unwrap();
    let left = left["number"].to_string();
    world.run(&["outbox", "retry", &left, "--database", &url]).failed(1).says("delivered when");

    server.restart();
    world.run(&["outbox", "retry", &left, "--database", &url]).done();
    assert_eq!(world.json(&["outbox", "list"]), json!([]));
    let listed = world.json(&["list", "--outcome", "running", "--database", &url]);
    let mut tasks: Vec<_> = listed["episodes"].as_array().unwrap().iter().collect();
    tasks.sort_by_key(|e| e["task_description"].as_str().unwrap().to_owned());
    let tasks: Vec<_> = tasks.iter().map(|e| e["task_description"].as_str().unwrap()).collect();
    assert_eq!(tasks, ["before", "wanted"]);
}
