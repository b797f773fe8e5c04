//! Every command on a small memory.

use std::io::Read;
use std::process::Stdio;

use crate::world::{Ran, World, episode};

const LOGIN: &str = "fix the flaky login test";
const CART: &str = "make the cart total round correctly";

fn shop() -> World {
    World::with(&[episode(1, LOGIN, "success"), episode(2, CART, "failure")])
}

#[test]
fn list_shows_the_newest_first_and_filters() {
    let world = shop();
    let shown = world.run(&["list"]).done().stdout;
    assert!(shown.find(CART).unwrap() < shown.find(LOGIN).unwrap(), "{shown}");

    let tasks = |arguments: &[&str]| {
        let listed = world.json(&[&["list"], arguments].concat());
        let episodes = listed["episodes"].as_array().unwrap();
        episodes
            .iter()
            .map(|e| e["task_description"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(tasks(&["--outcome", "success"]), [LOGIN]);
    assert_eq!(tasks(&["--outcome", "success,failure"]), [CART, LOGIN]);
    assert_eq!(tasks(&["--where", "attempt=2"]), [CART]);
    assert_eq!(tasks(&["--where", "green=true", "--where", "repo=shop-api"]), [LOGIN]);
    assert_eq!(tasks(&["--since", "2026-03-03"]), [CART]);
    assert_eq!(tasks(&["--until", "2026-03-03"]), [LOGIN]);
    assert_eq!(tasks(&["--language", "python"]), [""; 0]);
    assert_eq!(tasks(&["--project", "other"]), [""; 0]);
    assert_eq!(tasks(&["--project", "shop", "--task-type", "bugfix"]), [CART, LOGIN]);
}

#[test]
fn list_pages_do_not_overlap() {
    let world = shop();
    let first = world.json(&["list", "--limit", "1"]);
    let next = first["next"].as_str().unwrap();
    let second = world.json(&["list", "--limit", "1", "--after", next]);
    assert_eq!(first["episodes"][0]["task_description"], CART);
    assert_eq!(second["episodes"][0]["task_description"], LOGIN);
    assert!(second["next"].is_null());
}

#[test]
fn show_has_the_whole_episode() {
    let world = shop();
    let id = world.id_of(LOGIN);
    let shown = world.run(&["show", &id]).done().stdout;
    for part in [LOGIN, &id, "success", "the checker said so", "cargo test --test t1", "1 passed"] {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }
    let json = world.json(&["show", &id]);
    assert_eq!(json["episode"]["steps"][0]["action"], "cargo test --test t1");
    assert!(json["lessons"].is_array());
}

#[test]
fn stats_counts_by_outcome_and_says_what_a_write_survives() {
    let world = shop();
    let stats = world.json(&["stats"]);
    assert_eq!(stats["episodes"], 2);
    assert_eq!(stats["outcomes"]["success"], 1);
    assert_eq!(stats["outcomes"]["failure"], 1);
    assert_eq!(stats["outcomes"]["running"], 0);
    assert_eq!(stats["database"]["synchronous"], "full");
    assert!(stats["database"]["bytes"].as_u64().unwrap() > 0);
    let shown = world.run(&["stats"]).done().stdout;
    assert!(shown.contains("2 episodes") && shown.contains("power loss"), "{shown}");
    assert_eq!(world.json(&["stats", "--project", "other"])["episodes"], 0);
}

#[test]
fn forgotten_is_gone_and_stays_gone() {
    let world = shop();
    let id = world.id_of(LOGIN);
    world.run(&["forget", &id, "--yes"]).done();
    world.run(&["show", &id]).failed(3);
    world.run(&["forget", &id]).failed(3).says("nothing was forgotten");
    let again = world.json(&["import", crate::world::text(&world.path("episodes.jsonl"))]);
    assert_eq!(again["total"]["forgotten"], 1);
    assert_eq!(again["total"]["added"], 0);
    world.run(&["show", &id]).failed(3);
    let stats = world.json(&["stats"]);
    assert_eq!((&stats["episodes"], &stats["tombstones"]), (&1.into(), &1.into()));
}

#[test]
fn forgetting_several_is_all_or_nothing_when_one_is_unknown() {
    let world = shop();
    let id = world.id_of(LOGIN);
    let unknown = "0198c0de-0000-7000-8000-000000000000";
    world.run(&["forget", &id, unknown]).failed(3).says(unknown);
    world.run(&["show", &id]).done();
}

#[test]
fn recall_finds_the_run_says_why_and_keeps_to_the_budget() {
    let world = shop();
    let shown = world.run(&["recall", "the", "login", "test", "is", "flaky"]).done().stdout;
    assert!(shown.starts_with("1. success"), "{shown}");
    assert!(shown.contains("cargo test --test t1"), "{shown}");
    for budget in ["120", "150", "300", "1000"] {
        let arguments = ["recall", LOGIN, "--budget-tokens", budget];
        let recalled = world.json(&arguments);
        let limit: u64 = budget.parse().unwrap();
        assert!(recalled["tokens"].as_u64().unwrap() <= limit, "{recalled}");
        assert!(!recalled["items"].as_array().unwrap().is_empty(), "nothing for {budget} tokens");
        for form in [&arguments[..], &[&arguments[..], &["--json"]].concat()] {
            let written = world.run(form).done().stdout;
            let tokens = memory_core::recall::tokens::estimate(&written) as u64;
            assert!(tokens <= limit, "{tokens} of {limit}: {written}");
        }
    }
    let other = world.run(&["recall", LOGIN, "--project", "other"]).done().stdout;
    assert!(other.starts_with("Nothing relevant"), "{other}");
}

#[test]
fn recall_of_nonsense_says_that_nothing_is_relevant() {
    let world = shop();
    let shown = world.run(&["recall", "zyxwv qqrst"]).done().stdout;
    assert!(shown.starts_with("Nothing relevant"), "{shown}");
    assert!(world.json(&["recall", "zyxwv qqrst"])["nothing_relevant"].is_string());
}

#[test]
fn quickstart_recalls_and_teaches_without_touching_the_memory() {
    let world = World::new();
    let mut command = world.command(&["quickstart"]);
    let shown = Ran::of(&command.env_remove("MEMORY_MCP_DATA_DIR").output().unwrap()).done().stdout;
    for part in [
        "47 sample runs",
        "success",
        "failure",
        "What the runs taught",
        "mcp add",
        "\"mcpServers\"",
    ] {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }
    assert!(!shown.contains("Nothing relevant"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "styles in a file: {shown}");
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let json = world.json(&["quickstart"]);
    assert_eq!(json["recalled"].as_array().unwrap().len(), 3);
    assert!(!json["lessons"].as_array().unwrap().is_empty());
}

#[test]
fn serve_ends_in_peace_when_its_client_is_gone_and_prints_only_protocol() {
    let world = shop();
    let mut command = world.command(&["serve"]);
    let ran = Ran::of(&command.stdin(Stdio::null()).output().unwrap()).done();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn completions_are_written_for_every_shell() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.run(&["completions", shell]).done().stdout;
        assert!(script.contains("quickstart"), "{shell}");
    }
}

#[test]
fn help_names_every_exit_code_and_goes_to_stdout() {
    let world = World::new();
    let help = world.run(&["--help"]).done();
    assert!(help.stderr.is_empty());
    for code in ["0 done", "1 the", "2 the", "3 what", "4 an", "130 stopped"] {
        assert!(help.stdout.contains(code), "{code:?} is not in: {}", help.stdout);
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let world = World::new();
    let many: Vec<_> = (0..60)
        .map(|n| {
            let mut one = episode(n, "read a long file", "success");
            one["started_at"] = "2026-03-01T12:00:00Z".into();
            one["ended_at"] = "2026-03-01T12:00:00Z".into();
            one["steps"][0]["observation"] = "x".repeat(20_000).into();
            one
        })
        .collect();
    let file = world.write("many.jsonl", &crate::world::lines(&many));
    world.run(&["import", crate::world::text(&file)]).done();

    let mut command = world.command(&["export"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // The pipe is closed here, with most of the megabyte unread.
    let ran = Ran::of(&child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn no_color_and_pipes_get_plain_text() {
    let world = shop();
    for arguments in [&["list"][..], &["stats"], &["recall", LOGIN]] {
        let ran = world.run(arguments).done();
        assert!(!ran.stdout.contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn tokens_are_made_listed_and_taken_back() {
    let world = shop();
    let token = world.run(&["token", "create", "laptop", "web", "--project", "shop"]).done().stdout;
    assert!(token.starts_with("mmcp_") && token.trim().len() > 40, "{token}");
    let listed = world.json(&["token", "list"]);
    assert_eq!(listed[0]["name"], "laptop");
    assert_eq!(listed[0]["projects"], serde_json::json!(["shop", "web"]));
    assert!(!listed.to_string().contains(token.trim()));
    assert_eq!(world.run(&["token", "create", "laptop"]).code, Some(2));
    world.run(&["token", "revoke", "laptop"]).done();
    assert_eq!(world.run(&["token", "revoke", "laptop"]).code, Some(3));
    assert_eq!(world.json(&["token", "list"]), serde_json::json!([]));
}
