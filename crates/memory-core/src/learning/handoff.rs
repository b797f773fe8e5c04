//! What whoever goes on with a running episode needs to know.

use std::fmt::Write as _;

use super::trace::{action_text, one_line, step_error};
use crate::episode::{Episode, Step};

/// Characters of the task: a long one is repeated in part, whoever goes on has been told it too.
const TASK_CHARS: usize = 1000;

/// Characters of the last checkpoint: it was written for this.
const NOTE_CHARS: usize = 2000;

/// Actions that are listed, the latest; each with what came of it.
const ACTIONS: usize = 12;
const ACTION_CHARS: usize = 160;
const RESULT_CHARS: usize = 120;

/// A running episode in at most about 1,500 tokens: the task, the last checkpoint, what was done and
/// what came of it, what went wrong last, and how to go on.
pub fn handoff(episode: &Episode) -> String {
    let steps = &episode.steps;
    let mut text = format!(
        "Episode {} of project {}, running since {}\nTask: {}\n",
        episode.id,
        episode.project,
        episode.started_at,
        one_line(&episode.task_description, TASK_CHARS)
    );
    if let Some(note) = steps.iter().rfind(|step| step.is_checkpoint()) {
        let since = steps.iter().filter(|step| step.number > note.number).count();
        let since = if since == 0 { String::new() } else { format!(", {since} steps ago") };
        let note_text = one_line(&note.action, NOTE_CHARS);
        let _ = writeln!(text, "Checkpoint (step {}{since}): {note_text}", note.number);
    }
    let acts: Vec<&Step> = steps.iter().filter(|step| !step.is_checkpoint()).collect();
    let skipped = acts.len().saturating_sub(ACTIONS);
    let _ = writeln!(text, "Done so far: {} steps", acts.len());
    if skipped > 0 {
        let _ = writeln!(text, "… {skipped} earlier ones");
    }
    for step in acts.iter().skip(skipped) {
        let _ = writeln!(text, "{}", line(step));
    }
    let unresolved = acts.last().and_then(|step| step_error(step));
    if let Some(error) = unresolved {
        let _ = writeln!(text, "Not resolved yet: {}", one_line(error, RESULT_CHARS));
    }
    let next = steps.len() + 1;
    let _ = write!(text, "Go on: log further steps from number {next}, then complete the episode.");
    text
}

fn line(step: &Step) -> String {
    let action = one_line(&action_text(step), ACTION_CHARS);
    let result = match step_error(step) {
        Some(error) => format!("failed: {}", one_line(error, RESULT_CHARS)),
        None => one_line(&step.observation, RESULT_CHARS),
    };
    let arrow = if result.is_empty() { "" } else { " -> " };
    format!("{}. {action}{arrow}{result}", step.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recall::tokens::estimate;
    use crate::{EpisodeId, Timestamp};

    fn step(number: u32, action: &str, error: Option<&str>) -> Step {
        let error = error.map(str::to_owned);
        Step { number, tool: "bash".into(), action: action.into(), error, ..Step::default() }
    }

    #[test]
    fn a_hand_off_tells_task_note_steps_and_what_is_open() {
        let id = EpisodeId::derive(&[b"x"]);
        let mut e = Episode::start(id, "shop", "Fix the login test", Timestamp(0));
        e.steps = vec![step(1, "cargo test", None), Step::checkpoint("clock is next")];
        e.steps[1].number = 2;
        e.steps.push(step(3, "cargo build", Some("error: no space left")));
        let text = handoff(&e);
        for said in [
            "Fix the login test",
            "Checkpoint (step 2, 1 steps ago): clock is next",
            "Done so far: 2 steps",
            "1. cargo test",
            "3. cargo build -> failed: error: no space left",
            "Not resolved yet: error: no space left",
            "from number 4",
        ] {
            assert!(text.contains(said), "{said:?} is not in {text}");
        }
    }

    #[test]
    fn the_longest_hand_off_fits_a_context_window() {
        let long = "a long word or two ".repeat(2000);
        let mut e = Episode::start(EpisodeId::derive(&[b"x"]), "p", &*long, Timestamp(0));
        e.steps = (1..500).map(|n| step(n, &long, Some(&long))).collect();
        e.steps.push(Step::checkpoint(&*long));
        let tokens = estimate(&handoff(&e));
        assert!(tokens < 2500, "{tokens} tokens");
    }
}
