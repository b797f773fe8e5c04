//! Recall by meaning in a server: made in the background, forgotten everywhere, degraded visibly.

use std::path::Path;
use std::time::{Duration, Instant};

use memory_testkit::embeddings::EmbeddingServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Era, Server};

const TASK: &str = "varnish the tombola of the beekeeper";
const PARAPHRASE: &str = "lacquer an apiarist's raffle";

fn open(data: &Path, endpoint: &EmbeddingServer) -> Server {
    let mut command = Server::command(data);
    command
        .env("MEMORY_MCP_EMBEDDINGS_URL", endpoint.url())
        .env("MEMORY_MCP_EMBEDDINGS_MODEL", "hashing-256");
    Server::run(command, Era::Modern)
}

/// Asks until the answer is as wanted; it has to become so within the time that a poll takes.
fn asked_until(server: &mut Server, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = server.done("recall", json!({"task": PARAPHRASE}));
        if wanted(&found) || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_server_embeds_what_ends_finds_it_by_meaning_and_says_when_it_cannot() {
    let (data, endpoint) = (TempDir::new().unwrap(), EmbeddingServer::start());
    let mut one = open(data.path(), &endpoint);
    let mut other = open(data.path(), &endpoint);
    let mut ids = Vec::new();
    for task in
        ["write a changelog", "rotate backups", "translate invoices", "add pagination", TASK]
    {
        let id = one.start(task);
        let ended = json!({"episode_id": id, "outcome": "success", "verdict": "as asked"});
        one.done("complete_episode", ended);
        ids.push(id);
    }
    let id = ids.pop().unwrap();
    let holds = |found: &Value| found["items"].to_string().contains(&id);
    for server in [&mut one, &mut other] {
        let found = asked_until(server, holds);
        assert!(holds(&found) && found["mode"] == "lexical+embeddings", "{found}");
    }
    let embedded = format!("{TASK}\nas asked");
    let made = endpoint.texts().iter().filter(|text| text.starts_with(&embedded)).count();
    assert_eq!(made, 1, "one process makes it, once");
    let answer = other.call("recall", json!({"task": PARAPHRASE}));
    assert!(answer.text.contains("Found by words and meaning"), "{}", answer.text);
    let started = other.done("start_episode", json!({"task": PARAPHRASE}));
    assert!(holds(&started["memory"]), "{started}");

    endpoint.stop();
    let down = other.call("recall", json!({"task": TASK}));
    assert!(down.text.starts_with("Found by words alone: "), "{}", down.text);
    assert!(down.structured["degraded"].as_str().unwrap().contains("cannot be reached"));
    assert!(holds(&down.structured) && down.structured["mode"] == "lexical");
    let _endpoint = endpoint.start_again();
    let found = asked_until(&mut other, holds);
    assert!(holds(&found), "it is asked again by itself: {found}");

    one.done("forget_episode", json!({"episode_id": id}));
    let found = asked_until(&mut other, |found| !holds(found));
    assert!(!holds(&found) && found["mode"] == "lexical+embeddings", "{found}");
    one.close();
    other.close();
}
