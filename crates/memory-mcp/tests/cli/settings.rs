//! Where values come from, and what is said about wrong ones.

use crate::world::{Ran, World, episode, text};

#[test]
fn config_shows_each_value_and_its_source() {
    let world = World::new();
    let file = world.write("settings.toml", "project = 'shop'\n[cache]\nmemory_bytes = 1048576\n");
    let mut command = world.command(&["config", "--json", "--config", text(&file)]);
    command.env("MEMORY_MCP_LOG", "error").args(["--set", "database.readers=2"]);
    let shown = Ran::of(&command.output().unwrap()).done().stdout;
    let config: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let both = |name: &str| (config[name]["value"].to_string(), config[name]["from"].to_string());
    let from_file = format!("\"file {}\"", text(&file));
    assert_eq!(both("project"), ("\"shop\"".into(), from_file.clone()));
    assert_eq!(both("cache.memory_bytes"), ("1048576".into(), from_file));
    assert_eq!(both("log"), ("\"error\"".into(), "\"environment MEMORY_MCP_LOG\"".into()));
    assert_eq!(both("database.readers"), ("2".into(), "\"flag\"".into()));
    assert_eq!(both("database.synchronous"), ("\"full\"".into(), "\"default\"".into()));
}

#[test]
fn the_usual_settings_file_is_found_without_asking() {
    let world = World::new();
    std::fs::create_dir_all(world.path(".config/memory-mcp")).unwrap();
    world.write(".config/memory-mcp/config.toml", "project = 'from-home'\n");
    let shown = world.run(&["config"]).done().stdout;
    assert!(shown.contains("from-home"), "{shown}");
}

#[test]
fn without_settings_the_data_lives_in_the_home_directory() {
    let world = World::new();
    let mut command = world.command(&["stats"]);
    Ran::of(&command.env_remove("MEMORY_MCP_DATA_DIR").output().unwrap()).done();
    assert!(world.path(".local/share/memory-mcp/memory.db").is_file());
}

#[test]
fn a_misspelt_setting_is_named_with_what_was_meant() {
    let world = World::new();
    let file = world.write("settings.toml", "[cache]\nmemory_byte = 1\n");
    let ran = world.run(&["stats", "--config", text(&file)]).failed(2);
    let ran = ran.says("cache.memory_byte").says("did you mean cache.memory_bytes?");
    assert!(ran.stderr.contains(text(&file)), "{}", ran.stderr);
    world.run(&["stats", "--set", "projct=x"]).failed(2).says("did you mean project?");
    world.run(&["stats", "--set", "project"]).failed(2).says("has no value");
    world.run(&["stats", "--set", "payload.codec=xml"]).failed(2).says("`messagepack` or `json`");
    world.run(&["stats", "--log", "wran"]).failed(2).says("\"wran\", which is no level");
    assert!(!world.path("data").exists(), "a wrong setting must not create anything");
}

#[test]
fn episodes_written_with_one_codec_are_read_under_another() {
    let world = World::new();
    let one = world.write("1.jsonl", &crate::world::lines(&[episode(1, "first task", "success")]));
    let two = world.write("2.jsonl", &crate::world::lines(&[episode(2, "second task", "success")]));
    world.run(&["import", text(&one), "--set", "payload.codec=json"]).done();
    world.run(&["import", text(&two), "--set", "payload.codec=messagepack"]).done();
    for codec in ["payload.codec=json", "payload.codec=messagepack", "payload.compression=gzip"] {
        let exported = world.run(&["export", "--kind", "episode", "--set", codec]).done().stdout;
        assert_eq!(exported.lines().count(), 2);
    }
}

#[test]
fn the_readme_names_every_setting_with_its_default_and_every_command() {
    let readme = include_str!("../../../../README.md");
    let world = World::new();
    let config = world.json(&["config"]);
    for (name, setting) in config.as_object().unwrap() {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table of settings"));
        let default = setting["value"].to_string();
        let default = default.trim_matches('"');
        assert!(name == "data_dir" || row.contains(default), "{default} is not in: {row}");
    }
    let help = world.run(&["--help"]).done().stdout;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let command = line.split_whitespace().next().unwrap();
        let named = readme.contains(&format!("| `memory-mcp {command}"));
        assert!(named || command == "help", "{command} is not in the table of commands");
    }
}
