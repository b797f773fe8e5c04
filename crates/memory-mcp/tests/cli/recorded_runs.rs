//! The real runs, where they are there.

use std::io::Write;
use std::path::PathBuf;

use memory_testkit::sqld::{Options, Server};

use crate::world::{World, text};

/// A folder of recorded runs, or a line that says that the test is skipped.
pub(crate) fn recorded(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    // Not `println`: the test harness would keep it to itself.
    let _ = writeln!(std::io::stderr(), "skipped: no recorded runs at {}", folder.display());
    None
}

#[test]
fn tau_bench_has_200_episodes_of_which_84_succeeded() {
    let Some(folder) = recorded("tau-bench") else { return };
    let world = World::new();
    assert_eq!(world.json(&["import", text(&folder)])["total"]["added"], 200);
    let stats = world.json(&["stats"]);
    assert_eq!((&stats["outcomes"]["success"], &stats["episodes"]), (&84.into(), &200.into()));
}

#[test]
fn software_engineering_runs_and_sessions_are_all_there() {
    let (Some(swe), Some(claude)) = (recorded("swe-agent"), recorded("claude-code")) else {
        return;
    };
    let world = World::new();
    assert_eq!(world.json(&["import", text(&swe)])["total"]["added"], 15);
    assert_eq!(world.json(&["import", text(&claude)])["total"]["added"], 4);
    assert_eq!(world.json(&["import", text(&swe), text(&claude)])["total"]["added"], 0);
}

#[test]
fn intercode_comes_in_whole_once_and_recall_puts_the_solved_attempt_first() {
    let Some(folder) = recorded("intercode") else { return };
    let world = World::new();
    assert_eq!(world.json(&["import", text(&folder)])["total"]["added"], 2511);
    assert_eq!(world.json(&["import", text(&folder)])["total"]["added"], 0);
    let stats = world.json(&["stats"]);
    assert_eq!((&stats["outcomes"]["success"], &stats["episodes"]), (&1465.into(), &2511.into()));

    let task =
        "Change directory to the directory containing the executable file of command \"python\"";
    let recalled = world.json(&["recall", task, "--budget-tokens", "500"]);
    let items = recalled["items"].as_array().unwrap();
    let rewards: Vec<f64> = items.iter().take(2).map(|i| i["reward"].as_f64().unwrap()).collect();
    assert_eq!(rewards, [1.0, 0.68], "{recalled}");
    for item in items.iter().take(2) {
        assert!(item["done"][0].as_str().unwrap().contains("which python"), "{item}");
        assert!(item["why"].as_str().unwrap().contains("same task"), "{item}");
    }
    // Once is enough.
    assert!(items[0]["task"].as_str().unwrap().starts_with("Change directory to the directory"));
    assert_eq!(items[1].get("task"), None, "{recalled}");
    assert!(recalled["tokens"].as_u64().unwrap() <= 500, "{recalled}");
    let nonsense = world.run(&["recall", "flibbertigibbet snorkelwhack"]).done().stdout;
    assert!(nonsense.starts_with("Nothing relevant"), "{nonsense}");
}

#[test]
fn everything_recorded_goes_to_a_server_and_back_to_the_byte() {
    let Some(folder) = recorded("") else { return };
    let Some(server) = Server::start(Options::default()) else { return };
    let world = World::new();
    world.run(&["import", text(&folder)]).done();
    world.run(&["copy", "--to", &server.url()]).done();
    let back = world.path("back.db");
    world.run(&["copy", "--from", &server.url(), "--to", text(&back)]).done();
    let exported = world.run(&["export"]).done().stdout;
    assert!(exported.lines().count() > 2_700, "{}", exported.lines().count());
    assert!(exported == world.run(&["export", "--database", text(&back)]).done().stdout);
}

#[test]
fn everything_recorded_survives_export_and_import_to_the_byte() {
    let Some(folder) = recorded("") else { return };
    let (first, second) = (World::new(), World::new());
    first.run(&["import", text(&folder)]).done();
    let exported = first.run(&["export"]).done().stdout;
    let file = second.write("export.jsonl", &exported);
    second.run(&["import", text(&file)]).done();
    assert!(exported == second.run(&["export"]).done().stdout, "the exports differ");
}
