//! `bench`: every row runs, on and off are different code, and what is missing is said. No times.

use serde_json::Value;

use super::world::{World, text};

/// The binary where no libSQL server is to be found: neither on the PATH nor beside it.
fn without_server(world: &World, arguments: &[&str]) -> super::world::Ran {
    let alone = world.path("memory-mcp");
    std::fs::hard_link(env!("CARGO_BIN_EXE_memory-mcp"), &alone)
        .or_else(|_| std::fs::copy(env!("CARGO_BIN_EXE_memory-mcp"), &alone).map(drop))
        .unwrap();
    let mut command = std::process::Command::new(alone);
    command.args(arguments).env_clear().env("HOME", world.path(""));
    super::world::Ran::of(&command.output().unwrap())
}

#[test]
fn every_local_row_runs_and_its_two_sides_differ() {
    let world = World::new();
    let report_dir = world.path("report");
    let nowhere = world.path("nowhere");
    let ran = without_server(
        &world,
        &[
            "bench",
            "--ab",
            "all",
            "--quick",
            "--json",
            "--data",
            text(&nowhere),
            "--report",
            text(&report_dir),
        ],
    )
    .done();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 20);
    let (mut measured, mut missing) = (0, Vec::new());
    for row in rows {
        if let Some(why) = row["missing"].as_str() {
            assert!(why.contains("sqld") || why.contains("--against"), "{row:#}");
            missing.push(row["id"].as_str().unwrap());
            continue;
        }
        measured += 1;
        assert_eq!(row["differs"], true, "on and off count nearly the same: {row:#}");
        let ratio = &row["timing"]["ratio"];
        if !row["timing"].is_null() {
            let [low, high] = ["low", "high"].map(|end| ratio[end].as_f64().unwrap());
            assert!(low > 0.0 && low <= high, "{row:#}");
        }
    }
    assert_eq!(missing, ["1.1", "1.2", "1.3", "5.1", "5.2", "6.1", "7.1", "8.2"]);
    assert_eq!(measured, 12);
    for guard in report["guards"].as_array().unwrap() {
        assert_eq!(guard["held"], true, "{guard:#}");
    }
    assert_eq!(report["guards"].as_array().unwrap().len(), 4);
    assert!(report["load"]["operations"].as_array().unwrap().len() > 6);
    let markdown = std::fs::read_to_string(report_dir.join("report.md")).unwrap();
    for words in ["| 8.1 | Cache-first reads |", "not measured", "the plan's risks", "hit rate"] {
        assert!(markdown.to_lowercase().contains(&words.to_lowercase()), "{words}\n{markdown}");
    }
    assert!(report_dir.join("rows.svg").is_file() && report_dir.join("report.json").is_file());
}

#[test]
fn an_unknown_row_is_named_with_those_there_are() {
    let world = World::new();
    world.run(&["bench", "--ab", "9.9"]).failed(2).says("9.9").says("8.2");
    world.run(&["bench", "--ab", "7.1", "--against", "nowhere"]).failed(3).says("nowhere");
    world.run(&["bench", "--server", "https://example.org"]).failed(2).says("http://HOST:PORT");
    let both = ["bench", "--ab", "1.1", "--server", "http://127.0.0.1:1"];
    world.run(&both).failed(2).says("cannot be used with");
    let mixed = ["bench", "--ab", "all", "--ab", "9.9"];
    world.run(&mixed).failed(2).says("9.9");
}
