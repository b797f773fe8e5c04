//! Secrets in everything a client tells: none of them is on disk afterwards.

use memory_testkit::sqld::{Options, Server};
use serde_json::json;

use crate::hooks::{Client, holds};
use crate::world::{World, text};

/// Ten shapes, put together here so that no scanner takes this file for a leak. What stands in a text,
/// and the part of it that is secret.
fn secrets() -> Vec<(String, String)> {
    let whole = |parts: &[&str]| (parts.concat(), parts.concat());
    let part = |before: &str, secret: &str, after: &str| {
        (format!("{before}{secret}{after}"), secret.to_owned())
    };
    let block = "MIIEowIBAAKCAQEAwV3kQ9sXo2ZrTq1LmN8bYc4dEfGhIjKlMnOpQrStUvWxYz0123";
    vec![
        whole(&["AK", "IAQ3EGRIZ7L5X2KD4M"]),
        whole(&["gh", "p_R4nd0mT0k3nV4lu3F0rT3st1ngPurp0s3s42"]),
        whole(&["xo", "xb-730191371696-1413868247813-IG7Z2dhXbNzVXkFb8cXyhA"]),
        whole(&["sk", "_live_4eC39HqLyjWDarjtT1zdp7dc"]),
        whole(&["sk", "-proj-9fKq2LmX7vRt4WzB8nYc3HdJ6pQs1GaE"]),
        whole(&["AI", "zaSyD4kR8mZ1qW7xV2nB5cL9pT3hG6jF0sE4Y"]),
        whole(&[
            "eyJ",
            "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9",
        ]),
        part("postgres://app:", "tr0ub4dor-and-3", "@db.internal/shop"),
        part("DB_PASSWORD=\"", "c0rrect-h0rse-battery", "\""),
        part("-----BEGIN RSA PRIVATE KEY-----\n", block, "\n-----END RSA PRIVATE KEY-----"),
    ]
}

/// Records a session that is full of them.
fn spill(client: &Client<'_>) {
    let spilled: Vec<String> =
        secrets().iter().map(|(shown, _)| format!("marker-{} {shown} end", shown.len())).collect();
    let all = spilled.join("\n");
    client.hook("session-start", json!({ "source": "startup" }));
    client.hook("user-prompt-submit", json!({ "prompt": format!("Deploy with these:\n{all}") }));
    client.hook(
        "post-tool-use",
        json!({
            "tool_name": "Bash",
            "tool_input": { "command": format!("cat <<X\n{all}\nX"), "env": spilled },
            "tool_response": { "stdout": all, "stderr": all },
        }),
    );
    client.hook("post-tool-use-failure", json!({
        "tool_name": "Bash", "tool_input": { "command": "deploy" }, "error": format!("denied: {all}"),
    }));
    client.hook("user-prompt-submit", json!({ "prompt": all }));
    client.hook("stop", json!({ "last_assistant_message": all }));
    // What cannot be read must not be told either.
    client.hook(
        "post-tool-use",
        json!({ "tool_name": all, "tool_input": all, "tool_response": [all] }),
    );
}

fn assert_none(world: &World, when: &str) {
    for (shown, secret) in secrets() {
        for secret in secret.split('\n') {
            assert!(!holds(&world.path("data"), secret.as_bytes()), "{when}: {shown}");
        }
    }
    assert!(holds(&world.path("data"), b"marker-"), "{when}: nothing was recorded at all");
}

#[test]
fn planted_secrets_are_nowhere_on_disk() {
    let world = World::new();
    let mut client = Client::new(&world, "leaky");
    // Plain text in the database: compressed, nothing would be found in any case.
    let plain = ["--set", "payload.compression=none"].map(str::to_owned);
    client.settings.extend(plain.clone());
    spill(&client);
    assert_none(&world, "in the journal");
    client.hook("session-end", json!({ "reason": "other" }));
    assert_none(&world, "in the database");
    let backup = world.path("data/backup.db");
    world.run(&["backup", text(&backup)]).done();
    let exported = world.run(&["export"]).done().stdout;
    std::fs::write(world.path("data/export.jsonl"), &exported).unwrap();
    // The next session is told of this one.
    let told = Client::new(&world, "next").hook("session-start", json!({ "source": "startup" }));
    std::fs::write(world.path("data/told.json"), told.unwrap().to_string()).unwrap();
    assert_none(&world, "in a backup, an export or what is told");
    assert!(exported.contains("[redacted:"));
}

#[test]
fn planted_secrets_are_neither_on_the_way_to_a_server() {
    let Some(server) = Server::start(Options::default()) else { return };
    let world = World::new();
    let mut client = Client::new(&world, "leaky");
    client.settings = ["--database", &server.url()].map(str::to_owned).to_vec();
    spill(&client);
    client.hook("session-end", json!({ "reason": "other" }));
    assert_none(&world, "in the journal");
    world.run(&["rate", "last", "good", "--database", &server.url()]).done();
    let id = world.json(&["list", "--database", &server.url()])["episodes"][0]["id"].clone();
    // Into the cache, and into the journal of steps on the way to the server.
    world.run(&["show", id.as_str().unwrap(), "--database", &server.url()]).done();
    let exported = world.run(&["export", "--database", &server.url()]).done().stdout;
    std::fs::write(world.path("data/export.jsonl"), &exported).unwrap();
    assert_none(&world, "in the cache or in pending.db");
}
