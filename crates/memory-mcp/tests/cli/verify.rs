//! `verify`: planted damage is found wherever it is, told by name, and repaired where that is possible.

use memory_storage_turso::batch::{Access, Batch, Statement};
use memory_storage_turso::{DatabaseUrl, RemoteConfig, RemoteTransport};
use memory_testkit::sqld::{Options, Server};
use serde_json::Value;

use crate::remote::{SAMPLES, call};
use crate::world::{World, episode};

const UNSOUND: i32 = 5;

fn world() -> World {
    World::with(&[episode(1, "fix the login", "success"), episode(2, "fix the cart", "failure")])
}

/// Does something to a database file behind the program's back.
fn tamper(world: &World, file: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = libsql::Builder::new_local(world.path(file)).build().await.unwrap();
        database.connect().unwrap().execute_batch(sql).await.unwrap();
    });
}

/// Does something to the database of a server behind the program's back.
fn tamper_with_server(server: &Server, statements: &[&'static str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = DatabaseUrl::from(server.url());
        let transport = RemoteTransport::new(RemoteConfig { url, ..RemoteConfig::default() });
        let statements = statements.iter().map(|sql| Statement::new(sql, vec![])).collect();
        transport.unwrap().run(Batch { access: Access::Write, statements }).await.unwrap();
    });
}

/// A check that must find something, with its JSON.
fn unsound(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[&["verify", "--json"], arguments].concat());
    assert_eq!(ran.code, Some(UNSOUND), "{}{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_sound_memory_passes_and_says_what_was_looked_at() {
    let world = world();
    let shown = world.run(&["verify"]).done().stdout;
    for part in ["2 episodes checked", "no cache file", "Nothing is wrong."] {
        assert!(shown.contains(part), "{part:?} is not in: {shown}");
    }
    let report = world.json(&["verify", "--repair"]);
    assert_eq!((&report["sound"], &report["database"]["episodes"]), (&true.into(), &2.into()));
    assert_eq!(report["database"]["files_checked"], true);
}

#[test]
fn damage_is_told_by_episode_and_repaired_when_asked() {
    let world = world();
    let before = world.run(&["export"]).done().stdout;
    tamper(
        &world,
        "data/memory.db",
        "UPDATE episodes SET outcome = 'partial' WHERE rid = 1; \
         DELETE FROM episode_metadata WHERE episode = 2; \
         DELETE FROM episode_text WHERE rowid = 1",
    );
    let ran = world.run(&["verify"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(UNSOUND), ""));
    let id = world.id_of("fix the login");
    for part in [id.as_str(), "outcome", "3 findings", "can be repaired", "verify --repair"] {
        assert!(ran.stdout.contains(part), "{part:?} is not in: {}", ran.stdout);
    }
    let report = unsound(&world, &["--repair"]);
    assert_eq!((&report["found"], &report["repaired"]), (&3.into(), &3.into()), "{report}");
    assert_eq!(report["database"]["found_in"]["metadata"], 1);
    world.run(&["verify"]).done();
    assert_eq!(world.run(&["export"]).done().stdout, before);
    assert_eq!(world.json(&["recall", "fix the login"])["items"][0]["id"], id.as_str());
}

#[test]
fn what_is_lost_is_told_and_never_called_repaired() {
    let world = world();
    tamper(&world, "data/memory.db", "UPDATE episodes SET payload = x'00' WHERE rid = 2");
    let report = unsound(&world, &["--repair"]);
    assert_eq!((&report["found"], &report["repaired"]), (&1.into(), &0.into()), "{report}");
    let finding = &report["database"]["findings"][0];
    assert_eq!((&finding["part"], &finding["remedy"]), (&"payload".into(), &"by_hand".into()));
    let shown = world.run(&["verify"]).stdout;
    assert!(shown.contains("1 left") && shown.contains("backup"), "{shown}");
}

#[test]
fn a_server_is_checked_and_repaired_like_a_file() {
    let Some(server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    world.json(&["import", SAMPLES, "--database", &url]);
    let sound = world.json(&["verify", "--database", &url]);
    assert_eq!((&sound["database"]["episodes"], &sound["found"]), (&47.into(), &0.into()));
    tamper_with_server(
        &server,
        &[
            "UPDATE episodes SET task_type = 'x', reward = 1 WHERE rid = 3",
            "DELETE FROM episode_metadata WHERE episode = 4",
            "DELETE FROM episode_text WHERE rowid = 5",
            "DELETE FROM changes WHERE id = (SELECT id FROM episodes WHERE rid = 6)",
        ],
    );
    let found = unsound(&world, &["--database", &url]);
    assert_eq!((&found["found"], &found["database"]["repairable"]), (&4.into(), &4.into()));
    let repaired = unsound(&world, &["--database", &url, "--repair"]);
    assert_eq!((&repaired["found"], &repaired["repaired"]), (&4.into(), &4.into()), "{repaired}");
    assert_eq!(world.json(&["verify", "--database", &url])["found"], 0);
}

#[test]
fn every_cache_file_is_compared_with_the_server() {
    let Some(server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    let on = ["--database", &url];
    world.json(&[&["import", SAMPLES], &on[..]].concat());
    let listed = world.json(&[&["list", "--limit", "5"], &on[..]].concat());
    let report = world.json(&[&["verify"], &on[..]].concat());
    assert_eq!((&report["cache"]["files"], &report["found"]), (&1.into(), &0.into()), "{report}");
    assert!(report["cache"]["checked"].as_u64().unwrap() >= 5, "{report}");

    // What two processes would have left.
    let file = |n: u8| world.path(&format!("data/cache/{n}.redb"));
    std::fs::copy(file(0), file(1)).unwrap();
    // Nothing tells the caches that this one is gone.
    tamper_with_server(
        &server,
        &[
            "DELETE FROM episode_metadata WHERE episode = (SELECT max(rid) FROM episodes \
              WHERE started_at = (SELECT max(started_at) FROM episodes))",
            "DELETE FROM episode_text WHERE rowid = (SELECT max(rid) FROM episodes \
              WHERE started_at = (SELECT max(started_at) FROM episodes))",
            "DELETE FROM episodes WHERE rid = (SELECT max(rid) FROM episodes \
              WHERE started_at = (SELECT max(started_at) FROM episodes))",
        ],
    );
    let report = unsound(&world, &on);
    let cache = &report["cache"];
    assert_eq!((&cache["files"], &cache["dropped"]), (&2.into(), &2.into()), "{report}");
    assert_eq!(report["database"]["found"], 1, "{report}");
    assert_eq!(unsound(&world, &on)["cache"]["dropped"], 0);
    assert_eq!(listed["episodes"].as_array().unwrap().len(), 5);

    let garbage = vec![7; std::fs::metadata(file(1)).unwrap().len() as usize];
    std::fs::write(file(1), garbage).unwrap();
    assert_eq!(unsound(&world, &on)["cache"]["damaged"], 1);
    assert_eq!(unsound(&world, &on)["cache"]["damaged"], 0);
}

#[test]
fn waiting_writes_that_cannot_be_read_are_told() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    let (world, url) = (World::new(), server.url());
    world.json(&["stats", "--database", &url]);
    server.stop();
    let settings = ["--database", &url, "--set", "writes.when_offline=queue"];
    let start = ("start_episode", serde_json::json!({ "task": "x", "recall_budget_tokens": 0 }));
    call(&world, &settings, &[start]);
    assert_eq!(world.json(&["verify"])["waiting_on_this_machine"]["waiting"], 1);
    tamper(&world, "data/pending.db", "UPDATE entries SET payload = x'c1ff'");
    let report = unsound(&world, &[]);
    let problems = &report["waiting_on_this_machine"]["problems"];
    assert!(problems[0].as_str().unwrap().contains("outbox drop"), "{report}");
    world.run(&["verify", "--database", &url]).failed(1).says("reachable");
}
