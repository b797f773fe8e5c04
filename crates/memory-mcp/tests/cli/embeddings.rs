//! Recall by meaning: with a real endpoint whose hashing model maps words that say the same together.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use memory_storage::embeddings::matrix::{normalized, stored};
use memory_testkit::embeddings::{EmbeddingServer, embedding};
use serde_json::{Value, json};

use crate::world::{Ran, World, episode, lines, text};

const TASK: &str = "varnish the tombola of the beekeeper";

/// Says the same in words that neither the task nor recall's own lists have.
const PARAPHRASE: &str = "lacquer an apiarist's raffle";

/// Work of other kinds; no word of the questions.
fn others(count: usize) -> Vec<Value> {
    const THINGS: [&str; 7] =
        ["pagination", "migration", "translation", "backup", "changelog", "telemetry", "invoice"];
    (0..count)
        .map(|n| {
            let task = format!("{} number{n} for customer{}", THINGS[n % 7], n * 31);
            let mut other = episode(2, &task, "success");
            other["id"] = format!("0198c0de-7a3b-7c11-9e02-5d1f2a3d{n:04x}").into();
            other
        })
        .collect()
}

fn world(others_too: usize) -> World {
    World::with(&[vec![episode(1, TASK, "success")], others(others_too)].concat())
}

/// Runs with the endpoint and a model.
fn with(server: &EmbeddingServer, model: &str, arguments: &[&str]) -> Vec<String> {
    let set = |setting: String| ["--set".to_owned(), setting];
    let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    all.extend(set(format!("embeddings.url={}", server.url())));
    all.extend(set(format!("embeddings.model={model}")));
    all
}

fn json_of(world: &World, arguments: &[String]) -> Value {
    world.json(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn run(world: &World, arguments: &[String]) -> Ran {
    world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn spawn(world: &World, arguments: &[String]) -> Child {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut command = world.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_paraphrase_that_shares_no_word_is_found_by_meaning() {
    let (world, server) = (world(30), EmbeddingServer::start());
    let id = world.id_of(TASK);
    let by_words = world.json(&["recall", PARAPHRASE]);
    assert!(by_words["mode"] == "lexical" && by_words["nothing_relevant"].is_string());
    assert!(by_words["degraded"].is_null(), "nothing is set up: {by_words}");

    let recall = with(&server, "hashing-1024", &["recall", PARAPHRASE]);
    let before = json_of(&world, &recall);
    assert!(before["degraded"].as_str().unwrap().contains("memory-mcp embed"), "{before}");
    let made = json_of(&world, &with(&server, "hashing-1024", &["embed"]));
    assert_eq!((&made["embedded"], &made["embeddings"]), (&json!(31), &json!(31)), "{made}");
    let found = json_of(&world, &recall);
    assert_eq!(found["mode"], "lexical+embeddings");
    let items = found["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["id"]), (1, &json!(id)), "{found}");
    assert!(items[0]["why"].as_str().unwrap().starts_with("close in meaning (0."), "{found}");
    let told = run(&world, &recall).done();
    assert!(told.stdout.contains("found by words and meaning"), "{}", told.stdout);

    // Words still find what they found, and a filter holds for meaning too.
    let words = json_of(&world, &with(&server, "hashing-1024", &["recall", "translation number2"]));
    assert_eq!(words["items"][0]["task"], "translation number2 for customer62", "{words}");
    let filtered = ["recall", PARAPHRASE, "--outcome", "failure"];
    let filtered = json_of(&world, &with(&server, "hashing-1024", &filtered));
    assert!(filtered["items"].is_null(), "{filtered}");
    let nothing = ["recall", "xylophone lessons in Reykjavik"];
    let nothing = json_of(&world, &with(&server, "hashing-1024", &nothing));
    assert!(nothing["nothing_relevant"].is_string(), "{nothing}");
}

#[test]
fn what_users_call_wrong_is_not_found_by_meaning_either() {
    let (world, server) = (world(30), EmbeddingServer::start());
    let id = world.id_of(TASK);
    json_of(&world, &with(&server, "hashing-1024", &["embed"]));
    let word = json!({"kind": "feedback", "subject": id, "project": "shop", "verdict": "wrong",
        "by": "0198c0de-7a3b-7c11-9e02-5d1f2a3b4cee", "at": "2026-04-01T00:00:00Z"});
    let file = world.write("feedback.jsonl", &lines(&[word]));
    world.run(&["import", text(&file)]).done();
    let found = json_of(&world, &with(&server, "hashing-1024", &["recall", PARAPHRASE]));
    assert!(found["items"].is_null() && found["mode"] == "lexical+embeddings", "{found}");
}

#[test]
fn another_model_makes_every_embedding_anew() {
    let (world, server) = (world(99), EmbeddingServer::start());
    let embed = |model| json_of(&world, &with(&server, model, &["embed"]));
    assert_eq!(embed("hashing-1024")["embedded"], 100);
    assert_eq!(embed("hashing-1024")["embedded"], 0, "nothing is left to do");
    let recall = |model| json_of(&world, &with(&server, model, &["recall", PARAPHRASE]));
    let other = recall("hashing-512");
    assert!(other["degraded"].as_str().unwrap().contains("hashing-512"), "{other}");
    let anew = embed("hashing-512");
    assert_eq!((&anew["embedded"], &anew["embeddings"]), (&json!(100), &json!(100)));
    assert_eq!(recall("hashing-512")["items"][0]["task"], TASK);
    assert!(recall("hashing-1024")["degraded"].is_string(), "those of the other model are gone");
    // A changed episode is embedded again, and nothing else.
    let mut changed = episode(1, "varnish the harbour crane", "success");
    changed["version"] = 2.into();
    let file = world.write("changed.jsonl", &lines(&[changed]));
    world.run(&["import", text(&file)]).done();
    assert_eq!(embed("hashing-512")["embedded"], 1);
}

#[test]
fn an_endpoint_that_is_down_is_said_and_words_go_on() {
    let (world, server) = (world(10), EmbeddingServer::start());
    json_of(&world, &with(&server, "hashing-1024", &["embed"]));
    server.stop();
    let arguments = with(&server, "hashing-1024", &["recall", TASK]);
    let found = json_of(&world, &arguments);
    assert_eq!((&found["mode"], &found["items"][0]["task"]), (&json!("lexical"), &json!(TASK)));
    assert!(found["degraded"].as_str().unwrap().contains("cannot be reached"), "{found}");
    let told = run(&world, &arguments).done();
    told.says("found by words alone");
    let file = world.write("more.jsonl", &lines(&[episode(9, "one more", "success")]));
    world.run(&["import", text(&file)]).done();
    let failed = run(&world, &with(&server, "hashing-1024", &["embed"])).failed(1);
    failed.says("cannot be reached").says("embeddings.url");
    let again = server.start_again();
    let made = json_of(&world, &with(&again, "hashing-1024", &["embed"]));
    assert_eq!(made["embedded"], 1, "it goes on from there");
}

#[test]
fn a_killed_embed_is_gone_on_with_and_two_share_the_work() {
    let (world, server) = (world(299), EmbeddingServer::start());
    server.delay(Duration::from_millis(150));
    let embed = with(&server, "hashing-64", &["embed", "--json"]);
    let mut child = spawn(&world, &embed);
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.texts().len() < 192 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had sent arrives.
    std::thread::sleep(Duration::from_millis(600));
    let sent = server.texts().len();
    assert!((192..300).contains(&sent), "{sent} texts were sent before it was killed");
    server.delay(Duration::ZERO);
    // Both wait until the lease of the killed one is over; then one does it.
    let both = [spawn(&world, &embed), spawn(&world, &embed)];
    let ran = both.map(|child| Ran::of(&child.wait_with_output().unwrap()).done());
    let answers = ran.map(|ran| serde_json::from_str::<Value>(&ran.stdout).unwrap());
    let each = answers.clone().map(|answer| answer["embedded"].as_u64().unwrap());
    let stored_before = 300 - each.iter().sum::<u64>();
    assert!((64..=256).contains(&stored_before) && stored_before % 64 == 0, "{answers:?}");
    assert!(answers.iter().all(|answer| answer["embeddings"] == 300), "{answers:?}");
    let again = u64::try_from(server.texts().len() - sent).unwrap();
    assert_eq!(again, 300 - stored_before, "nothing that was stored was sent again");
}

#[test]
fn what_an_endpoint_refused_with_everything_else_is_made_once_it_works() {
    let (world, server) = (world(3), EmbeddingServer::start());
    server.refuse(true);
    let embed = with(&server, "hashing-1024", &["embed"]);
    run(&world, &embed).failed(1).says("answers 400");
    server.refuse(false);
    assert_eq!(json_of(&world, &embed)["embedded"], 4);
}

#[test]
fn only_redacted_text_leaves_the_machine_and_only_with_the_key() {
    let (world, server) = (world(3), EmbeddingServer::start());
    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let task = format!("varnish the ledger with {secret}");
    let file = world.write("secret.jsonl", &lines(&[episode(9, &task, "success")]));
    world.run(&["import", text(&file)]).done();
    server.ask_for("let-me-in");
    let embed = with(&server, "hashing-1024", &["embed"]);
    run(&world, &embed).failed(1).says("answers 401");
    let query = format!("lacquer bookkeeping {secret}");
    for arguments in [embed, with(&server, "hashing-1024", &["recall", &query])] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let mut command = world.command(&arguments);
        command.env("MEMORY_MCP_EMBEDDINGS_API_KEY", "let-me-in");
        Ran::of(&command.output().unwrap()).done();
    }
    let texts = server.texts();
    assert_eq!(texts.len(), 6, "five episodes and a query: {texts:?}");
    assert_eq!(texts.iter().filter(|text| text.contains("[redacted:")).count(), 2, "{texts:?}");
    assert!(!texts.concat().contains("0123456789abcdefghij"), "{texts:?}");
    let mut config = world.command(&["config"]);
    let shown = Ran::of(&config.env("MEMORY_MCP_EMBEDDINGS_API_KEY", "hush").output().unwrap());
    assert!(!shown.done().stdout.contains("hush"));
    world.run(&["config", "--set", "embeddings.api_key=hush"]).failed(2).says("api_key_file");
    world.run(&["config", "--set", "embeddings.url=http://h/v1"]).failed(2).says("model");
    world.run(&["embed"]).failed(2).says("embeddings.url is not set");
}

#[test]
fn vectors_are_derived_forgotten_and_purged_and_travel_with_backups() {
    let (world, server) = (world(30), EmbeddingServer::start());
    let before = world.run(&["export"]).done().stdout;
    json_of(&world, &with(&server, "hashing-1024", &["embed"]));
    assert!(world.run(&["export"]).done().stdout == before, "an export holds no vectors");
    let count =
        || json_of(&world, &with(&server, "hashing-1024", &["embed"]))["embeddings"].clone();
    let backup = world.path("backup.db");
    world.run(&["backup", text(&backup)]).done();

    let sent = server.texts().into_iter().find(|sent| sent.starts_with(TASK)).unwrap();
    let vector = stored(&normalized(&embedding(&sent, 1024)).unwrap());
    let holds_vector = || {
        let files = std::fs::read_dir(world.path("data")).unwrap().map(|file| file.unwrap().path());
        let bytes = files.filter(|file| file.is_file()).map(|file| std::fs::read(file).unwrap());
        bytes.into_iter().any(|bytes| bytes.windows(vector.len()).any(|w| w == vector.as_slice()))
    };
    assert!(holds_vector(), "the test looks where the vector is");
    let id = world.id_of(TASK);
    world.run(&["forget", "--purge", &id]).done();
    assert!(!holds_vector());
    assert_eq!(count(), 30);
    let found = json_of(&world, &with(&server, "hashing-1024", &["recall", PARAPHRASE]));
    assert!(found["items"].is_null(), "{found}");
    world.run(&["verify"]).done();

    world.run(&["restore", "--yes", text(&backup)]).done();
    let texts = server.texts().len();
    assert_eq!(count(), 31, "a backup holds them");
    assert_eq!(server.texts().len(), texts, "and none is made anew");
}
