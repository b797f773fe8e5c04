//! The server works with the official MCP clients, of both protocol eras, over stdio and over HTTP.
//!
//! The clients are small programs, one per language (`driver.py`, `driver.mjs`): a line of JSON is
//! a call, a line of JSON its result; `session` talks to them. What they do is the same for all of
//! them:
//!
//! - here: what one session recorded, the next one recalls
//! - `surface`: pages, resources, prompts, completion, and errors of them
//! - `cancel`: progress, and that the work stops when a call is cancelled

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod cancel;
mod session;
mod surface;

use serde_json::{Value, json};
use session::{Client, Over, Session, World};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// Clients cut the instructions of a server here.
const MAX_INSTRUCTIONS_CHARS: usize = 2048;

const TASK: &str = "Run the database migrations of the billing service on a fresh machine";

/// All that a client can do, over both transports. `None`: it is not on this machine.
fn everything(client: Option<Client>, protocol: &str) {
    let Some(client) = client else { return };
    for over in [Over::Stdio, Over::Http] {
        story(&client, protocol, over);
        surface::offers_what_a_user_picks(&client, over);
        cancel::stops_the_work(&client, over);
    }
}

#[test]
fn python_client_of_the_legacy_era() {
    everything(Client::python("legacy"), LEGACY);
}

#[test]
fn python_client_that_probes() {
    everything(Client::python("auto"), MODERN);
}

#[test]
fn python_client_pinned_to_the_modern_era() {
    everything(Client::python(MODERN), MODERN);
}

#[test]
fn typescript_sdk_of_the_legacy_era() {
    everything(Client::typescript("sdk", "legacy"), LEGACY);
}

#[test]
fn typescript_client_in_the_legacy_era() {
    everything(Client::typescript("client", "legacy"), LEGACY);
}

#[test]
fn typescript_client_that_probes() {
    everything(Client::typescript("client", "auto"), MODERN);
}

#[test]
fn typescript_client_pinned_to_the_modern_era() {
    everything(Client::typescript("client", MODERN), MODERN);
}

/// A failed and then a successful attempt at one task, recalled by another process.
fn story(client: &Client, protocol: &str, over: Over) {
    let world = World::new(Vec::new());
    let mut session = Session::open(client, &world, over);
    is_introduced_well(client, &session.server, protocol);

    let advice = "install libpq-dev before building psycopg2";
    let (failed, _) = start(&mut session);
    log(&mut session, &failed, 8);
    let failure = json!({
        "episode_id": failed,
        "outcome": "failure",
        "verdict": "psycopg2 does not build",
        "reflection": { "next_time": [advice] },
    });
    session.call("complete_episode", &failure).done();

    // A success of many steps is as welcome as any other.
    let (succeeded, reminder) = start(&mut session);
    assert!(reminder.contains(advice), "the second attempt starts without the lesson: {reminder}");
    log(&mut session, &succeeded, 25);
    let success = json!({ "episode_id": succeeded, "outcome": "success" });
    session.call("complete_episode", &success).done();
    refuses_steps_of_an_unknown_episode(&mut session);
    session.close();

    let mut later = Session::open(client, &world, over);
    let question = json!({ "task": "database migrations for billing" });
    let recalled = later.call("recall", &question).done();
    // Both attempts, what the agent noted about the first, and what the second one taught: the step
    // that came after the error and before all went well.
    for part in [&failed, &succeeded, advice, "pg_config", "apt-get install libpq-dev"] {
        assert!(recalled.contains(part), "{part:?} was not recalled: {recalled}");
    }
    later.close();
}

fn is_introduced_well(client: &Client, server: &Value, protocol: &str) {
    assert_eq!(server["protocol"], protocol);
    // Told what revision to speak, the Python client does not ask who it is speaking to.
    let instructions = match server["instructions"].as_str() {
        None if client.is_pinned_python => "-",
        said => said.unwrap(),
    };
    assert!((1..=MAX_INSTRUCTIONS_CHARS).contains(&instructions.chars().count()), "{instructions}");
    let tools = server["tools"].as_array().unwrap();
    for tool in ["start_episode", "log_steps", "complete_episode", "recall"] {
        assert!(tools.contains(&json!(tool)), "no tool {tool}: {server}");
    }
}

/// Starts an attempt: the episode's id, and all that the server said.
fn start(session: &mut Session) -> (String, String) {
    let started = session.call("start_episode", &json!({ "task": TASK, "task_type": "ops" }));
    let id = started.structured["episode_id"].as_str();
    let id = id.unwrap_or_else(|| panic!("{started:?}")).to_owned();
    (id, started.done())
}

/// Logs so many steps: the first by itself, the rest in one call.
fn log(session: &mut Session, episode: &str, count: usize) {
    let (first, rest) = (vec![step(1)], (2..=count).map(step).collect());
    for steps in [first, rest] {
        session.call("log_steps", &json!({ "episode_id": episode, "steps": steps })).done();
    }
}

/// What an agent logs: the second step fails, the third is the way out.
fn step(number: usize) -> Value {
    let command = match number {
        2 => "pip install psycopg2",
        3 => "apt-get install libpq-dev",
        _ => "alembic upgrade +1",
    };
    let mut step = json!({
        "tool": "bash",
        "action": command,
        "parameters": { "command": command, "timeout_s": 60, "attempt": number },
        "observation": "ok",
        "success": true,
        "latency_ms": 40 + number,
    });
    if number == 2 {
        step["success"] = json!(false);
        step["error"] = json!("pg_config executable not found");
    }
    step
}

fn refuses_steps_of_an_unknown_episode(session: &mut Session) {
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let arguments = json!({ "episode_id": unknown, "steps": [step(1)] });
    let answer = session.call("log_steps", &arguments);
    assert!(answer.is_error, "{answer:?}");
    for words in [unknown, "start_episode"] {
        assert!(answer.text.contains(words), "the error should say {words:?}: {answer:?}");
    }
}
