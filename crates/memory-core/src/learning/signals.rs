//! What a session of a coding agent says about its own outcome, when nobody judged it.
//!
//! Only two signs count, because a wrong verdict teaches wrong lessons: the tests passed at the end,
//! after a change; and the user's last word is that it is wrong. Everything else stays unjudged.

use crate::episode::{Episode, Outcome, OutcomeKind, Step};

/// What a verdict by signals begins with. It gives way to anybody's word.
const BY_SIGNALS: &str = "by signals: ";

/// Tools that change files, by their names in lower case.
const CHANGING: &[&str] =
    &["edit", "multiedit", "write", "notebookedit", "apply_patch", "str_replace", "create_file"];

/// Commands that run tests, as the words that they begin with.
const TESTING: &[&[&str]] = &[
    &["cargo", "test"],
    &["cargo", "nextest"],
    &["cargo", "xtask", "test"],
    &["pytest"],
    &["python", "-m", "pytest"],
    &["python3", "-m", "pytest"],
    &["python", "-m", "unittest"],
    &["python3", "-m", "unittest"],
    &["uv", "run", "pytest"],
    &["poetry", "run", "pytest"],
    &["tox"],
    &["npm", "test"],
    &["npm", "run", "test"],
    &["pnpm", "test"],
    &["yarn", "test"],
    &["bun", "test"],
    &["npx", "jest"],
    &["npx", "vitest"],
    &["deno", "test"],
    &["go", "test"],
    &["make", "test"],
    &["make", "check"],
    &["ctest"],
    &["mvn", "test"],
    &["gradle", "test"],
    &["./gradlew", "test"],
    &["dotnet", "test"],
    &["swift", "test"],
    &["mix", "test"],
    &["bundle", "exec", "rspec"],
    &["rspec"],
    &["phpunit"],
];

/// What a user says (lower case) of work that is wrong.
const CORRECTIONS: &[&str] = &[
    "that's wrong",
    "thats wrong",
    "that is wrong",
    "this is wrong",
    "it's wrong",
    "is still wrong",
    "doesn't work",
    "does not work",
    "didn't work",
    "still broken",
    "still failing",
    "still fails",
    "not what i asked",
    "not what i wanted",
    "you broke",
    "undo that",
    "revert that",
];

/// Words (lower case) in the output of tests that did not all pass.
const FAILED: &[&str] = &["failed", "failure", "error:", "error[", "traceback", "panicked"];

/// Words (lower case) of failure that say that there was none.
const NONE_FAILED: &[&str] =
    &["0 failed", "0 failures", "no failures", "failures: 0", "failed: 0", "fail 0"];

/// Words (lower case) in the output of tests that passed.
const PASSED: &[&str] =
    &["test result: ok", " passed", "passed:", "ok\n", "ok ", "pass\n", "pass "];

/// The outcome that the session itself tells, with the reason in its verdict. `None`: it tells none.
pub fn judged_by_signals(episode: &Episode) -> Option<Outcome> {
    let steps = &episode.steps;
    let changed = steps.iter().rposition(is_change);
    let tested = steps.iter().rposition(|step| tests_run(step).is_some());
    let corrected = steps.iter().rposition(|step| correction(step).is_some());
    if let (Some(changed), Some(tested)) = (changed, tested)
        && changed < tested
        && corrected.is_none_or(|corrected| corrected < tested)
        && let Some(step) = steps.get(tested)
        && passed(step)
    {
        let command = tests_run(step)?;
        let verdict =
            format!("{BY_SIGNALS}the tests passed at the end, after a change (`{command}`)");
        return Some(Outcome::new(OutcomeKind::Success, verdict));
    }
    let corrected = corrected?;
    let said = steps.get(corrected).and_then(correction)?;
    // Work went on: nobody said how that ended.
    let went_on = steps.iter().skip(corrected + 1).any(|step| !step.tool.is_empty());
    let verdict = format!("{BY_SIGNALS}the user's last word is \"{said}\"");
    (!went_on).then(|| Outcome::new(OutcomeKind::Failure, verdict))
}

/// True when an outcome is nobody's word: unjudged, or judged by signals alone.
pub fn is_nobodys_word(outcome: &Outcome) -> bool {
    outcome.kind == OutcomeKind::Unjudged || outcome.verdict.starts_with(BY_SIGNALS)
}

fn is_change(step: &Step) -> bool {
    // A subagent's step is named after it: `Task/Edit`.
    let tool = step.tool.rsplit('/').next().unwrap_or_default().to_lowercase();
    CHANGING.contains(&tool.as_str()) && step.success != Some(false)
}

/// The command of a step that runs tests.
fn tests_run(step: &Step) -> Option<&str> {
    if step.tool.is_empty() || is_change(step) {
        return None;
    }
    let commands = step.action.split(['\n', ';', '&', '|']).map(str::trim);
    commands.into_iter().find(|command| {
        let words: Vec<&str> =
            command.split_whitespace().skip_while(|word| is_assignment(word)).collect();
        TESTING.iter().any(|start| words.starts_with(start))
    })
}

/// `RUST_LOG=debug` in front of a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// Whether a run of tests passed. Where more than the tests decide how the command ends, its output
/// must say so.
fn passed(step: &Step) -> bool {
    if step.success != Some(true) || step.error.is_some() {
        return false;
    }
    let mut output = step.observation.to_lowercase();
    for none in NONE_FAILED {
        output = output.replace(none, "");
    }
    if FAILED.iter().any(|word| output.contains(word)) {
        return false;
    }
    let hides_its_end = step.action.contains(['|', ';', '\n']);
    !hides_its_end || PASSED.iter().any(|word| output.contains(word))
}

/// The user's words in a step, if they say that something is wrong. They are a step of their own, or
/// the answer to what the agent said.
fn correction(step: &Step) -> Option<&'static str> {
    let said = match step.action.strip_prefix("User: ") {
        Some(said) => said,
        None => &step.observation,
    };
    if !step.tool.is_empty() || step.is_checkpoint() {
        return None;
    }
    let said = said.to_lowercase().replace('’', "'");
    CORRECTIONS.iter().find(|words| said.contains(*words)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpisodeId, Timestamp};

    fn step(tool: &str, action: &str, observation: &str, success: bool) -> Step {
        Step {
            tool: tool.into(),
            action: action.into(),
            observation: observation.into(),
            success: Some(success),
            ..Step::default()
        }
    }

    fn user(said: &str) -> Step {
        Step { action: format!("User: {said}"), ..Step::default() }
    }

    fn judged(steps: Vec<Step>) -> Option<(OutcomeKind, String)> {
        let mut e = Episode::start(EpisodeId::derive(&[b"x"]), "p", "fix it", Timestamp(0));
        e.steps = steps;
        judged_by_signals(&e).map(|outcome| (outcome.kind, outcome.verdict))
    }

    fn edit() -> Step {
        step("Edit", "Edit(file_path=a.rs)", "done", true)
    }

    fn tests(observation: &str, success: bool) -> Step {
        step("Bash", "RUST_LOG=info cargo test --all", observation, success)
    }

    #[test]
    fn tests_that_pass_at_the_end_after_a_change_are_a_success_with_its_reason() {
        let ok = "test result: ok. 3 passed; 0 failed";
        let (kind, verdict) =
            judged(vec![tests("1 failed", false), edit(), tests(ok, true)]).unwrap();
        assert_eq!(kind, OutcomeKind::Success);
        assert!(
            verdict.contains("passed at the end") && verdict.contains("cargo test"),
            "{verdict}"
        );
        assert!(is_nobodys_word(&Outcome::new(kind, verdict)));
    }

    #[test]
    fn without_a_change_or_with_one_after_the_tests_nobody_knows() {
        let ok = "test result: ok. 3 passed; 0 failed";
        assert_eq!(judged(vec![tests(ok, true)]), None);
        assert_eq!(judged(vec![edit(), tests(ok, true), edit()]), None);
        assert_eq!(judged(vec![edit(), tests("1 failed", true)]), None);
        assert_eq!(judged(vec![edit(), tests(ok, false)]), None);
        assert_eq!(judged(vec![edit(), step("Bash", "echo cargo test", "cargo test", true)]), None);
        // `tail` ends well whatever the tests did, and its output says nothing.
        assert_eq!(judged(vec![edit(), step("Bash", "cargo test | tail -1", "", true)]), None);
    }

    #[test]
    fn a_correction_is_a_failure_only_when_it_is_the_last_word() {
        let wrong = || user("No, that's wrong: it must be UTC");
        let (kind, verdict) = judged(vec![edit(), wrong()]).unwrap();
        assert_eq!(kind, OutcomeKind::Failure);
        assert!(verdict.contains("that's wrong"), "{verdict}");
        assert_eq!(judged(vec![edit(), wrong(), edit()]), None);
        let ok = "test result: ok. 3 passed; 0 failed";
        assert_eq!(
            judged(vec![edit(), wrong(), edit(), tests(ok, true)]).unwrap().0,
            OutcomeKind::Success
        );
        assert_eq!(judged(vec![edit(), tests(ok, true), wrong()]).unwrap().0, OutcomeKind::Failure);
        // What a tool prints is nobody's word.
        assert_eq!(judged(vec![step("Bash", "cat log", "that's wrong", true)]), None);
    }
}
