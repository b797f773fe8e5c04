//! SWE-agent trajectories (`.traj`): thought, action and observation a step, or chat messages alone.
//!
//! A trajectory says how it ended (`exit_status`), not whether the patch is right: without a verdict
//! of an evaluation in `info` the run is unjudged. `exit_forfeit` is the agent giving up: abandoned.

use memory_core::OutcomeKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::{ToolCall, arguments, readable_call};
use super::draft::{Draft, DraftStep, Fingerprint};
use super::lenient::{Scalar, Text, join, null_as_default};
use super::scan::Raw;
use super::{Format, Reject};

#[derive(Deserialize)]
struct Run<'a> {
    #[serde(default)]
    environment: Scalar,
    #[serde(borrow, default)]
    trajectory: Option<&'a RawValue>,
    #[serde(borrow, default)]
    history: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "null_as_default")]
    info: Info,
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default)]
    exit_status: Scalar,
    #[serde(default)]
    submission: Scalar,
    #[serde(default)]
    resolved: Scalar,
    #[serde(default)]
    score: Scalar,
    #[serde(default)]
    reward: Scalar,
    #[serde(default, deserialize_with = "null_as_default")]
    model_stats: ModelStats,
}

#[derive(Default, Deserialize)]
struct ModelStats {
    #[serde(default)]
    instance_cost: Scalar,
    #[serde(default)]
    tokens_sent: Scalar,
    #[serde(default)]
    tokens_received: Scalar,
    #[serde(default)]
    api_calls: Scalar,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(default)]
    action: Text,
    #[serde(default)]
    observation: Text,
    #[serde(default)]
    thought: Text,
    #[serde(default)]
    response: Text,
    #[serde(default)]
    execution_time: Scalar,
    /// What the model was shown; `messages` before version 1.1.
    #[serde(borrow, default, alias = "messages")]
    query: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    role: Scalar,
    #[serde(default)]
    content: Text,
    #[serde(default)]
    thought: Text,
    #[serde(default)]
    action: Text,
    #[serde(default)]
    is_demo: Scalar,
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    tool_calls: Vec<ToolCall<'a>>,
}

/// One run as an episode.
pub(super) fn read(raw: &Raw) -> Result<Draft, Reject> {
    let run: Run<'_> = serde_json::from_str(&raw.text)?;
    let turns: Vec<Turn<'_>> = list(run.trajectory, "trajectory")?;
    let messages: Vec<Message<'_>> = list(run.history, "history")?;
    let name = name(&run.environment.to_text(), &turns, &messages);
    let mut draft = Draft::new(Format::SweAgent, format!("run {name}"));
    let asked = first_prompt(&messages).or_else(|| {
        let shown: Vec<Message<'_>> = list(turns.first()?.query, "query").ok()?;
        first_prompt(&shown)
    });
    let asked = asked.ok_or("no message of `history` or `trajectory` says what the task is")?;
    draft.task_type = task_type(&asked).to_owned();
    draft.task = task(&asked).to_owned();
    if turns.is_empty() {
        push_messages(&mut draft, messages);
    } else {
        turns.into_iter().for_each(|turn| push_turn(&mut draft, turn));
    }
    end(&mut draft, &run.info);
    draft.note("environment", run.environment.to_metadata());
    let stats = &run.info.model_stats;
    for (key, value) in [
        ("cost", &stats.instance_cost),
        ("tokens_sent", &stats.tokens_sent),
        ("tokens_received", &stats.tokens_received),
        ("api_calls", &stats.api_calls),
    ] {
        draft.note(key, value.to_metadata());
    }
    Ok(draft)
}

/// What was done tells runs apart; without a trajectory, what was said.
fn name(environment: &str, turns: &[Turn<'_>], messages: &[Message<'_>]) -> String {
    let mut name = Fingerprint::default().part(environment);
    for turn in turns {
        let thought = if turn.thought.0.is_empty() { &turn.response.0 } else { &turn.thought.0 };
        name = name.part(&turn.action.0).part(&turn.observation.0).part(thought);
    }
    for message in messages {
        name = name.part(&message.role.to_text()).part(&message.content.0).part(&message.action.0);
        for call in &message.tool_calls {
            name = call.name_in(name);
        }
    }
    name.finish()
}

fn list<'a, T: Deserialize<'a>>(part: Option<&'a RawValue>, name: &str) -> Result<Vec<T>, String> {
    let Some(part) = part else { return Ok(Vec::new()) };
    let list: Option<Vec<T>> =
        serde_json::from_str(part.get()).map_err(|e| format!("`{name}`: {e}"))?;
    Ok(list.unwrap_or_default())
}

/// The first thing the user says that is no demonstration.
fn first_prompt(messages: &[Message<'_>]) -> Option<String> {
    messages
        .iter()
        .filter(|m| m.role.to_text() == "user" && m.is_demo.to_bool() != Some(true))
        .map(|m| &m.content.0)
        .find(|text| !text.trim().is_empty() && !text.starts_with("Here is a demonstration"))
        .cloned()
}

fn task_type(prompt: &str) -> &'static str {
    if prompt.contains("CTF challenge") {
        "ctf"
    } else if prompt.contains("issue") || prompt.contains("<pr_description>") {
        "bugfix"
    } else {
        ""
    }
}

/// The issue or challenge without the standing instructions around it, where the usual templates
/// are recognised.
fn task(prompt: &str) -> &str {
    for (open, close) in [
        ("<pr_description>", "</pr_description>"),
        ("<issue>", "</issue>"),
        ("ISSUE:\n", "\nINSTRUCTIONS:"),
    ] {
        if let Some((_, rest)) = prompt.split_once(open)
            && let Some((inner, _)) = rest.split_once(close)
            && !inner.trim().is_empty()
        {
            return inner.trim();
        }
    }
    let before = prompt.split_once("\nINSTRUCTIONS:").map_or(prompt, |(before, _)| before);
    let from = before.find("The CTF challenge is").unwrap_or(0);
    without_shell_state(before.get(from..).unwrap_or(before)).trim()
}

/// Observations in messages end with the state of the shell and its prompt.
fn without_shell_state(text: &str) -> &str {
    match text.rfind("\n(Open file:") {
        Some(at) if text.trim_end().ends_with("bash-$") => text.get(..at).unwrap_or(text),
        _ => text,
    }
}

fn push_turn(draft: &mut Draft, turn: Turn<'_>) {
    let thought = if turn.thought.0.is_empty() { turn.response.0 } else { turn.thought.0 };
    let seconds = turn.execution_time.to_number().filter(|s| *s >= 0.0);
    push_action(draft, turn.action.0, thought, turn.observation.0, seconds);
}

fn push_action(
    draft: &mut Draft,
    action: String,
    thought: String,
    observation: String,
    seconds: Option<f64>,
) {
    let action = action.trim_end().to_owned();
    let success = failed(&observation).then_some(false);
    let latency_ms = seconds.map(|s| (s * 1000.0).round() as u64);
    let mut step = if action.trim().is_empty() {
        DraftStep { action: thought, ..DraftStep::default() }
    } else {
        let tool = tool_of(&action).to_owned();
        let thought = serde_json::json!({ "thought": thought.trim() });
        let has_thought = thought.get("thought").is_some_and(|t| t != "");
        let parameters = if has_thought { thought.to_string() } else { String::new() };
        DraftStep { tool, action, parameters, ..DraftStep::default() }
    };
    step.latency_ms = latency_ms;
    if let Some(index) = draft.push(step) {
        draft.answer(index, observation, success);
    }
}

/// The command of an action: `edit` for `edit 12:14`, `bash` where it is no plain word.
fn tool_of(action: &str) -> &str {
    let word = action.split_whitespace().next().unwrap_or_default();
    let word = word.rsplit('/').next().unwrap_or(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    if !word.is_empty() && word.len() <= 40 && word.chars().all(plain) { word } else { "bash" }
}

/// The environment's own words for an action that did not work.
fn failed(observation: &str) -> bool {
    let text = observation.trim_start();
    ["Traceback (most recent call last)", "Error", "EXECUTION TIMED OUT", "usage: ", "Usage: "]
        .iter()
        .any(|say| text.starts_with(say))
        || text.starts_with("Your proposed edit has introduced new syntax error")
        || text.lines().next().is_some_and(|line| line.ends_with(": command not found"))
}

/// Steps out of chat messages: each answer of the agent and what came back.
fn push_messages(draft: &mut Draft, messages: Vec<Message<'_>>) {
    let mut messages =
        messages.into_iter().filter(|m| m.is_demo.to_bool() != Some(true)).peekable();
    while let Some(message) = messages.next() {
        if message.role.to_text() != "assistant" {
            continue;
        }
        let mut observation = String::new();
        while let Some(answer) = messages.next_if(|m| m.role.to_text() != "assistant") {
            join(&mut observation, without_shell_state(&answer.content.0));
        }
        let call = message.tool_calls.first().map(|call| {
            readable_call(&call.function.name.to_text(), &arguments(call.function.arguments))
        });
        let action =
            if message.action.0.is_empty() { call.unwrap_or_default() } else { message.action.0 };
        let thought =
            if message.thought.0.is_empty() { message.content.0 } else { message.thought.0 };
        push_action(draft, action, thought, observation, None);
    }
}

/// How the run ended, and what was submitted.
fn end(draft: &mut Draft, info: &Info) {
    let status = info.exit_status.to_text();
    let submission = info.submission.to_text();
    draft.note("exit_status", info.exit_status.to_metadata());
    if !submission.trim().is_empty() {
        draft.note("submission_bytes", i64::try_from(submission.len()).ok().map(Into::into));
        if !draft.last_observation().contains(submission.trim()) {
            draft.push(DraftStep {
                tool: "submit".to_owned(),
                action: "submit".to_owned(),
                observation: submission,
                ..DraftStep::default()
            });
        }
    }
    if status == "exit_forfeit" {
        draft.outcome.kind = OutcomeKind::Abandoned;
    }
    if !status.is_empty() {
        draft.outcome.verdict = format!("exit status: {status}");
    }
    let verdict =
        [&info.resolved, &info.score, &info.reward].into_iter().find_map(Scalar::to_number);
    draft.judge(verdict, format!("evaluated; exit status: {status}"));
}
