//! Setting up clients, checking the setup, watching folders, the manual page.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::hooks::Client;
use crate::world::{World, lines, text};

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn put(world: &World, name: &str, content: &str) -> PathBuf {
    std::fs::create_dir_all(world.path(name).parent().unwrap()).unwrap();
    world.write(name, content)
}

fn changes(world: &World, arguments: &[&str]) -> Vec<String> {
    let done = world.json(&[&["init"], arguments].concat());
    let change = |file: &Value| file["change"].as_str().unwrap().to_owned();
    done["files"].as_array().unwrap().iter().map(change).collect()
}

/// Files of users: comments, odd order and layout, other servers, other hooks.
const CLAUDE_JSON: &str = "{\n  \"zebra\": 1.50,\n  \"mcpServers\": {\n    \"other\": {\"command\":\"x\"}\n  },\n  \"history\": [1,2,   3]\n}\n";
const SETTINGS: &str = "{\n\t\"model\": \"opus\",\n\t\"hooks\": {\n\t\t\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"say done\"}]}]\n\t}\n}";
const VSCODE: &str = "// my servers\n{\n  // the first\n  \"servers\": {}, /* none yet */\n}\n";
const CODEX: &str =
    "# mine\nmodel = \"o9\"   # the best\n\n[mcp_servers.docs]\ncommand = \"docs\"\n";

#[test]
fn init_adds_only_what_it_must_and_remove_gives_the_same_bytes_back() {
    let world = World::new();
    let files = [
        (".claude.json", CLAUDE_JSON),
        (".claude/settings.json", SETTINGS),
        (".config/Code/User/mcp.json", VSCODE),
        (".codex/config.toml", CODEX),
    ];
    for (name, content) in files {
        put(&world, name, content);
    }
    // Without a name: those that are there.
    assert_eq!(changes(&world, &["--dry-run"]), ["added"; 4]);
    for (name, content) in files {
        assert_eq!(read(&world, name), content, "a dry run changed {name}");
    }
    assert_eq!(changes(&world, &[]), ["added"; 4]);
    let program = env!("CARGO_BIN_EXE_memory-mcp");
    let claude: Value = serde_json::from_str(&read(&world, ".claude.json")).unwrap();
    let server = json!({ "type": "stdio", "command": program, "args": ["serve"] });
    assert_eq!(claude["mcpServers"]["memory"], server);
    assert_eq!(claude["mcpServers"]["other"], json!({ "command": "x" }));
    let settings: Value = serde_json::from_str(&read(&world, ".claude/settings.json")).unwrap();
    assert_eq!(settings["hooks"]["Stop"][0]["hooks"][0]["command"], "say done");
    assert_eq!(settings["hooks"]["Stop"][1]["hooks"][0]["command"], format!("{program} hook stop"));
    assert_eq!(settings["hooks"].as_object().unwrap().len(), 6);
    for kept in ["// my servers", "// the first", "/* none yet */"] {
        assert!(read(&world, ".config/Code/User/mcp.json").contains(kept), "{kept}");
    }
    let codex = read(&world, ".codex/config.toml");
    assert!(codex.starts_with(CODEX) && codex.contains("[mcp_servers.memory]"), "{codex}");

    let after: Vec<String> = files.iter().map(|(name, _)| read(&world, name)).collect();
    assert_eq!(changes(&world, &[]), ["unchanged"; 4]);
    assert_eq!(files.map(|(name, _)| read(&world, name)).to_vec(), after, "twice is not once");
    assert_eq!(changes(&world, &["--remove"]), ["removed"; 4]);
    for (name, content) in files {
        assert_eq!(read(&world, name), content, "{name} is not as it was");
        assert!(!world.path(&format!("{name}.before-memory-mcp")).exists());
    }
    assert_eq!(changes(&world, &["--remove"]), ["unchanged"; 4]);
}

#[test]
fn what_others_changed_since_survives_a_removal() {
    let world = World::new();
    put(&world, ".claude.json", CLAUDE_JSON);
    put(&world, ".codex/config.toml", CODEX);
    changes(&world, &["claude-code", "codex", "--no-hooks"]);
    let more = read(&world, ".claude.json").replace("\"zebra\": 1.50", "\"zebra\": 2");
    world.write(".claude.json", &more);
    let more = read(&world, ".codex/config.toml") + "\n[tui]\ntheme = 1 # dark\n";
    world.write(".codex/config.toml", &more);
    assert_eq!(
        changes(&world, &["claude-code", "codex", "--no-hooks", "--remove"]),
        ["removed"; 2]
    );
    let claude: Value = serde_json::from_str(&read(&world, ".claude.json")).unwrap();
    assert_eq!((&claude["zebra"], &claude["mcpServers"]["memory"]), (&2.into(), &Value::Null));
    assert_eq!(claude["mcpServers"]["other"]["command"], "x");
    let codex = read(&world, ".codex/config.toml");
    assert!(codex.contains("theme = 1 # dark") && !codex.contains("memory"), "{codex}");
}

#[test]
fn every_client_gets_a_file_where_it_looks_and_loses_it_again() {
    let world = World::new();
    let clients = [
        "claude-code",
        "claude-desktop",
        "codex",
        "cursor",
        "gemini",
        "opencode",
        "vscode",
        "windsurf",
        "zed",
    ];
    let done = world.json(&[&["init"], &clients[..]].concat());
    let files: Vec<PathBuf> = done["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| PathBuf::from(file["file"].as_str().unwrap()))
        .collect();
    assert_eq!(files.len(), 10);
    for file in &files {
        let content = std::fs::read_to_string(file).unwrap();
        assert!(content.contains("memory-mcp") && content.ends_with('\n'), "{content}");
    }
    let opencode: Value =
        serde_json::from_str(&read(&world, ".config/opencode/opencode.json")).unwrap();
    assert_eq!(opencode["mcp"]["memory"]["command"][1], "serve");
    let doctor = world.json(&["doctor"]);
    let of_clients = |c: &&Value| c["name"] == "client" && c["state"] == "ok";
    let fine = doctor["checks"].as_array().unwrap().iter().filter(of_clients).count();
    assert_eq!(fine, 9, "{doctor}");
    world.json(&[&["init", "--remove"], &clients[..]].concat());
    assert!(files.iter().all(|file| !file.exists()), "a file of ours was left");
}

#[test]
fn a_project_is_set_up_for_everybody_who_works_on_it() {
    let world = World::new();
    std::fs::create_dir(world.path("shop")).unwrap();
    let mut command =
        world.command(&["init", "claude-code", "--scope", "project", "--project", "my shop"]);
    crate::world::Ran::of(&command.current_dir(world.path("shop")).output().unwrap()).done();
    let servers: Value = serde_json::from_str(&read(&world, "shop/.mcp.json")).unwrap();
    let server = &servers["mcpServers"]["memory"];
    assert_eq!(server["command"], "memory-mcp", "another's path differs");
    assert_eq!(server["args"], json!(["serve", "--project", "my shop"]));
    let hooks: Value = serde_json::from_str(&read(&world, "shop/.claude/settings.json")).unwrap();
    let line = "memory-mcp --project 'my shop' hook session-end";
    assert_eq!(hooks["hooks"]["SessionEnd"][0]["hooks"][0]["command"], line);
    world
        .run(&["init", "windsurf", "--scope", "project"])
        .failed(2)
        .says("no servers of a project");
}

#[test]
fn a_file_that_cannot_be_edited_is_left_alone_and_the_snippet_shown() {
    let world = World::new();
    let odd = [
        (".cursor/mcp.json", "{ \"mcpServers\": [1] }"),
        (".gemini/settings.json", "this is { no JSON"),
        (".codex/config.toml", "= nonsense"),
        (".claude.json", "{\"mcpServers\":{\"memory\":{\"command\":\"npx\"}}}"),
    ];
    for (name, content) in odd {
        put(&world, name, content);
    }
    let ran = world.run(&["init", "cursor", "gemini", "codex", "claude-code", "--no-hooks"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stderr.matches("left as it is").count(), 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("another server is called `memory`"), "{}", ran.stderr);
    assert!(ran.stdout.contains("\"serve\"") && ran.stdout.contains("[mcp_servers.memory]"));
    for (name, content) in odd {
        assert_eq!(read(&world, name), content);
    }
    world.run(&["init", "claude-code", "--no-hooks", "--name", "memory2"]).done();
    World::new().run(&["init"]).failed(3).says("no client that is known was found");
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let real = put(&world, "dotfiles/mcp.json", "{}\n");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::create_dir(world.path(".cursor")).unwrap();
    std::os::unix::fs::symlink(&real, world.path(".cursor/mcp.json")).unwrap();
    world.run(&["init", "cursor"]).done();
    assert!(world.path(".cursor/mcp.json").is_symlink());
    assert!(read(&world, "dotfiles/mcp.json").contains("memory-mcp"));
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn the_hooks_that_init_writes_record_a_session() {
    let world = World::new();
    put(&world, ".claude/settings.json", "{}");
    let data = world.path("data");
    world.run(&["init", "claude-code", "--data-dir", text(&data)]).done();
    let settings: Value = serde_json::from_str(&read(&world, ".claude/settings.json")).unwrap();
    for (event, input) in [
        ("SessionStart", json!({ "source": "startup" })),
        ("UserPromptSubmit", json!({ "prompt": "count the tests" })),
        ("PostToolUse", json!({ "tool_name": "Bash", "tool_input": { "command": "ls" } })),
        ("SessionEnd", json!({ "reason": "other" })),
    ] {
        let line = settings["hooks"][event][0]["hooks"][0]["command"].as_str().unwrap();
        let mut input = input;
        input["session_id"] = "by-init".into();
        let mut shell = std::process::Command::new("sh");
        // Nothing but what the client has.
        shell.env_clear().env("HOME", world.path("")).env("MEMORY_MCP_HOOKS_DEADLINE_MS", "60000");
        shell.args(["-c", line]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.to_string().as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    }
    world.id_of("count the tests");
}

#[test]
fn doctor_names_what_is_wrong_and_what_to_do() {
    let world = World::new();
    let state = |world: &World, name: &str| {
        let ran = world.run(&["doctor", "--json"]);
        let doctor: Value = serde_json::from_str(&ran.stdout).unwrap();
        let checks = doctor["checks"].as_array().unwrap().clone();
        let check = checks.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{doctor}"));
        let todo = check["todo"].as_str().unwrap_or_default().to_owned();
        (ran.code, check["state"].as_str().unwrap().to_owned(), todo)
    };
    // Nothing is there yet, and looking makes nothing.
    assert_eq!(state(&world, "database").1, "ok");
    assert_eq!(
        state(&world, "client"),
        (Some(0), "warn".into(), "memory-mcp init, or memory-mcp init CLIENT".into())
    );
    assert!(!world.path("data").exists());
    world.run(&["stats"]).done();
    for name in
        ["data", "clock", "database", "integrity", "plans", "content", "hooks", "permissions"]
    {
        assert_eq!(state(&world, name).1, "ok", "{name}");
    }
    // A client that calls what is not there.
    put(
        &world,
        ".cursor/mcp.json",
        r#"{"mcpServers":{"memory":{"command":"/gone/memory-mcp","args":[]}}}"#,
    );
    assert_eq!(state(&world, "client"), (Some(5), "fail".into(), "memory-mcp init cursor".into()));
    // Others may read it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(world.path("data"), open).unwrap();
        let (_, state, todo) = state(&world, "permissions");
        assert!(state == "warn" && todo.starts_with("chmod"), "{state} {todo}");
    }
    // A damaged file.
    let file = world.path("data/memory.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
    let doctor: Value = serde_json::from_str(&world.run(&["doctor", "--json"]).stdout).unwrap();
    let failed = |name: &str| {
        let checks = doctor["checks"].as_array().unwrap();
        checks.iter().any(|c| c["name"] == name && c["state"] == "fail")
    };
    assert!(failed("database") || failed("integrity"), "{doctor}");
    // A server that is not there.
    let away =
        ["doctor", "--json", "--database", "http://127.0.0.1:9", "--set", "remote.deadline_ms=500"];
    let doctor: Value = serde_json::from_str(&world.run(&away).stdout).unwrap();
    let database = doctor["checks"].as_array().unwrap().iter().find(|c| c["name"] == "database");
    assert_eq!(database.unwrap()["state"], "fail", "{doctor}");
}

#[test]
fn watching_takes_in_what_is_added_and_what_grows() {
    let world = World::new();
    let folder = world.path(".claude/projects/-shop");
    std::fs::create_dir_all(&folder).unwrap();
    let line = |n: u32, said: &str| {
        json!({ "type": "user", "uuid": format!("u{n}"), "sessionId": "w", "cwd": "/shop",
            "timestamp": format!("2026-03-01T12:00:{n:02}Z"), "message": { "content": said } })
    };
    let file = folder.join("w.jsonl");
    std::fs::write(&file, lines(&[line(1, "paint it red")])).unwrap();
    let mut command = world.command(&["import", "--watch", "--json"]);
    let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut event = || serde_json::from_str::<Value>(&events.next().unwrap().unwrap()).unwrap();
    assert_eq!(event()["change"]["added"], 1);
    // A line that is not whole yet is no problem, and not lost.
    std::fs::write(&file, lines(&[line(1, "paint it red"), line(2, "and blue")]) + "{\"type\":")
        .unwrap();
    let grown = event();
    assert_eq!(
        (&grown["change"]["updated"], &grown["change"]["malformed"]),
        (&1.into(), &0.into())
    );
    std::fs::write(
        folder.join("x.jsonl"),
        lines(&[{
            let mut other = line(3, "another session");
            other["sessionId"] = "x".into();
            other
        }]),
    )
    .unwrap();
    assert_eq!(event()["change"]["added"], 1);
    #[cfg(unix)]
    {
        std::process::Command::new("kill")
            .args(["-INT", &watch.id().to_string()])
            .status()
            .unwrap();
        assert_eq!(watch.wait().unwrap().code(), Some(0));
    }
    let _ = watch.kill();
    let _ = watch.wait();
    assert_eq!(world.json(&["list"])["episodes"].as_array().unwrap().len(), 2);
    World::new().run(&["import", "--watch"]).failed(3).says(".claude/projects");
    World::new().run(&["import"]).failed(2);
}

#[test]
fn the_manual_page_names_every_command() {
    let world = World::new();
    let page = world.run(&["man"]).done().stdout;
    assert!(page.starts_with(".ie") && page.contains("memory\\-mcp\\-doctor"), "{page}");
    world.run(&["man", "--dir", text(&world.path("man1"))]).done();
    assert!(read(&world, "man1/memory-mcp-init.1").contains("dry\\-run"));
}

#[test]
fn a_hooked_client_leaves_no_process_behind() {
    let world = World::new();
    let client = Client::new(&world, "alone");
    client.works("fix it");
    // Whoever is left would hold its end of this pipe.
    let mut command = world.command(&["hook", "stop"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    assert!(child.wait().unwrap().success());
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut pipe, &mut rest).unwrap();
    assert!(rest.is_empty());
}
