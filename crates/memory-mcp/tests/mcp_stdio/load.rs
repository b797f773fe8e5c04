//! Processes and clients side by side.

use std::collections::HashMap;

use memory_testkit::generate::Random;
use memory_testkit::rounds::random;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Era, Server};

/// Writes of one client.
const WRITES: usize = 500;
const CLIENTS: usize = 4;
const PROCESSES: usize = 2;

/// Calls that a client has in flight, at most.
const MAX_IN_FLIGHT: usize = 100;

/// What a client knows of its episodes, from the answers it got.
#[derive(Default)]
struct Known {
    /// Steps acknowledged, by episode.
    steps: HashMap<String, usize>,
    /// Episodes whose completion was acknowledged.
    completed: Vec<String>,
}

#[test]
fn two_processes_and_four_clients_are_refused_nothing_and_lose_nothing() {
    let mut seeds = random("two_processes_and_four_clients");
    let data = TempDir::new().unwrap();
    let clients: Vec<Known> = std::thread::scope(|scope| {
        let processes: Vec<_> = (0..PROCESSES)
            .map(|_| {
                let server = Server::open(data.path(), Era::Modern);
                let random = Random::new(seeds.bits());
                scope.spawn(|| run(server, random))
            })
            .collect();
        processes.into_iter().flat_map(|process| process.join().unwrap()).collect()
    });

    let mut later = Server::open(data.path(), Era::Modern);
    let mut episodes = 0;
    for known in &clients {
        episodes += known.steps.len();
        for (id, steps) in &known.steps {
            let shown = later.done("get_episode", json!({"episode_id": id, "step_count": 0}));
            assert_eq!(shown["total_steps"], *steps, "{id}");
            let state = if known.completed.contains(id) { "success" } else { "running" };
            assert_eq!(shown["episode"]["state"], state, "{id}");
        }
    }
    println!("{episodes} episodes are as they were acknowledged");
    later.close();
}

/// One process with its share of the clients, which take turns by lot and share the connection.
fn run(mut server: Server, mut random: Random) -> Vec<Known> {
    let mut clients: Vec<Client> = (0..CLIENTS / PROCESSES).map(|_| Client::default()).collect();
    let mut calls: HashMap<u64, (usize, Call)> = HashMap::new();
    loop {
        let ready: Vec<usize> = (0..clients.len()).filter(|&i| clients[i].may_write()).collect();
        if ready.is_empty() && calls.is_empty() {
            break;
        }
        // Bursts fill the window, pauses let it run empty.
        if !ready.is_empty() && (calls.is_empty() || random.below(20) > 0) {
            let chosen = ready[random.below(ready.len())];
            let (tool, arguments, call) = clients[chosen].next(&mut random);
            calls.insert(server.post_call(tool, arguments), (chosen, call));
        } else {
            for _ in 0..1 + random.below(calls.len()) {
                let response = server.receive();
                let (client, call) = calls.remove(&response["id"].as_u64().unwrap()).unwrap();
                clients[client].learn(call, &Answer::of(&response));
            }
        }
    }
    server.close();
    clients.into_iter().map(|client| client.known).collect()
}

enum Call {
    Start,
    Log(String),
    Complete(String),
}

#[derive(Default)]
struct Client {
    known: Known,
    /// Episodes that take steps: started, no completion under way.
    open: Vec<String>,
    /// Steps on their way, by episode.
    under_way: HashMap<String, usize>,
    sent: usize,
    in_flight: usize,
}

impl Client {
    fn may_write(&self) -> bool {
        self.sent < WRITES && self.in_flight < MAX_IN_FLIGHT
    }

    /// The next write: mostly new episodes, some steps, some completions.
    fn next(&mut self, random: &mut Random) -> (&'static str, Value, Call) {
        self.sent += 1;
        self.in_flight += 1;
        let lot = if self.open.is_empty() { 0 } else { random.below(10) };
        if lot < 6 {
            let task = format!("Task {} of {}", self.sent, random.bits());
            let arguments = json!({"task": task, "recall_budget_tokens": 0});
            return ("start_episode", arguments, Call::Start);
        }
        let place = random.below(self.open.len());
        let id = self.open[place].clone();
        if lot < 9 {
            *self.under_way.entry(id.clone()).or_default() += 1;
            let step = json!({"tool": "bash", "action": format!("step {}", self.sent)});
            return ("log_steps", json!({"episode_id": id, "steps": [step]}), Call::Log(id));
        }
        // Steps that overtake their completion would rightly be refused.
        if self.under_way.get(&id).is_some_and(|n| *n > 0) {
            let task = format!("Task {} instead", self.sent);
            let arguments = json!({"task": task, "recall_budget_tokens": 0});
            return ("start_episode", arguments, Call::Start);
        }
        self.open.swap_remove(place);
        ("complete_episode", json!({"episode_id": id, "outcome": "success"}), Call::Complete(id))
    }

    fn learn(&mut self, call: Call, answer: &Answer) {
        assert!(!answer.is_error, "refused: {}", answer.text);
        self.in_flight -= 1;
        match call {
            Call::Start => {
                let id = answer.structured["episode_id"].as_str().unwrap().to_owned();
                self.known.steps.insert(id.clone(), 0);
                self.open.push(id);
            }
            Call::Log(id) => {
                *self.under_way.get_mut(&id).unwrap() -= 1;
                *self.known.steps.get_mut(&id).unwrap() += 1;
            }
            Call::Complete(id) => self.known.completed.push(id),
        }
    }
}
