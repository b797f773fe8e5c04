//! Patterns and heuristics out of one completed episode.

use std::collections::HashSet;

use super::signature::action_shape;
use super::task_action::{task_actions, task_condition};
use super::trace::{Recovery, recoveries, step_error};
use super::{Evidence, Lesson, LessonKind};
use crate::episode::{Episode, OutcomeKind, Step};

/// Lessons of one kind from one episode: what recurs inside a run counts once, and a run that
/// stumbled everywhere must not drown the rest.
const MAX_PER_KIND: usize = 4;

/// Elements of a tool sequence; a longer run is told by its beginning and its end.
const MAX_SEQUENCE: usize = 8;

/// A sequence of one is no sequence.
const MIN_SEQUENCE: usize = 2;

/// Failures of one kind of action after which a change of approach is a decision.
const DECISION_AFTER: usize = 2;

/// Bytes of a signature below which it says nothing.
const MIN_SIGNATURE_BYTES: usize = 8;

/// Lessons of a completed episode, each with this episode's word on it.
///
/// - tool sequence: the whole run, repetitions folded, long ones by both ends
/// - error recovery: error signature -> the kind of action after which work went on
/// - decision point: one kind of action failed twice or more, another one worked
/// - context pattern: language, framework or domain -> the opening move
/// - heuristic: error signature -> look first, then the failed kind of action works again
/// - task action: the task -> a call that changed something, or that nothing was changed
///
/// A running or unjudged episode says nothing about what helps, and gives none.
pub fn extract(episode: &Episode) -> Vec<(Lesson, Evidence)> {
    let Some(outcome) = &episode.outcome else { return Vec::new() };
    if outcome.kind == OutcomeKind::Unjudged {
        return Vec::new();
    }
    let evidence = Evidence {
        episode: episode.id,
        success: outcome.kind == OutcomeKind::Success,
        at: episode.ended_at.unwrap_or(episode.started_at),
    };
    let recoveries = recoveries(&episode.steps);
    let mut lessons = Vec::new();
    lessons.extend(tool_sequence(episode));
    lessons.extend(context_pattern(episode));
    lessons.extend(bounded(recoveries.iter().filter_map(|r| error_recovery(episode, r))));
    lessons.extend(bounded(recoveries.iter().filter_map(|r| decision_point(episode, r))));
    lessons.extend(bounded(recoveries.iter().filter_map(|r| heuristic(episode, r))));
    let task = task_condition(&episode.task_description);
    let actions = task_actions(&episode.steps).into_iter();
    lessons.extend(actions.map(|a| lesson(episode, LessonKind::TaskAction, task.clone(), a)));
    lessons.into_iter().map(|lesson| (lesson, evidence.clone())).collect()
}

fn bounded(lessons: impl Iterator<Item = Lesson>) -> Vec<Lesson> {
    let mut seen = HashSet::new();
    lessons.filter(|lesson| seen.insert(lesson.id)).take(MAX_PER_KIND).collect()
}

/// The kind of task a lesson applies to: the task type, or the next best that is known.
fn task_type(episode: &Episode) -> &str {
    let context = &episode.context;
    [&episode.task_type, &context.language, &context.domain]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("", String::as_str)
}

fn lesson(episode: &Episode, kind: LessonKind, condition: String, action: String) -> Lesson {
    Lesson::new(&episode.project, kind, task_type(episode), condition, action)
}

fn shape_at(steps: &[Step], index: usize) -> Option<String> {
    steps.get(index).and_then(action_shape)
}

fn tool_sequence(episode: &Episode) -> Option<Lesson> {
    let mut sequence: Vec<String> = Vec::new();
    for shape in episode.steps.iter().filter_map(action_shape) {
        match sequence.last() {
            Some(last) if *last == shape => {}
            _ => sequence.push(shape),
        }
    }
    fold_repeats(&mut sequence);
    if sequence.len() < MIN_SEQUENCE {
        return None;
    }
    if sequence.len() > MAX_SEQUENCE {
        let tail = sequence.split_off(sequence.len() - MAX_SEQUENCE / 2);
        sequence.truncate(MAX_SEQUENCE / 2);
        sequence.push("…".into());
        sequence.extend(tail);
    }
    let condition = match task_type(episode) {
        "" => "any task".to_owned(),
        kind => format!("a task of type {kind}"),
    };
    Some(lesson(episode, LessonKind::ToolSequence, condition, sequence.join(" → ")))
}

/// `a b a b a b c` becomes `a b c`: how often a loop ran differs from run to run.
fn fold_repeats(sequence: &mut Vec<String>) {
    let mut folded: Vec<String> = Vec::new();
    for shape in sequence.drain(..) {
        folded.push(shape);
        for width in 2..=3 {
            let Some(split) = folded.len().checked_sub(width) else { break };
            let (before, last) = folded.split_at(split);
            if before.ends_with(last) {
                folded.truncate(split);
                break;
            }
        }
    }
    *sequence = folded;
}

/// How runs in this language, framework or domain open.
fn context_pattern(episode: &Episode) -> Option<Lesson> {
    let context = &episode.context;
    let places: Vec<String> = [
        ("language", &context.language),
        ("framework", &context.framework),
        ("domain", &context.domain),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| format!("{name} {}", value.to_lowercase()))
    .collect();
    let mut shapes = episode.steps.iter().filter_map(action_shape);
    let first = shapes.next()?;
    let is_only_move = shapes.all(|shape| shape == first);
    if places.is_empty() || is_only_move {
        return None;
    }
    let action = format!("open with {first}");
    Some(lesson(episode, LessonKind::ContextPattern, places.join(", "), action))
}

fn says_something(signature: &str) -> bool {
    signature.len() >= MIN_SIGNATURE_BYTES && signature.chars().any(char::is_alphabetic)
}

fn error_recovery(episode: &Episode, recovery: &Recovery) -> Option<Lesson> {
    let steps = &episode.steps;
    if !says_something(&recovery.signature) {
        return None;
    }
    let failed = shape_at(steps, recovery.failed)?;
    let next = shape_at(steps, recovery.next)?;
    // To try the same again, differently, is no news.
    if next == failed {
        return None;
    }
    let condition = format!("{failed} fails with \"{}\"", recovery.signature);
    Some(lesson(episode, LessonKind::ErrorRecovery, condition, next))
}

fn decision_point(episode: &Episode, recovery: &Recovery) -> Option<Lesson> {
    let steps = &episode.steps;
    let failed = shape_at(steps, recovery.failed)?;
    let next = shape_at(steps, recovery.next)?;
    let mut before = steps.iter().take(recovery.failed + 1).rev().filter_map(|step| {
        action_shape(step).map(|shape| shape == failed && step_error(step).is_some())
    });
    let persistent = before.by_ref().take_while(|same| *same).count() >= DECISION_AFTER;
    if !persistent || next == failed {
        return None;
    }
    let condition = format!("{failed} failed {DECISION_AFTER} times or more");
    Some(lesson(episode, LessonKind::DecisionPoint, condition, format!("switch to {next}")))
}

fn heuristic(episode: &Episode, recovery: &Recovery) -> Option<Lesson> {
    let steps = &episode.steps;
    let fixed = recovery.fixed.filter(|&i| i != recovery.next)?;
    if !says_something(&recovery.signature) {
        return None;
    }
    let look = shape_at(steps, recovery.next)?;
    let again = shape_at(steps, fixed)?;
    let condition = format!("\"{}\"", recovery.signature);
    let action = format!("{look} first, then {again} again");
    Some(lesson(episode, LessonKind::Heuristic, condition, action))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpisodeId, Outcome, Timestamp};

    fn step(action: &str, error: &str) -> Step {
        Step {
            tool: "sql".into(),
            action: action.into(),
            success: Some(error.is_empty()),
            error: (!error.is_empty()).then(|| error.into()),
            ..Step::default()
        }
    }

    fn run(id: &str, kind: OutcomeKind, table: &str) -> Episode {
        let mut e = Episode::start(EpisodeId::derive(&[id.as_bytes()]), "p", "t", Timestamp(0));
        e.task_type = "sql".into();
        e.context.language = "SQL".into();
        e.steps = vec![
            step("SELECT a FROM b", &format!("Table '{table}' doesn't exist")),
            step("SELECT a FROM c", &format!("Table '{table}s' doesn't exist")),
            step("SHOW TABLES", ""),
            step("SELECT a FROM d", ""),
        ];
        e.outcome = Some(Outcome::new(kind, ""));
        e
    }

    fn says(lessons: &[(Lesson, Evidence)], kind: LessonKind) -> Vec<(&str, &str)> {
        let of_kind = lessons.iter().filter(|(l, _)| l.lesson_kind == kind);
        of_kind.map(|(l, _)| (l.condition.as_str(), l.action.as_str())).collect()
    }

    #[test]
    fn a_recovered_run_gives_every_kind_of_lesson() {
        let lessons = extract(&run("a", OutcomeKind::Success, "x"));
        let signature = "Table … doesn't exist";
        assert_eq!(
            says(&lessons, LessonKind::ToolSequence),
            [("a task of type sql", "SELECT → SHOW TABLES → SELECT")]
        );
        assert_eq!(
            says(&lessons, LessonKind::ErrorRecovery),
            [(format!("SELECT fails with \"{signature}\"").as_str(), "SHOW TABLES")]
        );
        assert_eq!(
            says(&lessons, LessonKind::DecisionPoint),
            [("SELECT failed 2 times or more", "switch to SHOW TABLES")]
        );
        assert_eq!(
            says(&lessons, LessonKind::ContextPattern),
            [("language sql", "open with SELECT")]
        );
        assert_eq!(
            says(&lessons, LessonKind::Heuristic),
            [(format!("\"{signature}\"").as_str(), "SHOW TABLES first, then SELECT again")]
        );
        assert!(lessons.iter().all(|(_, evidence)| evidence.success));
    }

    #[test]
    fn runs_that_differ_in_particulars_give_the_same_lessons() {
        let ids = |e: &Episode| extract(e).into_iter().map(|(l, _)| l.id).collect::<Vec<_>>();
        let (a, b) = (run("a", OutcomeKind::Success, "x"), run("b", OutcomeKind::Failure, "yy"));
        assert_eq!(ids(&a), ids(&b));
        assert!(extract(&b).iter().all(|(_, evidence)| !evidence.success));
    }

    #[test]
    fn unjudged_and_running_episodes_are_no_evidence() {
        let mut e = run("a", OutcomeKind::Unjudged, "x");
        assert!(extract(&e).is_empty());
        e.outcome = None;
        assert!(extract(&e).is_empty());
    }

    #[test]
    fn a_run_of_one_step_teaches_no_pattern() {
        let mut e = run("a", OutcomeKind::Success, "x");
        e.steps.truncate(1);
        assert!(extract(&e).is_empty());
    }

    #[test]
    fn lessons_of_one_run_are_bounded() {
        let mut e = run("a", OutcomeKind::Success, "x");
        let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
        e.steps = words
            .iter()
            .flat_map(|w| [step("SELECT 1", &format!("unknown thing {w}")), step("SHOW x", "")])
            .collect();
        assert!(extract(&e).len() <= 2 + 3 * MAX_PER_KIND);
        assert_eq!(says(&extract(&e), LessonKind::ToolSequence)[0].1, "SELECT → SHOW X");
    }
}
