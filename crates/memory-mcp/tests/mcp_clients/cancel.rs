//! Progress, and that the work stops when a call is cancelled.
//!
//! The database is a real server that is asked through a proxy which swallows the question, so that
//! the work is the request that waits for an answer. It has ten minutes to wait; it must end long
//! before, with its call.

use std::time::{Duration, Instant};

use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::sqld::{Options, Server};
use serde_json::json;

use crate::session::{Client, Over, Session, World};

/// How long to wait for what must come: a fraction of the time that the work could take.
const PATIENCE: Duration = Duration::from_secs(60);

const TEN_MINUTES_MS: &str = "600000";

pub(crate) fn stops_the_work(client: &Client, over: Over) {
    let Some(database) = Server::start(Options::default()) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(FaultProxy::start(database.address()));
    let world = World::new(vec![
        ("MEMORY_MCP_DATABASE", proxy.url()),
        ("MEMORY_MCP_CACHE_MEMORY_BYTES", "0".into()),
        ("MEMORY_MCP_REMOTE_REQUEST_TIMEOUT_MS", TEN_MINUTES_MS.into()),
        ("MEMORY_MCP_REMOTE_DEADLINE_MS", TEN_MINUTES_MS.into()),
    ]);
    let mut session = Session::open(client, &world, over);
    let started = session.call("start_episode", &json!({ "task": "Wait for nothing" }));
    let id = started.structured["episode_id"].clone();
    for (tool, arguments) in [
        ("list_episodes", json!({})),
        ("recall", json!({ "task": "Wait for nothing" })),
        ("forget_episode", json!({ "episode_id": id })),
    ] {
        until(|| proxy.counts().active_requests == 0, "the requests before");
        proxy.fault_all(Some(Fault::Blackhole));
        session.send(&json!({ "do": "hold", "name": tool, "arguments": arguments }));
        goes_on(&mut session, tool);
        until(|| proxy.counts().active_requests > 0, tool);
        session.send(&json!("stop"));
        let mut answer = session.line();
        while answer.get("progress").is_some() {
            answer = session.line();
        }
        assert_eq!(answer, json!({ "stopped": true }), "{tool}");
        until(|| proxy.counts().active_requests == 0, tool);
        proxy.fault_all(None);
        // The server lives, and the episode does too.
        let shown = session.call("get_episode", &json!({ "episode_id": id }));
        assert!(!shown.is_error, "{tool}: {shown:?}");
    }
    session.close();
}

/// Progress is told from the beginning on, and for as long as it takes.
fn goes_on(session: &mut Session, tool: &str) {
    for words in ["began", "goes on for"] {
        let told = session.line();
        let message = told["progress"].as_str().unwrap_or_else(|| panic!("{told}"));
        assert!(message.starts_with(tool) && message.contains(words), "{told}");
    }
}

fn until(reached: impl Fn() -> bool, what: &str) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
