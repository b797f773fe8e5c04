//! `backup`, `restore`, `migrate` and `forget --purge`.

use std::process::Stdio;

use memory_testkit::sqld::{Options, Server};

use crate::world::{World, episode, lines, text};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/runs.jsonl");

#[test]
fn a_backup_brings_back_what_was_there() {
    let world = World::new();
    world.run(&["import", SAMPLES]).done();
    let before = world.run(&["export"]).done().stdout;
    let file = world.path("one.backup");
    let made = world.json(&["backup", text(&file)]);
    assert_eq!(made["sha256"].as_str().unwrap().len(), 64);
    world.run(&["backup", text(&file)]).failed(1).says("is there already");
    let gone = world.id_of("Drop the unused table legacy_tickets from the production database.");
    world.run(&["forget", &gone]).done();
    assert!(world.run(&["export"]).done().stdout != before);
    let restored = world.json(&["restore", text(&file)]);
    assert_eq!((&restored["episodes"], &restored["sha256"]), (&47.into(), &made["sha256"]));
    assert!(world.run(&["export"]).done().stdout == before, "the export differs");
    // Into a directory that is not there yet.
    let other = World::new();
    other.run(&["restore", text(&file)]).done();
    assert!(other.run(&["export"]).done().stdout == before);
    let inside = other.run(&["list", "--database", text(&file), "--limit", "1"]).done().stdout;
    assert!(inside.contains("20"), "{inside}");

    std::fs::write(
        world.path("note"),
        "just a note, longer than any seal could ever be. ".repeat(9),
    )
    .unwrap();
    let note = world.path("note");
    let refused =
        world.run(&["restore", text(&note)]).failed(1).says("no backup made by this program");
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    assert!(world.run(&["export"]).done().stdout == before);
}

#[test]
fn a_server_is_backed_up_and_restored_into_an_empty_one() {
    let Some(server) = Server::start(Options::default()) else { return };
    let Some(empty) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    world.run(&["import", SAMPLES, "--database", &url]).done();
    let before = world.run(&["export", "--database", &url]).done().stdout;
    let file = world.path("server.backup");
    world.run(&["backup", text(&file), "--database", &url]).done();
    world.run(&["restore", text(&file), "--database", &url]).failed(1).says("is not empty");
    let filled = world.json(&["restore", text(&file), "--database", &empty.url()]);
    assert_eq!(filled["same"], true);
    assert!(world.run(&["export", "--database", &empty.url()]).done().stdout == before);
    // And into a file.
    world.run(&["restore", text(&file)]).done();
    assert!(world.run(&["export"]).done().stdout == before);
    let shown = world.json(&["migrate", "--dry-run", "--database", &url]);
    assert_eq!(shown["from"], shown["to"]);
}

/// Killed again and again in the middle, and each time the same command goes on.
#[test]
fn a_restore_into_a_server_that_is_killed_goes_on_when_it_is_run_again() {
    const EPISODES: u64 = 2000;
    let Some(server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    let many: Vec<_> = (0..EPISODES)
        .map(|n| {
            let mut one = episode(1, &format!("task {n}"), "success");
            one["id"] = format!("0198c0de-7a3b-7c11-9e02-5d1f0000{n:04x}").into();
            one["steps"][0]["observation"] = "a line of output\n".repeat(500).into();
            one
        })
        .collect();
    world.run(&["import", text(&world.write("many.jsonl", &lines(&many)))]).done();
    let file = world.path("many.backup");
    world.run(&["backup", text(&file)]).done();
    let stored = || world.json(&["stats", "--database", &url])["episodes"].as_u64().unwrap();
    let mut kept = 0;
    for _ in 0..3 {
        let mut command = world.command(&["restore", text(&file), "--database", &url]);
        let mut restore = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while stored() == kept && restore.try_wait().unwrap().is_none() {}
        // `kill` of the standard library is SIGKILL.
        restore.kill().unwrap();
        restore.wait().unwrap();
        kept = stored();
        if kept == EPISODES {
            break;
        }
        // Another backup is kept out meanwhile.
        let other = World::with(&[episode(7, "another", "failure")]);
        let foreign = other.path("other.backup");
        other.run(&["backup", text(&foreign)]).done();
        let refused = world.run(&["restore", text(&foreign), "--database", &url]).failed(1);
        assert!(refused.stderr.contains("half filled"), "{}", refused.stderr);
    }
    assert!(kept > 0);
    let rest = world.json(&["restore", text(&file), "--database", &url]);
    let counts = &rest["records"]["episode"];
    assert_eq!((&counts["already_there"], &rest["same"]), (&kept.into(), &true.into()));
    let exported = world.run(&["export"]).done().stdout;
    assert!(world.run(&["export", "--database", &url]).done().stdout == exported);
    world.run(&["restore", text(&file), "--database", &url]).failed(1).says("is not empty");
}

/// What is wrong with a backup is seen here, before the server hears of it.
#[test]
fn nothing_of_a_spoilt_backup_reaches_a_server() {
    let Some(server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    world.run(&["import", SAMPLES]).done();
    let file = world.path("good.backup");
    world.run(&["backup", text(&file)]).done();
    let good = std::fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        bytes
    };
    let middle = good.len() / 2;
    let spoilt = [
        Vec::new(),
        good[..middle].to_vec(),
        good[..good.len() - 1].to_vec(),
        flipped(20),
        flipped(middle),
        flipped(good.len() - 3),
        [&good[..], b"more"].concat(),
        b"PK\x03\x04 ../../../etc/passwd".repeat(40),
    ];
    for (n, bytes) in spoilt.iter().enumerate() {
        let file = world.path("spoilt.backup");
        std::fs::write(&file, bytes).unwrap();
        let told = world.run(&["restore", text(&file), "--database", &url]).failed(1).stderr;
        assert!(told.contains("spoilt.backup"), "{n}: {told}");
    }
    #[cfg(unix)]
    {
        let link = world.path("link.backup");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        world.run(&["restore", text(&link), "--database", &url]).failed(1);
        world.run(&["restore", "/dev/zero", "--database", &url]).failed(1);
    }
    let inside: Vec<_> = std::fs::read_dir(world.path("data")).unwrap().collect();
    assert!(
        inside.iter().all(|e| !e.as_ref().unwrap().path().is_dir()),
        "a copy was left behind: {inside:?}"
    );
    // A server that had heard of one of them would be marked as half filled from it.
    assert_eq!(world.json(&["restore", text(&file), "--database", &url])["same"], true);
}

#[test]
fn the_schema_goes_back_and_forth_where_nothing_gets_lost() {
    let world = World::with(&[episode(1, "task one", "success")]);
    let before = world.run(&["export"]).done().stdout;
    let shown = world.json(&["migrate", "--dry-run"]);
    let latest = shown["to"].as_u64().unwrap();
    assert!(shown["steps"].as_array().unwrap().iter().all(|step| step["applied"] == true));
    world.run(&["migrate", "--to", "99"]).failed(2).says("choose 1 to");
    let told = world.run(&["migrate"]).done().stdout;
    assert!(told.contains("there is nothing to do"), "{told}");
    let none = World::new();
    none.run(&["migrate"]).failed(1).says("there is no database file");

    let back = (latest - 1).to_string();
    world.run(&["migrate", "--to", "1"]).failed(1).says("there are compressed episodes");
    world.run(&["migrate", "--reencode", "--set", "payload.compression=none"]).done();
    let shown = world.json(&["migrate", "--dry-run", "--to", &back]);
    if shown["steps"][latest as usize - 1]["fate"] == "would be taken back" {
        let went = world.json(&["migrate", "--to", &back]);
        let backup = went["backup"].as_str().unwrap().to_owned();
        assert!(backup.ends_with(&format!("memory.db.schema-{latest}.backup")), "{backup}");
        let refused = world.run(&["list", "--set", "database.upgrade=manual"]).failed(1);
        assert!(refused.stderr.contains("memory-mcp migrate"), "{}", refused.stderr);
        // Opened, it is brought up again, and what it was is kept and named.
        let listed = world.run(&["export"]).done();
        assert!(listed.stdout == before);
        assert!(
            listed.stderr.contains(&format!("memory.db.schema-{back}.backup")),
            "{}",
            listed.stderr
        );
        world.run(&["restore", &backup]).done();
        assert!(world.run(&["export"]).done().stdout == before);
    } else {
        world.run(&["migrate", "--to", &back]).failed(1).says("cannot be taken back");
    }
}

#[test]
fn purged_episodes_leave_no_trace_in_the_data_directory() {
    let mut secret = episode(1, "the xylocarpquartet of zugzwangmarmot", "success");
    secret["steps"][0]["observation"] = "xylocarpquartet zugzwangmarmot\n".repeat(4000).into();
    // Enough of them that the project has a dictionary of its own, which has their words.
    let others = (2..=250).map(|n| {
        let mut other = episode(2, "a task of another kind", "failure");
        other["id"] = format!("0198c0de-7a3b-7c11-9e02-5d1f2a3c{n:04x}").into();
        other
    });
    let world = World::with(&[vec![secret], others.collect()].concat());
    world.json(&["migrate", "--reencode"]);
    let id = world.id_of("the xylocarpquartet of zugzwangmarmot");
    world.run(&["show", &id, "--set", "cache.redb=on"]).done();
    world.run(&["recall", "xylocarpquartet", "--set", "cache.redb=on"]).done();
    let traces = || {
        let mut found = Vec::new();
        let mut folders = vec![world.path("data")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    let words = ["xylocarpquartet", "zugzwangmarmot"].map(str::as_bytes);
                    if words.iter().any(|word| bytes.windows(word.len()).any(|w| w == *word)) {
                        found.push(path);
                    }
                }
            }
        }
        found
    };
    assert!(!traces().is_empty(), "the test looks where the text is");
    let told = world.run(&["forget", "--purge", &id]).done();
    assert!(told.stdout.contains("purged"), "{}", told.stdout);
    assert!(told.stderr.contains("Backups and exports"), "{}", told.stderr);
    assert!(traces().is_empty(), "{:?}", traces());
    // Once more, as after an interruption.
    world.run(&["forget", "--purge", &id]).done();
    assert_eq!(world.json(&["stats"])["episodes"], 249);
}

#[test]
fn payloads_are_written_anew_to_the_present_settings() {
    let world = World::new();
    world.run(&["import", SAMPLES, "--set", "payload.compression=none"]).done();
    let before = world.run(&["export"]).done().stdout;
    let packed = world.json(&["migrate", "--reencode"]);
    let bytes = |name: &str| packed[name].as_u64().unwrap();
    assert_eq!((bytes("episodes"), bytes("rewritten"), bytes("damaged")), (47, 47, 0));
    assert!(bytes("bytes_after") * 2 < bytes("bytes_before"), "{packed}");
    assert!(world.run(&["export"]).done().stdout == before, "the export differs");
    assert_eq!(world.json(&["migrate", "--reencode"])["rewritten"], 0, "nothing is left to do");
    let plain = world.json(&["migrate", "--reencode", "--set", "payload.compression=none"]);
    assert_eq!(plain["bytes_after"], packed["bytes_before"]);
    assert!(world.run(&["export"]).done().stdout == before, "the export differs");
}
