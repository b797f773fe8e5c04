//! The sample runs that the quickstart imports: valid, varied, and with lessons to be learned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use memory_core::learning::signature::error_signature;
use memory_core::learning::trace::step_error;
use memory_core::learning::{LessonKind, extract};
use memory_core::record::Record;
use memory_core::{Episode, EpisodeId, OutcomeKind, redact};

/// Every line of the file as an episode; anything else is an error with its line number.
fn samples() -> Result<Vec<Episode>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/runs.jsonl");
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let episode = |(i, line): (usize, &str)| match Record::parse(line) {
        Ok(Record::Episode(episode)) => Ok(*episode),
        Ok(_) => Err(format!("line {}: not an episode", i + 1)),
        Err(e) => Err(format!("line {}: {e}", i + 1)),
    };
    text.lines().enumerate().map(episode).collect()
}

#[test]
fn every_sample_is_a_valid_first_version_with_an_id_of_its_own() {
    let samples = samples().unwrap();
    assert!((36..=48).contains(&samples.len()), "{} samples", samples.len());
    let ids: BTreeSet<EpisodeId> = samples.iter().map(|e| e.id).collect();
    assert_eq!(ids.len(), samples.len(), "an id is used twice");
    for e in &samples {
        e.validate().unwrap_or_else(|error| panic!("{}: {error}", e.task_description));
        let learned = (e.version, e.lessons.len(), e.source.is_some(), e.archived_at.is_some());
        assert_eq!(learned, (1, 0, false, false), "{}", e.task_description);
    }
}

#[test]
fn every_sample_tells_a_whole_run_in_order() {
    for e in samples().unwrap() {
        let task = &e.task_description;
        assert!((4..=14).contains(&e.steps.len()), "{task}: {} steps", e.steps.len());
        let mut before = e.started_at;
        for (i, step) in e.steps.iter().enumerate() {
            assert_eq!(step.number as usize, i + 1, "{task}");
            assert!(step.at.unwrap() >= before, "{task}: step {} goes back in time", step.number);
            before = step.at.unwrap();
            assert!(step.latency_ms.is_some(), "{task}: step {}", step.number);
            // A failed step names its error, and only a failed one.
            assert_eq!(step.success, Some(step.error.is_none()), "{task}: step {}", step.number);
        }
        assert!(e.ended_at.unwrap() > before, "{task} ends before its last step");
        let outcome = e.outcome.unwrap();
        assert!(!outcome.verdict.is_empty(), "{task} has no verdict");
        assert!(outcome.at_step.is_none_or(|n| n as usize <= e.steps.len()), "{task}");
    }
}

#[test]
fn samples_hold_no_secrets() {
    for mut e in samples().unwrap() {
        assert_eq!(redact::redact_episode(&mut e), 0, "{}", e.task_description);
    }
}

#[test]
fn outcomes_are_mixed_as_in_real_work() {
    let samples = samples().unwrap();
    let share = |kind: OutcomeKind| {
        let count = samples.iter().filter(|e| e.state() == kind.as_str()).count();
        count as f64 / samples.len() as f64
    };
    assert!((0.55..=0.65).contains(&share(OutcomeKind::Success)));
    assert!((0.20..=0.30).contains(&share(OutcomeKind::Failure)));
    for rare in [OutcomeKind::Partial, OutcomeKind::Abstained, OutcomeKind::Abandoned] {
        assert!(share(rare) > 0.0, "no sample is {rare}");
    }
    for e in &samples {
        let Some(reward) = &e.reward else { continue };
        let fits = match e.outcome.as_ref().map(|o| o.kind) {
            Some(OutcomeKind::Success) => reward.score >= 0.9,
            Some(OutcomeKind::Partial) => (0.3..=0.8).contains(&reward.score),
            Some(OutcomeKind::Failure) => reward.score == 0.0,
            _ => true,
        };
        assert!(fits, "{}: reward {} for {}", e.task_description, reward.score, e.state());
    }
}

#[test]
fn the_same_errors_come_back_in_several_runs() {
    let mut seen: BTreeMap<String, BTreeSet<EpisodeId>> = BTreeMap::new();
    for e in samples().unwrap() {
        for error in e.steps.iter().filter_map(step_error) {
            seen.entry(error_signature(error)).or_default().insert(e.id);
        }
    }
    let recurring = seen.values().filter(|episodes| episodes.len() >= 2).count();
    assert!(recurring >= 5, "only {recurring} errors recur");
}

#[test]
fn recoveries_of_several_runs_merge_into_one_lesson() {
    let mut evidence: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for e in samples().unwrap() {
        for (lesson, said) in extract(&e) {
            if lesson.lesson_kind == LessonKind::ErrorRecovery && said.success {
                let text = format!("{} -> {}", lesson.condition, lesson.action);
                evidence.entry(lesson.id.to_string()).or_insert((text, 0)).1 += 1;
            }
        }
    }
    let merged: Vec<&str> =
        evidence.values().filter(|(_, n)| *n >= 2).map(|(text, _)| text.as_str()).collect();
    assert!(merged.len() >= 5, "lessons with two successes: {merged:#?}");
}

#[test]
fn a_failed_task_is_solved_in_a_later_run_of_the_same_words() {
    let samples = samples().unwrap();
    let solved_later = samples.iter().filter(|failed| {
        failed.state() == "failure"
            && samples.iter().any(|e| {
                e.state() == "success"
                    && e.task_description == failed.task_description
                    && e.started_at > failed.started_at
            })
    });
    assert!(solved_later.count() >= 5);
}
