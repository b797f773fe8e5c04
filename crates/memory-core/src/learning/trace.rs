//! What the steps of a run say: failures, recoveries, the step that decided it.

use std::collections::HashSet;

use super::signature::{action_shape, error_signature, is_shell};
use crate::episode::{Episode, OutcomeKind, Step};

/// Lines at either end of an observation in which an error would be announced.
const ERROR_LINES: usize = 3;

/// Beginnings of lines (lower case) that announce an error.
const ERROR_STARTS: &[&str] = &[
    "error",
    "fatal",
    "traceback",
    "exception",
    "panic",
    "bash:",
    "sh:",
    "/bin/bash:",
    "/bin/sh:",
    "syntaxerror",
    "usage:",
];

/// Parts of lines (lower case) that announce an error.
const ERROR_PARTS: &[&str] = &[
    "command not found",
    "no such file or directory",
    "permission denied",
    "syntax error",
    "error:",
    "exception:",
    "timed out",
    "cannot access",
    "cannot open",
    "not recognized",
    "did not pass",
    "incorrect",
];

/// Names of tools and programs, or beginnings of such names, that look and change nothing.
const LOOKING: &[&str] = &[
    "calculate",
    "cat",
    "check",
    "describe",
    "explain",
    "fetch",
    "find",
    "get",
    "glob",
    "goto",
    "grep",
    "head",
    "list",
    "lookup",
    "ls",
    "open",
    "pwd",
    "query",
    "read",
    "scroll",
    "search",
    "show",
    "tail",
    "think",
    "todowrite",
    "tree",
    "view",
    "web",
    "which",
];

/// Actions (lower case) that only say that the work is over.
const SIGN_OFFS: &[&str] = &["done", "exit", "finish", "stop", "submit"];

/// What went wrong in a step, in one line; `None` when nothing did, as far as one can see.
///
/// The step's own `error` comes first. An observation is searched only when nobody said that the
/// step went well.
pub fn step_error(step: &Step) -> Option<&str> {
    if let Some(error) = step.error.as_deref().filter(|e| !e.trim().is_empty()) {
        return Some(error_line(error));
    }
    if step.success == Some(true) {
        return None;
    }
    announced_error(&step.observation).or_else(|| {
        let said = step.observation.lines().map(str::trim).find(|line| !line.is_empty());
        (step.success == Some(false)).then(|| said.unwrap_or("failed without a message"))
    })
}

/// The line of an error text that names the error: the last of a stack trace, else the first.
fn error_line(error: &str) -> &str {
    let lines = || error.lines().map(str::trim).filter(|line| !line.is_empty());
    if error.contains("Traceback (most recent call last)") {
        return lines().next_back().unwrap_or("error");
    }
    lines().find(|line| announces(line)).or_else(|| lines().next()).unwrap_or("error")
}

fn announced_error(observation: &str) -> Option<&str> {
    let lines = || observation.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines().take(ERROR_LINES).find(|line| announces(line))?;
    if first.starts_with("Traceback") {
        return lines().next_back();
    }
    Some(first)
}

fn announces(line: &str) -> bool {
    let head: String = line.chars().take(160).flat_map(char::to_lowercase).collect();
    ERROR_STARTS.iter().any(|start| head.starts_with(start))
        || ERROR_PARTS.iter().any(|part| head.contains(part))
}

/// True for a step that looks around and changes nothing, as far as its name tells.
pub fn is_looking(step: &Step) -> bool {
    let Some(shape) = action_shape(step) else { return true };
    let shape = shape.to_ascii_lowercase();
    let first = shape.split([' ', '_', '-', '|', ';', '.']).next().unwrap_or("");
    LOOKING.iter().any(|name| {
        first == *name
            || (shape.len() > name.len() + 3 && name.len() > 3 && shape.starts_with(name))
    })
}

/// An error, and the step after which work went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Index of the last step that failed this way.
    pub failed: usize,
    /// How many steps failed before work went on.
    pub attempts: usize,
    /// Index of the first step after it that worked.
    pub next: usize,
    /// Index of the step at which the failed kind of action worked again; often that of `next`.
    pub fixed: Option<usize>,
    /// Signature of the error.
    pub signature: String,
}

/// Steps after a recovery within which the failed kind of action may work again because of it.
const RECOVERY_WINDOW: usize = 16;

/// Where a run failed and went on, in order.
pub fn recoveries(steps: &[Step]) -> Vec<Recovery> {
    // Index, kind of action and error of every step that is more than speech.
    let acts: Vec<(usize, String, Option<&str>)> = steps
        .iter()
        .enumerate()
        .filter_map(|(i, step)| Some((i, action_shape(step)?, step_error(step))))
        .collect();
    let mut found = Vec::new();
    let mut failing: Option<(usize, &str, &str, usize)> = None;
    for (at, (i, shape, error)) in acts.iter().enumerate() {
        if let Some(error) = error {
            let attempts = failing.map_or(0, |(.., n)| n) + 1;
            failing = Some((*i, shape, error, attempts));
        } else if let Some((failed, failed_shape, error, attempts)) = failing.take() {
            let mut again = acts.iter().skip(at).take(RECOVERY_WINDOW);
            let again = again.find(|(_, shape, _)| shape == failed_shape);
            let fixed = again.filter(|(.., error)| error.is_none()).map(|(i, ..)| *i);
            let signature = error_signature(error);
            found.push(Recovery { failed, attempts, next: *i, fixed, signature });
        }
    }
    found
}

/// Indexes of the steps that tell what was done, most telling first: the step that decided the
/// run, then what changed something, latest first, then the rest. Equal actions appear once; speech
/// only where there is nothing else.
pub fn telling_steps(episode: &Episode) -> Vec<usize> {
    let steps = &episode.steps;
    let only_speech = steps.iter().all(is_speech);
    let deciding = deciding_step(episode);
    let rank = |i: usize, step: &Step| match (step_error(step).is_some(), is_looking(step)) {
        _ if Some(i) == deciding => 0,
        (false, false) => 1,
        (true, false) => 2,
        (false, true) => 3,
        (true, true) => 4,
    };
    let eligible = steps.iter().enumerate().filter(|(_, step)| only_speech || !is_speech(step));
    let mut order: Vec<(u8, usize)> = eligible.map(|(i, step)| (rank(i, step), i)).collect();
    order.sort_by_key(|&(rank, i)| (rank, std::cmp::Reverse(i)));
    let mut seen = HashSet::new();
    order.retain(|&(_, i)| {
        steps.get(i).is_some_and(|s| seen.insert((&s.tool, &s.action, s.parameters.as_str())))
    });
    order.into_iter().map(|(_, i)| i).collect()
}

/// True for a step without a tool: something said, thought or noted.
fn is_speech(step: &Step) -> bool {
    step.tool.trim().is_empty() || step.is_checkpoint()
}

/// The step that decided a run: of a run that was not solved the one with the best reward of its
/// own, if steps have any (`{"reward": 0.5}` among their parameters); else the last one that worked
/// and, for tools that are called by name rather than by command line, changed something. For
/// speech alone: where most was said.
pub fn deciding_step(episode: &Episode) -> Option<usize> {
    let solved = episode.outcome.as_ref().is_some_and(|o| o.kind == OutcomeKind::Success);
    if !solved && let Some(best) = best_rewarded(&episode.steps) {
        return Some(best);
    }
    let working: Vec<(usize, &Step)> = episode
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !is_speech(step) && step_error(step).is_none())
        .filter(|(_, step)| !is_sign_off(step))
        .collect();
    let Some(&(last, step)) = working.last() else {
        let acted = episode.steps.iter().rposition(|step| !is_speech(step));
        let longest = episode.steps.iter().enumerate().max_by_key(|(_, step)| step.action.len());
        return acted.or(longest.map(|(i, _)| i));
    };
    let tool = step.tool.to_ascii_lowercase();
    let by_name = !is_shell(&tool) && !tool.contains("sql");
    if by_name && is_looking(step) {
        let changing = working.iter().rev().find(|(_, step)| !is_looking(step));
        return Some(changing.map_or(last, |&(i, _)| i));
    }
    Some(last)
}

fn is_sign_off(step: &Step) -> bool {
    let said = step.action.trim().trim_end_matches(['(', ')']).to_ascii_lowercase();
    SIGN_OFFS.contains(&said.as_str())
}

/// The first of the steps with the highest reward above 0.
fn best_rewarded(steps: &[Step]) -> Option<usize> {
    #[derive(serde::Deserialize)]
    struct Rewarded {
        reward: f64,
    }
    let mut best: Option<(usize, f64)> = None;
    for (i, step) in steps.iter().enumerate().filter(|(_, step)| !step.parameters.is_empty()) {
        let Ok(step) = serde_json::from_str::<Rewarded>(step.parameters.as_str()) else { continue };
        if step.reward > best.map_or(0.0, |(_, reward)| reward) {
            best = Some((i, step.reward));
        }
    }
    best.map(|(i, _)| i)
}

/// What a step did, in its own words: the action; where that is only the tool's name, with the
/// parameters.
pub fn action_text(step: &Step) -> String {
    let (tool, action) = (step.tool.trim(), step.action.trim());
    let name = if action.is_empty() { tool } else { action };
    if name != tool || step.parameters.is_empty() {
        return name.to_owned();
    }
    format!("{name} {}", step.parameters.as_str())
}

/// `text` on one line, cut to `max` characters.
pub fn one_line(text: &str, max: usize) -> String {
    let mut out = String::new();
    if max == 0 {
        return out;
    }
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > 4 * max {
            break;
        }
    }
    match out.char_indices().nth(max) {
        Some((end, _)) => {
            out.truncate(end);
            out.truncate(out.trim_end().len());
            out.push('…');
            out
        }
        None => out,
    }
}
