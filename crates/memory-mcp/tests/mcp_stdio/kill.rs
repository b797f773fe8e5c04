//! What is acknowledged outlives the process.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use libsql::Builder;
use memory_testkit::generate::Random;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Era, Server, random};

/// How often a server is killed.
const KILLS: usize = 100;

/// Calls that are in flight when it happens.
const IN_FLIGHT: usize = 32;

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let mut random = random("what_was_acknowledged_survives_kill_9");
    let data = TempDir::new().unwrap();
    let mut known = Known::default();
    for _ in 0..KILLS {
        write_until_killed(data.path(), &mut random, &mut known);
    }
    let mut later = Server::open(data.path(), Era::Modern);
    for (id, steps) in &known {
        let shown = later.done("get_episode", json!({"episode_id": id, "step_count": 0}));
        // A write whose acknowledgement died with the process may be there as well.
        assert!(shown["total_steps"].as_u64().unwrap() >= *steps, "{id}: {shown}");
    }
    later.close();
    let steps: u64 = known.values().sum();
    println!("{KILLS} kills, {} episodes and {steps} steps acknowledged, 0 lost", known.len());
    assert!(known.len() > KILLS, "hardly anything was written");
    assert_eq!(integrity(&data.path().join("memory.db")), "ok");
}

/// Steps acknowledged, by episode.
type Known = HashMap<String, u64>;

/// Starts a server, keeps it busy for 20 to 80 ms, kills it, and notes what it acknowledged.
fn write_until_killed(data: &Path, random: &mut Random, known: &mut Known) {
    let mut server = Server::open(data, Era::Modern);
    let end = Instant::now() + Duration::from_millis(20 + random.below(60) as u64);
    let mut writes = Writes { known, open: Vec::new(), logs: HashMap::new() };
    for _ in 0..IN_FLIGHT {
        writes.post(&mut server, random);
    }
    while Instant::now() < end {
        writes.learn(&server.receive());
        writes.post(&mut server, random);
    }
    server.kill().iter().for_each(|response| writes.learn(response));
}

/// The writes of one process.
struct Writes<'a> {
    known: &'a mut Known,
    /// Episodes that this process started.
    open: Vec<String>,
    /// The episodes of calls that log a step.
    logs: HashMap<u64, String>,
}

impl Writes<'_> {
    /// Starts an episode or logs a step, by lot.
    fn post(&mut self, server: &mut Server, random: &mut Random) {
        if let Some(id) = self.open.get(random.below(2 * self.open.len() + 2)) {
            let step = json!({"tool": "bash", "action": "make", "observation": "x".repeat(500)});
            let call = server.post_call("log_steps", json!({"episode_id": id, "steps": [step]}));
            self.logs.insert(call, id.clone());
        } else {
            let task = format!("Survive kill {}", random.bits());
            let arguments = json!({"task": task, "recall_budget_tokens": 0});
            server.post_call("start_episode", arguments);
        }
    }

    fn learn(&mut self, response: &Value) {
        let answer = Answer::of(response);
        assert!(!answer.is_error, "refused: {}", answer.text);
        if let Some(id) = self.logs.remove(&response["id"].as_u64().unwrap()) {
            *self.known.get_mut(&id).unwrap() += 1;
        } else {
            let id = answer.structured["episode_id"].as_str().unwrap().to_owned();
            self.known.insert(id.clone(), 0);
            self.open.push(id);
        }
    }
}

/// The database's own verdict on itself.
fn integrity(database: &Path) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let connection = Builder::new_local(database).build().await.unwrap().connect().unwrap();
        let mut rows = connection.query("PRAGMA integrity_check", ()).await.unwrap();
        rows.next().await.unwrap().unwrap().get(0).unwrap()
    })
}
