//! Several real processes on one data directory, in front of a real server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use memory_testkit::sqld::{Options, Server};
use serde_json::{Value, json};

use crate::world::{World, text};

const AGENTS: usize = 8;

/// How old what an agent reads may be.
const BOUND: Duration = Duration::from_millis(500);

/// An agent's session with a server process of its own.
struct Agent {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Agent {
    fn begin(world: &World, settings: &[&str]) -> Self {
        let mut command = world.command(&[&["serve"], settings].concat());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut agent = Agent { process, input, output };
        let client = json!({ "name": "test", "version": "1" });
        agent.ask(
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }),
        );
        agent
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// Calls a tool that must succeed.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let result = &answer["result"];
        assert_ne!(result["isError"], true, "{answer}");
        result["structuredContent"].clone()
    }

    /// State, and steps so far.
    fn sees(&mut self, id: &str) -> (String, u64) {
        let seen = self.call("get_episode", json!({ "episode_id": id }));
        let state = seen["episode"]["state"].as_str().unwrap().to_owned();
        (state, seen["total_steps"].as_u64().unwrap())
    }

    fn end(mut self) {
        drop(self.input.take());
        assert!(self.process.wait().unwrap().success());
    }
}

fn names(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn eight_processes_on_one_directory_see_each_others_writes_within_the_bound() {
    let Some(server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    let bound = format!("cache.max_staleness_ms={}", BOUND.as_millis());
    let settings = ["--database", url.as_str(), "--set", bound.as_str()];
    let mut agents: Vec<Agent> = (0..AGENTS).map(|_| Agent::begin(&world, &settings)).collect();
    let ids: Vec<String> =
        (0..AGENTS).map(|n| format!("0198c0de-7a3b-7c11-9e02-5d1f2a3b4d{n:02x}")).collect();
    for (agent, id) in agents.iter_mut().zip(&ids) {
        let task = format!("work of {id}");
        agent.call("start_episode", json!({ "episode_id": id, "task": task }));
    }
    let all_see = |agents: &mut [Agent], state: &str, steps: u64| {
        std::thread::sleep(BOUND);
        for agent in agents {
            for id in &ids {
                assert_eq!(agent.sees(id), (state.to_owned(), steps), "{id}");
            }
        }
    };
    // Now everybody has everything in the cache.
    all_see(&mut agents, "running", 0);
    for (agent, id) in agents.iter_mut().zip(&ids) {
        let steps = json!([{ "action": "look" }, { "action": "act" }]);
        agent.call("log_steps", json!({ "episode_id": id, "steps": steps }));
    }
    all_see(&mut agents, "running", 2);
    // Each completes what another one began.
    for (agent, id) in agents.iter_mut().rev().zip(&ids) {
        agent.call("complete_episode", json!({ "episode_id": id, "outcome": "success" }));
    }
    all_see(&mut agents, "success", 2);

    // One more process finds no cache file free, and does without.
    let listed = world.json(&[&["list"], &settings[..]].concat());
    assert_eq!(listed["episodes"].as_array().unwrap().len(), AGENTS);

    let cache = world.path("data/cache");
    let there = names(&cache);
    let explained = std::fs::read_to_string(cache.join("README")).unwrap();
    for name in there.iter().filter(|name| *name != "README") {
        let (number, kind) = name.split_once('.').unwrap();
        assert!(number.parse::<usize>().unwrap() < AGENTS, "{name}");
        assert!(explained.contains(&format!("0.{kind}, 1.{kind}")), "{name}: {explained}");
    }
    for n in 0..AGENTS {
        assert!(there.contains(&format!("{n}.redb")), "{there:?}");
    }
    agents.into_iter().for_each(Agent::end);
    let stats = world.json(&[&["stats"], &settings[..]].concat());
    let (memory, file) = (&stats["cache"]["memory"], &stats["cache"]["file"]);
    assert!(memory["hits"].as_u64().unwrap() > 0, "{stats}");
    assert!(file["admissions"].as_u64().unwrap() >= AGENTS as u64 * 8, "{stats}");
    assert_eq!((&memory["entries"], &stats["cache"]["repairs"]), (&0.into(), &0.into()), "{stats}");
    let shown = world.run(&[&["stats"], &settings[..]].concat()).done().stdout;
    assert!(shown.contains("EVICTED") && shown.contains("checksum failures"), "{shown}");
    let names = names(&world.path("data"));
    let expected = ["cache", "pending.db"];
    assert!(expected.iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
}

#[test]
fn without_the_server_reads_go_on_and_say_so_and_what_waits_is_delivered_once() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    let settings = ["--database", url.as_str(), "--set", "writes.when_offline=queue"];
    let settings = [&settings[..], &["--set", "cache.max_staleness_ms=100"]].concat();
    let id = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4e01";
    let queued = "0198c0de-7a3b-7c11-9e02-5d1f2a3b4e02";
    let start =
        |id: &str, task: &str| json!({ "episode_id": id, "task": task, "recall_budget_tokens": 0 });
    let mut agent = Agent::begin(&world, &settings);
    agent.call("start_episode", start(id, "before the outage"));
    agent.call("complete_episode", json!({ "episode_id": id, "outcome": "success" }));
    let get = json!({ "name": "get_episode", "arguments": { "episode_id": id } });
    let told = agent.ask("tools/call", get.clone());
    assert!(told["result"]["_meta"].is_null(), "{told}");
    agent.call("list_episodes", json!({}));

    server.stop();
    std::thread::sleep(Duration::from_millis(150));
    let kept = agent.call("start_episode", start(queued, "during the outage"));
    assert_eq!(kept["kept"], "queued", "{kept}");
    let told = agent.ask("tools/call", get);
    let result = &told["result"];
    assert_eq!(result["structuredContent"]["episode"]["episode_id"], id, "{told}");
    assert_eq!(result["_meta"]["memory-mcp/stale_possible"], true, "{told}");
    assert!(result["content"][1]["text"].as_str().unwrap().contains("out of date"), "{told}");
    // What waits is read by its id; listings say that they lack it.
    assert_eq!(agent.sees(queued), ("running".to_owned(), 0));
    let list = json!({ "name": "list_episodes", "arguments": {} });
    let listed = agent.ask("tools/call", list).to_string();
    assert!(listed.contains("cannot be reached") || listed.contains("not available"), "{listed}");
    // Killed, not ended; the cache file is synced every three seconds.
    std::thread::sleep(Duration::from_secs(4));
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &agent.process.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    agent.process.wait().unwrap();

    let shown = world.run(&[&["show", id], &settings[..]].concat()).done();
    assert!(shown.stderr.contains("out of date"), "{}", shown.stderr);
    server.restart();
    // A copy takes along what waits for its source.
    let copy = world.path("copy.db");
    let copied = world.json(&[&["copy", "--to", text(&copy)], &settings[..]].concat());
    assert_eq!(copied["records"]["episode"]["added"], 2, "{copied}");
    let mut agent = Agent::begin(&world, &settings);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !world.json(&["outbox", "list"]).as_array().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "it was never delivered");
        std::thread::sleep(Duration::from_millis(100));
    }
    let listed = agent.call("list_episodes", json!({}));
    assert_eq!(listed["episodes"].as_array().unwrap().len(), 2, "{listed}");
    agent.end();
    let elsewhere = World::new().json(&["show", queued, "--database", &url]);
    assert_eq!(elsewhere["episode"]["version"], 1);
}
