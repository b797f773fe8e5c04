//! Clients that know what they were told: lanes of episodes, one call in flight on each, and what has
//! to be in the database afterwards.

use std::collections::{BTreeMap, HashMap};

use memory_testkit::generate::Random;
use serde_json::{Value, json};

use crate::client::{Answer, Server};

/// What a lane asked for, and what was acknowledged of it.
#[derive(Debug, Clone, Default)]
struct Life {
    sent: State,
    acknowledged: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct State {
    started: bool,
    steps: u64,
    completed: bool,
    forgotten: bool,
}

/// Every episode that some lane worked on.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    lives: BTreeMap<String, Life>,
    /// Calls whose answer never came, because the process was killed.
    pub(crate) in_flight: u64,
}

/// What a look at the database found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) episodes: usize,
    /// Writes acknowledged.
    pub(crate) acknowledged: u64,
    /// Writes that are there though no answer came.
    pub(crate) surplus: u64,
}

impl History {
    /// Of two processes, which worked on episodes of their own.
    pub(crate) fn and(mut self, mut other: History) -> Self {
        self.lives.append(&mut other.lives);
        self.in_flight += other.in_flight;
        self
    }

    fn acknowledge(&mut self, id: &str) {
        let life = self.lives.get_mut(id).unwrap();
        life.acknowledged = life.sent;
    }

    /// Compares `records`, an export, with what was acknowledged: panics at anything lost, torn, or
    /// never asked for.
    pub(crate) fn check(&self, records: &[Value]) -> Found {
        let there: HashMap<&str, &Value> = records
            .iter()
            .filter(|record| record["kind"] == "episode")
            .map(|record| (record["id"].as_str().unwrap(), record))
            .collect();
        for id in there.keys() {
            assert!(self.lives.contains_key(*id), "{id} was never started");
        }
        let mut found = Found { episodes: self.lives.len(), ..Found::default() };
        for (id, life) in &self.lives {
            let (told, sent) = (life.acknowledged, life.sent);
            let seen = match there.get(id.as_str()) {
                Some(record) => State::of(record),
                None if sent.forgotten => State { forgotten: true, ..sent },
                None => State::default(),
            };
            assert!(
                seen == told || seen == sent,
                "{id}: told {told:?}, sent {sent:?}, is {seen:?}"
            );
            found.acknowledged += told.writes();
            found.surplus += u64::from(seen != told);
        }
        assert!(found.surplus <= self.in_flight, "{found:?}, in flight {}", self.in_flight);
        found
    }
}

impl State {
    /// Of an exported episode, whose steps must be those that were logged, each once and in order.
    fn of(record: &Value) -> Self {
        let steps = record["steps"].as_array().map_or(&[][..], Vec::as_slice);
        for (number, step) in (1u64..).zip(steps) {
            assert_eq!(step["number"], number, "{record}");
            assert_eq!(step["action"], format!("step {number}"), "{record}");
        }
        let completed = record["outcome"].is_object();
        State { started: true, steps: steps.len() as u64, completed, forgotten: false }
    }

    fn writes(self) -> u64 {
        let flags = [self.started, self.completed, self.forgotten];
        self.steps + flags.into_iter().map(u64::from).sum::<u64>()
    }
}

/// Lanes on one server process. Each writes one episode after the other and waits for every answer.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// The episode of each lane.
    open: Vec<String>,
    /// The calls without an answer.
    calls: HashMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    lane: usize,
    tool: &'static str,
    arguments: Value,
    /// It was sent before, and refused.
    repeated: bool,
}

impl Lanes {
    /// Sends the first call on each of `count` lanes.
    pub(crate) fn begin(
        count: usize,
        server: &mut Server,
        random: &mut Random,
        history: &mut History,
    ) -> Self {
        let mut lanes = Lanes { open: vec![String::new(); count], calls: HashMap::new() };
        (0..count).for_each(|lane| lanes.post(lane, server, random, history));
        lanes
    }

    /// Takes in an answer, which must be no error, and sends the next call on its lane.
    pub(crate) fn go_on(
        &mut self,
        response: &Value,
        server: &mut Server,
        random: &mut Random,
        history: &mut History,
    ) {
        let lane = self.learn(response, history);
        self.post(lane, server, random, history);
    }

    /// Takes in an answer; gives its lane.
    pub(crate) fn learn(&mut self, response: &Value, history: &mut History) -> usize {
        let answer = Answer::of(response);
        let call = self.calls.remove(&response["id"].as_u64().unwrap()).unwrap();
        assert!(!answer.is_error, "refused: {}", answer.text);
        history.acknowledge(&self.open[call.lane]);
        call.lane
    }

    /// Takes in an answer that may be a refusal: then the same call is sent again, as the error says.
    /// Gives its lane once it is acknowledged.
    pub(crate) fn learn_or_repeat(
        &mut self,
        response: &Value,
        server: &mut Server,
        history: &mut History,
    ) -> Option<usize> {
        let answer = Answer::of(response);
        let mut call = self.calls.remove(&response["id"].as_u64().unwrap()).unwrap();
        // What an unanswered call has forgotten is not there to be forgotten again.
        let gone = call.repeated && call.tool == "forget_episode" && is_gone(&answer.text);
        if answer.is_error && !gone {
            let again = ["repeat", "in a moment", "raise max_response_bytes"]
                .iter()
                .any(|words| answer.text.contains(words));
            assert!(again, "refused for good: {}: {}", call.tool, answer.text);
            call.repeated = true;
            let id = server.post_call(call.tool, call.arguments.clone());
            self.calls.insert(id, call);
            return None;
        }
        history.acknowledge(&self.open[call.lane]);
        Some(call.lane)
    }

    /// Calls that have no answer yet.
    pub(crate) fn waiting(&self) -> u64 {
        self.calls.len() as u64
    }

    /// Sends the next call in the life of the lane's episode, by lot.
    pub(crate) fn post(
        &mut self,
        lane: usize,
        server: &mut Server,
        random: &mut Random,
        history: &mut History,
    ) {
        let id = &mut self.open[lane];
        let over = history
            .lives
            .get(id)
            .is_none_or(|life| life.sent.forgotten || (life.sent.completed && random.below(3) > 0));
        if over {
            *id = fresh_id(random);
        }
        let life = history.lives.entry(id.clone()).or_default();
        let (tool, mut arguments) = if !life.sent.started {
            life.sent.started = true;
            ("start_episode", json!({"task": format!("Outlive {id}"), "recall_budget_tokens": 0}))
        } else if life.sent.completed || random.below(12) == 0 {
            life.sent.forgotten = true;
            ("forget_episode", json!({}))
        } else if random.below(4) == 0 {
            life.sent.completed = true;
            ("complete_episode", json!({"outcome": "success", "verdict": "x".repeat(500)}))
        } else {
            // All steps of a call or none.
            let first = life.sent.steps + 1;
            life.sent.steps += 1 + random.below(3) as u64;
            let step = |n| json!({"action": format!("step {n}"), "observation": "x".repeat(300)});
            let steps: Vec<Value> = (first..=life.sent.steps).map(step).collect();
            ("log_steps", json!({"steps": steps, "first_step": first}))
        };
        arguments["episode_id"] = id.as_str().into();
        let call = Call { lane, tool, arguments: arguments.clone(), repeated: false };
        self.calls.insert(server.post_call(tool, arguments), call);
    }
}

/// Whether an error says that the episode was forgotten.
pub(crate) fn is_gone(said: &str) -> bool {
    said.contains("not found in this project") || said.contains("was forgotten")
}

/// Made by the client, so that what was never acknowledged is known too.
fn fresh_id(random: &mut Random) -> String {
    let bits = random.bits();
    format!("0198c0de-7a3b-7{:03x}-9{:03x}-{:012x}", bits & 0xfff, bits >> 12 & 0xfff, bits >> 24)
}
