//! Clear errors, nothing lost.

use crate::world::{World, episode, lines, text};

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let world = World::new();
    let file = world.write("occupied", "a file where a directory should be");
    for arguments in [["stats"], ["list"], ["export"]] {
        let ran = world.run(&[&arguments[..], &["--data-dir", text(&file)]].concat()).failed(1);
        ran.says(text(&file)).says("hint: ");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a file where a directory should be");
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let world = World::new();
    std::fs::create_dir(world.path("data")).unwrap();
    let garbage = "this is a text and no database ".repeat(200);
    let file = world.write("data/memory.db", &garbage);
    world.run(&["stats"]).failed(1).says("is not a database").says("hint: ");
    assert_eq!(std::fs::read_to_string(file).unwrap(), garbage);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let world = World::with(&[episode(1, "first task", "success")]);
    let change = |sql: &'static str| {
        let path = world.path("data/memory.db");
        tokio::runtime::Runtime::new().unwrap().block_on(async move {
            let database = libsql::Builder::new_local(path).build().await.unwrap();
            database.connect().unwrap().execute(sql, ()).await.unwrap()
        })
    };
    change("INSERT INTO migrations (n, name, checksum) VALUES (1000, 'of the future', 'x')");
    world.run(&["list"]).failed(1).says("schema 1000");
    let file = world.path("episodes.jsonl");
    world.run(&["import", text(&file)]).failed(1).says("hint: upgrade");
    assert_eq!(change("DELETE FROM migrations WHERE n = 1000"), 1);
    assert_eq!(world.json(&["stats"])["episodes"], 1);
}

#[test]
fn questions_that_make_no_sense_are_usage_errors() {
    let world = World::with(&[episode(1, "first task", "success")]);
    world.run(&["recall", " "]).failed(2).says("task: is empty");
    world.run(&["recall", "x", "--budget-tokens", "1"]).failed(2).says("budget_tokens: is 1");
    world.run(&["recall", "x", "--limit", "0"]).failed(2).says("limit: is 0");
    world.run(&["list", "--outcome", "great"]).failed(2).says("success, partial, failure");
    world.run(&["list", "--since", "soon"]).failed(2).says("\"soon\" is no time");
    world.run(&["list", "--where", "x"]).failed(2).says("write =, !=, <");
    world.run(&["list", "--min-reward", "nan"]).failed(2).says("from 0 to 1");
    world.run(&["list", "--after", "x"]).failed(2).says("cursor");
    world.run(&["list", "--limit", "0"]).failed(2).says("--limit");
    world.run(&["show", "x"]).failed(2).says("\"x\" is no id");
    world.run(&["forget", "x"]).failed(2).says("\"x\" is no id");
    world.run(&["export", "--kind", "x"]).failed(2).says("episode, pattern, heuristic");
    world.run(&["frobnicate"]).failed(2).says("frobnicate");
}

#[test]
fn an_import_of_what_is_not_there_or_not_ours_reads_nothing() {
    let world = World::new();
    let good = world.write("good.jsonl", &lines(&[episode(1, "first task", "success")]));
    let other = world.write("notes.txt", "milk, eggs\n");
    world
        .run(&["import", text(&good), "/nonexistent/x.json"])
        .failed(3)
        .says("/nonexistent/x.json");
    world.run(&["import", text(&good), text(&other)]).failed(2).says("no known format");
    assert_eq!(world.json(&["stats"])["episodes"], 0);
}

#[test]
fn records_that_break_a_rule_are_named_with_their_line_and_the_rest_goes_in() {
    let broken = |edit: &dyn Fn(&mut serde_json::Value)| {
        let mut one = episode(9, "a broken one", "success");
        edit(&mut one);
        one
    };
    let world = World::new();
    let mut content = lines(&[
        broken(&|e| e["task_description"] = "".into()),
        broken(&|e| e["outcome"]["kind"] = "great".into()),
        broken(&|e| e["steps"][0]["parameters"] = "x".repeat(2 << 20).into()),
        broken(&|e| e["reward"] = serde_json::json!({ "score": 7, "source": "user" })),
    ]);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let one = broken(&|e| e["steps"][0]["parameters"] = "PLACE".into()).to_string();
    content.push_str(&format!("{}\n", one.replace("\"PLACE\"", &deep)));
    content.push_str(&format!("{}\n", one.replace("\"PLACE\"", "NaN")));
    content.push_str(&lines(&[episode(1, "the good one", "success")]));
    let file = world.write("broken.jsonl", &content);
    let ran = world.run(&["import", text(&file)]).done();
    assert!(ran.stdout.contains("1 added, 6 malformed"), "{}{}", ran.stdout, ran.stderr);
    for (line, words) in [
        (1, "task_description: is empty"),
        (2, "great"),
        (3, "limit is 1048576"),
        (4, "from 0 to 1"),
        (5, "nested deeper"),
        (6, ""),
    ] {
        let found = ran.stderr.lines().find(|l| l.contains(&format!("broken.jsonl:{line}: ")));
        assert!(found.is_some_and(|l| l.contains(words)), "line {line}: {}", ran.stderr);
    }
    assert_eq!(world.json(&["stats"])["episodes"], 1);
}

#[test]
fn nul_is_made_visible_and_escape_sequences_do_not_reach_the_terminal() {
    let world = World::new();
    let mut one = episode(1, "first task", "success");
    one["steps"][0]["observation"] = "a\u{0}b \u{1b}[2J\u{7}".into();
    let file = world.write("nul.jsonl", &lines(&[one]));
    world.run(&["import", text(&file)]).done();
    let shown = world.run(&["show", &world.id_of("first task")]).done().stdout;
    assert!(shown.contains("a\\0b"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_gigantic_record_is_refused_without_being_held_in_memory() {
    use std::io::Write;
    use std::process::Stdio;

    use crate::world::Ran;

    const RECORD_MIB: usize = 512;
    let world = World::new();
    let file = world.path("gigantic.jsonl");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&file).unwrap());
    out.write_all(b"{\"task_description\":\"big\",\"steps\":[{\"action\":\"x\",\"parameters\":\"")
        .unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..RECORD_MIB {
        out.write_all(&block).unwrap();
    }
    out.write_all(b"\"}]}\n").unwrap();
    out.write_all(lines(&[episode(1, "the one behind it", "success")]).as_bytes()).unwrap();
    out.flush().unwrap();

    let mut command = world.command(&["import", text(&file)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = peak.max(peak_memory_mib(child.id()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let ran = Ran::of(&child.wait_with_output().unwrap()).done();
    assert!(ran.stdout.contains("1 added, 1 malformed"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("gigantic.jsonl:1: "), "{}", ran.stderr);
    assert!((1..RECORD_MIB / 2).contains(&peak), "{peak} MiB of memory");
}

/// The most memory that a process ever had; `None` once it is gone.
#[cfg(target_os = "linux")]
fn peak_memory_mib(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? / 1024)
}
