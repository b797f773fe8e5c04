//! InterCode results: interactive coding tasks, an action, an observation and a reward a turn.
//!
//! `info` holds the evaluation (the expected output, what differs): it stays out.

use std::io::Read;

use memory_core::Complexity;
use serde::{Deserialize, Serialize};

use super::draft::{Draft, DraftStep, Fingerprint, error_line};
use super::lenient::{Scalar, Text, null_as_default};
use super::scan::{Raw, RecordScanner};
use super::{Format, Reject};

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    environment: Scalar,
    #[serde(default)]
    dataset: Scalar,
    #[serde(default)]
    task_id: Scalar,
    #[serde(default)]
    query: Text,
    #[serde(default)]
    hardness: Scalar,
    #[serde(deserialize_with = "null_as_default")]
    turn_history: Turns,
    #[serde(default, deserialize_with = "null_as_default")]
    summary: Summary,
}

#[derive(Default, Deserialize)]
struct Turns {
    /// What the agent thought before each action, in runs that ask it to.
    #[serde(default, deserialize_with = "null_as_default")]
    thoughts: Vec<Text>,
    /// The step of its plan that each action is for, in runs that begin with a plan.
    #[serde(default, deserialize_with = "null_as_default")]
    steps: Vec<Text>,
    #[serde(default, deserialize_with = "null_as_default")]
    actions: Vec<Text>,
    #[serde(default, deserialize_with = "null_as_default")]
    observations: Vec<Text>,
    #[serde(default, deserialize_with = "null_as_default")]
    rewards: Vec<Scalar>,
    #[serde(default, deserialize_with = "null_as_default")]
    valid_action: Vec<Scalar>,
}

#[derive(Default, Deserialize)]
struct Summary {
    #[serde(default)]
    max_reward: Scalar,
    #[serde(default)]
    turns_taken: Scalar,
    #[serde(default)]
    turns_max: Scalar,
}

/// Turns that tell two agents' results apart: the same ones in a row, by chance, are unlikely.
const TELLING_TURNS: usize = 4;

/// What names the run of one agent over a dataset. Nothing in a record does, and two agents that
/// solve a task with the same single command leave identical records; so each record's identity
/// includes this: the first records of its file, as many as make [`TELLING_TURNS`] turns.
pub(super) fn run_name(mut records: RecordScanner<impl Read>) -> String {
    let (mut turns, mut name) = (0, Fingerprint::default());
    while turns < TELLING_TURNS {
        let Some(record) = records.next_record() else { break };
        let Ok(raw) = record else { continue };
        let Ok(run) = serde_json::from_str::<Run>(&raw.text) else { continue };
        turns += run.turn_history.actions.len();
        name = run.turn_history.name_in(name);
    }
    name.finish()
}

impl Turns {
    /// Adds the turns to what names a run.
    fn name_in(&self, mut name: Fingerprint) -> Fingerprint {
        for text in self.actions.iter().chain(&self.observations) {
            name = name.part(&text.0);
        }
        for scalar in self.rewards.iter().chain(&self.valid_action) {
            name = name.part(&scalar.to_text());
        }
        name
    }
}

/// One run as an episode.
pub(super) fn read(raw: &Raw, run_name: &str) -> Result<Draft, Reject> {
    let run: Run = serde_json::from_str(&raw.text)?;
    let turns = run.turn_history;
    let task_id = match (&run.task_id, &raw.key) {
        (Scalar::Absent, Some(key)) => Scalar::Text(key.clone()),
        (id, _) => id.clone(),
    };
    let content = Fingerprint::default()
        .part(run_name)
        .part(raw.key.as_deref().unwrap_or_default())
        .part(&run.dataset.to_text())
        .part(&run.query.0);
    let content = turns.name_in(content).finish();
    let mut draft =
        Draft::new(Format::Intercode, format!("task {}, run {content}", task_id.to_text()));
    let environment = run.environment.to_text();
    let kind = environment.strip_prefix("ic_").unwrap_or(&environment);
    draft.task = run.query.0;
    draft.task_type = kind.to_owned();
    let language = if kind == "ctf" { "bash" } else { kind };
    draft.context.language = language.to_owned();
    draft.context.complexity = complexity(&run.hardness.to_text());
    draft.note("environment", run.environment.to_metadata());
    draft.note("dataset", run.dataset.to_metadata());
    draft.note("task_id", task_id.to_metadata());
    draft.note("hardness", run.hardness.to_metadata());
    draft.note("turns_taken", run.summary.turns_taken.to_metadata());
    draft.note("turns_max", run.summary.turns_max.to_metadata());
    let of_turns = turns.rewards.iter().filter_map(Scalar::to_number).reduce(f64::max);
    let taken = turns.actions.len();
    push_turns(&mut draft, turns, if language.is_empty() { "action" } else { language });
    let reward = run.summary.max_reward.to_number().or(of_turns);
    draft.judge(reward, format!("best reward {} in {taken} turns", reward.unwrap_or_default()));
    Ok(draft)
}

/// What a turn has beside action and observation.
#[derive(Serialize)]
struct Beside {
    #[serde(skip_serializing_if = "Option::is_none")]
    thought: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<serde_json::Number>,
}

impl Beside {
    /// As JSON text; empty when there is nothing.
    fn of(thought: Option<Text>, plan: Option<Text>, reward: Option<f64>) -> String {
        let said = |text: Option<Text>| text.map(|t| t.0).filter(|t| !t.trim().is_empty());
        // As the source wrote it: 1, not 1.0.
        let reward = reward.and_then(|r| r.to_string().parse().ok());
        let beside = Beside { thought: said(thought), plan: said(plan), reward };
        match serde_json::to_string(&beside) {
            Ok(json) if json != "{}" => json,
            _ => String::new(),
        }
    }
}

fn push_turns(draft: &mut Draft, turns: Turns, language: &str) {
    let mut observations = turns.observations.into_iter();
    let mut rewards = turns.rewards.into_iter();
    let mut valid = turns.valid_action.into_iter();
    let mut thoughts = turns.thoughts.into_iter();
    let mut plan = turns.steps.into_iter();
    for Text(action) in turns.actions {
        let observation = observations.next().unwrap_or_default().0;
        let reward = rewards.next().unwrap_or_default().to_number();
        let valid = valid.next().unwrap_or_default().to_bool();
        let success = worked(&observation, reward, valid);
        let submits = action.trim() == "submit" || action.starts_with("submit ");
        draft.push(DraftStep {
            tool: if submits { "submit" } else { language }.to_owned(),
            action,
            parameters: Beside::of(thoughts.next(), plan.next(), reward),
            error: (success == Some(false)).then(|| error_line(&observation)).flatten(),
            observation,
            success,
            ..DraftStep::default()
        });
    }
}

/// A full reward says that the turn worked, whatever else; the environment's word on the action is
/// next; without it only its error messages tell.
fn worked(observation: &str, reward: Option<f64>, valid: Option<bool>) -> Option<bool> {
    if reward.is_some_and(|r| r >= 1.0) {
        return Some(true);
    }
    let failed = ["Error", "Test case did not pass"].iter().any(|say| observation.starts_with(say));
    valid.or(failed.then_some(false))
}

fn complexity(hardness: &str) -> Option<Complexity> {
    match hardness {
        "easy" => Some(Complexity::Simple),
        "medium" => Some(Complexity::Moderate),
        "hard" | "extra" => Some(Complexity::Complex),
        _ => None,
    }
}
