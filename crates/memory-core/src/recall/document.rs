//! What of an episode is searchable, by field.

use super::text::analyze;
use crate::episode::{Episode, MetadataValue, Step};

/// Bytes of all steps that are indexed: beyond that a run repeats itself, and its row grows.
const MAX_STEPS_BYTES: usize = 256 * 1024;

/// Bytes from the beginning of an observation, where a tool says what it found ...
const OBSERVATION_HEAD_BYTES: usize = 1536;

/// ... and from its end, where a tool that failed says why.
const OBSERVATION_TAIL_BYTES: usize = 512;

/// Bytes of one action, error or parameter text.
const MAX_ACTION_BYTES: usize = 8 * 1024;

/// Analyzed text by field, ready for the index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Task description.
    pub task: String,
    /// Task type, domain, language, framework, tags, text metadata.
    pub context: String,
    /// Tools, actions, errors, the beginning and the end of observations.
    pub steps: String,
    /// Verdict and reflection.
    pub reflection: String,
}

impl Document {
    /// The document of an episode.
    pub fn of(episode: &Episode) -> Self {
        Document {
            task: analyze(&episode.task_description),
            context: analyze(&context_text(episode)),
            steps: analyze(&steps_text(episode, MAX_STEPS_BYTES)),
            reflection: analyze(&reflection_text(episode)),
        }
    }
}

/// Everything of an episode that is searchable, as it was written.
pub fn searchable_text(episode: &Episode) -> String {
    [
        episode.task_description.as_str(),
        &context_text(episode),
        &steps_text(episode, MAX_STEPS_BYTES),
        &reflection_text(episode),
    ]
    .join("\n")
}

/// What is said about where the task took place.
pub(super) fn context_text(episode: &Episode) -> String {
    let context = &episode.context;
    let mut out = String::new();
    for name in [&episode.task_type, &context.domain, &context.language, &context.framework] {
        line(&mut out, name);
    }
    context.tags.iter().for_each(|tag| line(&mut out, tag));
    for value in episode.metadata.values() {
        if let MetadataValue::Text(text) = value {
            line(&mut out, text);
        }
    }
    out
}

/// What was done and seen, in at most about `max` bytes.
pub(super) fn steps_text(episode: &Episode, max: usize) -> String {
    let mut out = String::new();
    for step in &episode.steps {
        if out.len() >= max {
            break;
        }
        step_text(&mut out, step);
    }
    out.truncate(out.floor_char_boundary(max));
    out
}

fn step_text(out: &mut String, step: &Step) {
    line(out, &step.tool);
    line(out, head(&step.action, MAX_ACTION_BYTES));
    if !step.parameters.is_empty() {
        line(out, head(step.parameters.as_str(), MAX_ACTION_BYTES));
    }
    line(out, head(step.error.as_deref().unwrap_or(""), MAX_ACTION_BYTES));
    let seen = &step.observation;
    if seen.len() <= OBSERVATION_HEAD_BYTES + OBSERVATION_TAIL_BYTES {
        line(out, seen);
    } else {
        line(out, head(seen, OBSERVATION_HEAD_BYTES));
        let start = seen.ceil_char_boundary(seen.len() - OBSERVATION_TAIL_BYTES);
        line(out, seen.get(start..).unwrap_or(""));
    }
}

/// The verdict and what the agent took away.
pub(super) fn reflection_text(episode: &Episode) -> String {
    let mut out = String::new();
    if let Some(outcome) = &episode.outcome {
        line(&mut out, &outcome.verdict);
    }
    let reflection = &episode.reflection;
    for lines in [&reflection.worked, &reflection.failed, &reflection.next_time] {
        lines.iter().for_each(|text| line(&mut out, text));
    }
    out
}

fn line(out: &mut String, text: &str) {
    if !text.is_empty() {
        out.push_str(text);
        out.push('\n');
    }
}

fn head(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpisodeId, Outcome, OutcomeKind, Timestamp};

    #[test]
    fn every_field_finds_its_words() {
        let id = EpisodeId::derive(&[b"x"]);
        let mut episode = Episode::start(id, "p", "Fix the login test", Timestamp(0));
        episode.task_type = "bugfix".into();
        episode.context.tags = vec!["auth".into()];
        episode.metadata.insert("repo".into(), "acme/site".into());
        episode.metadata.insert("size".into(), MetadataValue::Integer(3));
        episode.steps.push(Step {
            tool: "bash".into(),
            action: "pytest tests/test_login.py".into(),
            observation: format!("first {} last", "filler ".repeat(2000)),
            error: Some("AssertionError".into()),
            ..Step::default()
        });
        episode.outcome = Some(Outcome::new(OutcomeKind::Success, "token expiry was wrong"));
        episode.reflection.next_time.push("freeze the clock".into());

        let document = Document::of(&episode);
        assert_eq!(document.task, "fix the login test");
        assert_eq!(document.context, "bugfix auth acm site acmesit");
        assert!(
            document
                .steps
                .starts_with("bash pytest test test login py testloginpi teststestloginpi")
        );
        assert!(document.steps.contains("assert error") && document.steps.contains("first"));
        assert!(document.steps.ends_with(" last"));
        assert_eq!(document.reflection, "token expiri was wrong freez the clock");
    }

    #[test]
    fn a_huge_run_gives_a_bounded_document() {
        let id = EpisodeId::derive(&[b"x"]);
        let mut episode = Episode::start(id, "p", "t", Timestamp(0));
        let step = Step { action: "échappé ".repeat(1000), ..Step::default() };
        episode.steps = vec![step; 500];
        assert!(Document::of(&episode).steps.len() < 2 * MAX_STEPS_BYTES);
    }
}
