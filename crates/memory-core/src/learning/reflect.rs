//! What worked, what failed, what to do next time.

use std::collections::{HashMap, HashSet};

use super::signature::{action_shape, error_signature};
use super::trace::{action_text, deciding_step, one_line, recoveries, step_error, telling_steps};
use crate::episode::{Episode, OutcomeKind, Reflection};

/// Lines of each part: a reflection is read in a context window.
const MAX_LINES: usize = 4;

/// Characters of an action or an error inside a line.
const EXCERPT_CHARS: usize = 160;

/// Characters of a verdict.
const VERDICT_CHARS: usize = 300;

/// The same action this often is a loop.
const LOOP: usize = 3;

/// A reflection drawn from the steps and the outcome of a completed episode; empty while it runs.
pub fn reflect(episode: &Episode) -> Reflection {
    let Some(outcome) = &episode.outcome else { return Reflection::default() };
    let mut reflection = Reflection::default();
    let solved = outcome.kind == OutcomeKind::Success;
    if says_something(&outcome.verdict) {
        let verdict = one_line(&outcome.verdict, VERDICT_CHARS);
        if solved { &mut reflection.worked } else { &mut reflection.failed }.push(verdict);
    }
    if solved && let Some(step) = deciding_step(episode).and_then(|i| episode.steps.get(i)) {
        reflection.worked.push(format!("solved by: {}", excerpt(&action_text(step))));
    }
    add_recoveries(episode, &mut reflection);
    add_errors(episode, &mut reflection);
    let looped = add_loop(episode, &mut reflection);
    if matches!(outcome.kind, OutcomeKind::Failure | OutcomeKind::Partial) {
        add_tried(episode, &mut reflection, looped);
    }
    for lines in [&mut reflection.worked, &mut reflection.failed, &mut reflection.next_time] {
        let mut seen = HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        lines.truncate(MAX_LINES);
    }
    reflection
}

/// False for a verdict that only repeats the number which the reward holds already.
fn says_something(verdict: &str) -> bool {
    let verdict = verdict.trim().to_lowercase();
    let names_number = ["reward", "best reward", "score"].iter().any(|s| verdict.starts_with(s));
    let is_number = names_number && verdict.bytes().any(|b| b.is_ascii_digit());
    !verdict.is_empty() && !is_number
}

fn excerpt(text: &str) -> String {
    one_line(text, EXCERPT_CHARS)
}

/// How work went on after an error.
fn add_recoveries(episode: &Episode, reflection: &mut Reflection) {
    for recovery in recoveries(&episode.steps) {
        let steps = &episode.steps;
        let (Some(failed), Some(next)) = (steps.get(recovery.failed), steps.get(recovery.next))
        else {
            continue;
        };
        let error = excerpt(step_error(failed).unwrap_or(""));
        let fixed = recovery.fixed.and_then(|i| steps.get(i)).unwrap_or(next);
        let line = format!("after \"{error}\" this worked: {}", excerpt(&action_text(fixed)));
        reflection.worked.push(line);
        if recovery.fixed.is_some_and(|i| i != recovery.next) {
            let look = excerpt(&action_text(next));
            reflection.next_time.push(format!("on \"{}\" first: {look}", recovery.signature));
        }
    }
}

/// The errors that were met, each kind once with how often.
fn add_errors(episode: &Episode, reflection: &mut Reflection) {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    let mut place: HashMap<String, usize> = HashMap::new();
    for error in episode.steps.iter().filter_map(step_error) {
        let index = *place.entry(error_signature(error)).or_insert(kinds.len());
        match kinds.get_mut(index) {
            Some((_, count)) => *count += 1,
            None => kinds.push((error, 1)),
        }
    }
    kinds.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    for (error, count) in kinds {
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        reflection.failed.push(format!("{}{times}", excerpt(error)));
    }
}

/// The action that was repeated most, if it was repeated too often. True when there is one.
fn add_loop(episode: &Episode, reflection: &mut Reflection) -> bool {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for step in episode.steps.iter().filter(|step| action_shape(step).is_some()) {
        *counts.entry(action_text(step)).or_default() += 1;
    }
    let most = counts.into_iter().max_by(|(a, n), (b, m)| n.cmp(m).then(b.cmp(a)));
    let Some((action, count)) = most else { return false };
    if count < LOOP {
        return false;
    }
    let action = one_line(&action, EXCERPT_CHARS / 2);
    reflection.failed.push(format!("repeated {count} times: {action}"));
    reflection.next_time.push(format!("do not repeat \"{action}\": the result stays the same"));
    true
}

/// For a run that was not solved: what was tried, so that it is not tried again.
fn add_tried(episode: &Episode, reflection: &mut Reflection, looped: bool) {
    let tried: Vec<String> = telling_steps(episode)
        .into_iter()
        .filter_map(|i| episode.steps.get(i))
        .take(if looped { 2 } else { 3 })
        .map(|step| one_line(&action_text(step), EXCERPT_CHARS / 2))
        .collect();
    if !tried.is_empty() {
        reflection.next_time.push(format!("not enough: {}", tried.join("; ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpisodeId, Outcome, Step, Timestamp};

    fn step(action: &str, error: Option<&str>) -> Step {
        Step {
            tool: "sql".into(),
            action: action.into(),
            success: Some(error.is_none()),
            error: error.map(Into::into),
            ..Step::default()
        }
    }

    fn episode(kind: OutcomeKind, steps: Vec<Step>) -> Episode {
        let mut e = Episode::start(EpisodeId::derive(&[b"x"]), "p", "list names", Timestamp(0));
        e.steps = steps;
        e.outcome = Some(Outcome::new(kind, ""));
        e
    }

    #[test]
    fn a_recovered_success_tells_error_look_and_solution() {
        let reflection = reflect(&episode(
            OutcomeKind::Success,
            vec![
                step("SELECT name FROM airport", Some("Unknown column 'name' in 'field list'")),
                step("DESCRIBE airport", None),
                step("SELECT AirportName FROM airport", None),
            ],
        ));
        assert_eq!(
            reflection.worked,
            [
                "solved by: SELECT AirportName FROM airport",
                "after \"Unknown column 'name' in 'field list'\" this worked: \
                 SELECT AirportName FROM airport",
            ]
        );
        assert_eq!(reflection.failed, ["Unknown column 'name' in 'field list'"]);
        assert_eq!(reflection.next_time, ["on \"Unknown column … in …\" first: DESCRIBE airport"]);
    }

    #[test]
    fn a_failure_without_errors_tells_what_was_tried() {
        let steps = vec![step("SELECT 1", None), step("SELECT 2", None)];
        let reflection = reflect(&episode(OutcomeKind::Failure, steps));
        assert!(reflection.worked.is_empty() && reflection.failed.is_empty());
        assert_eq!(reflection.next_time, ["not enough: SELECT 2; SELECT 1"]);
    }

    #[test]
    fn a_loop_is_named_with_its_count() {
        let reflection = reflect(&episode(OutcomeKind::Failure, vec![step("SELECT 1", None); 7]));
        assert_eq!(reflection.failed, ["repeated 7 times: SELECT 1"]);
    }

    #[test]
    fn reflections_are_bounded_and_a_running_episode_has_none() {
        let steps = (0..200).map(|i| step(&format!("SELECT {i}"), Some(&"x ".repeat(i + 1))));
        let mut e = episode(OutcomeKind::Failure, steps.collect());
        let reflection = reflect(&e);
        for lines in [&reflection.worked, &reflection.failed, &reflection.next_time] {
            assert!(lines.len() <= MAX_LINES && lines.iter().all(|l| l.chars().count() < 500));
        }
        e.outcome = None;
        assert!(reflect(&e).is_empty());
    }
}
