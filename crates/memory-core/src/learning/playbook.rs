//! A playbook for a kind of task: what runs that went well share, what those that did not share, and
//! what got past errors.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::signature::{action_shape, error_signature};
use super::trace::{recoveries, step_error};
use crate::episode::{Episode, EpisodeId, OutcomeKind};

/// Entries of each part: a playbook is read before work begins.
const MAX_ENTRIES: usize = 8;

/// Evidence ids of one entry.
const EVIDENCE_IDS: usize = 3;

/// Share of the successful runs that have a step which they "share".
const SHARED: f64 = 0.5;

/// See [`playbook`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Playbook {
    /// Completed and judged runs that it is drawn from.
    pub runs: usize,
    /// Those of them that went well.
    pub successes: usize,
    /// Kinds of action that at least half of the successful runs have, in the order in which they come.
    pub steps: Vec<Entry>,
    /// Errors that runs which did not go well met, by signature, the most common first.
    pub errors: Vec<Entry>,
    /// What got past an error: `error: action`, what worked most often first.
    pub recoveries: Vec<Entry>,
}

/// Something that several runs share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// What.
    pub what: String,
    /// Runs that share it ...
    pub runs: usize,
    /// ... of so many that could: the successful ones for steps, the others for errors, those that met
    /// the error for recoveries.
    pub of: usize,
    /// Some of them.
    pub evidence: Vec<EpisodeId>,
}

/// What is counted: the runs, and the sum of the places at which they have it.
#[derive(Default)]
struct Tally {
    runs: Vec<EpisodeId>,
    places: f64,
}

/// What runs of one kind of task share. Running and unjudged ones say nothing.
pub fn playbook(episodes: &[Arc<Episode>]) -> Playbook {
    let kind = |e: &Episode| e.outcome.as_ref().map(|outcome| outcome.kind);
    let judged: Vec<&Arc<Episode>> = episodes
        .iter()
        .filter(|e| kind(e).is_some_and(|kind| kind != OutcomeKind::Unjudged))
        .collect();
    let (good, bad): (Vec<&Arc<Episode>>, Vec<&Arc<Episode>>) =
        judged.iter().partition(|e| kind(e) == Some(OutcomeKind::Success));
    Playbook {
        runs: judged.len(),
        successes: good.len(),
        steps: shared_steps(&good),
        errors: shared_errors(&bad),
        recoveries: shared_recoveries(&judged),
    }
}

fn shared_steps(runs: &[&Arc<Episode>]) -> Vec<Entry> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for run in runs {
        let shapes: Vec<String> = run.steps.iter().filter_map(action_shape).collect();
        let mut seen = HashSet::new();
        for (place, shape) in shapes.iter().enumerate() {
            if seen.insert(shape) {
                let tally = tallies.entry(shape.clone()).or_default();
                tally.runs.push(run.id);
                tally.places += place as f64 / shapes.len() as f64;
            }
        }
    }
    let needed = (runs.len() as f64 * SHARED).max(1.0);
    tallies.retain(|_, tally| tally.runs.len() as f64 >= needed);
    let mut most: Vec<(String, Tally)> = tallies.into_iter().collect();
    most.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.runs.len()));
    most.truncate(MAX_ENTRIES);
    let place = |tally: &Tally| tally.places / tally.runs.len().max(1) as f64;
    most.sort_by(|(_, a), (_, b)| place(a).total_cmp(&place(b)));
    most.into_iter().map(|(what, tally)| entry(what, tally, runs.len())).collect()
}

fn shared_errors(runs: &[&Arc<Episode>]) -> Vec<Entry> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for run in runs {
        let errors: HashSet<String> =
            run.steps.iter().filter_map(step_error).map(error_signature).collect();
        for error in errors {
            tallies.entry(error).or_default().runs.push(run.id);
        }
    }
    most_common(tallies.into_iter().map(|(what, tally)| entry(what, tally, runs.len())).collect())
}

fn shared_recoveries(runs: &[&Arc<Episode>]) -> Vec<Entry> {
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    for run in runs {
        let errors: HashSet<String> =
            run.steps.iter().filter_map(step_error).map(error_signature).collect();
        errors.into_iter().for_each(|error| *met.entry(error).or_default() += 1);
        let mut seen = HashSet::new();
        for recovery in recoveries(&run.steps) {
            let Some(next) = run.steps.get(recovery.next).and_then(action_shape) else { continue };
            let key = (recovery.signature, next);
            if seen.insert(key.clone()) {
                tallies.entry(key).or_default().runs.push(run.id);
            }
        }
    }
    let entries = tallies.into_iter().map(|((error, next), tally)| {
        let of = met.get(&error).copied().unwrap_or(0).max(tally.runs.len());
        entry(format!("\"{error}\": {next}"), tally, of)
    });
    most_common(entries.collect())
}

fn most_common(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| b.runs.cmp(&a.runs).then_with(|| a.what.cmp(&b.what)));
    entries.truncate(MAX_ENTRIES);
    entries
}

fn entry(what: String, tally: Tally, of: usize) -> Entry {
    let runs = tally.runs.len();
    Entry { what, runs, of, evidence: tally.runs.into_iter().take(EVIDENCE_IDS).collect() }
}

impl Playbook {
    /// As plain text for a context window.
    pub fn to_text(&self) -> String {
        let mut text = format!("{} runs, {} went well\n", self.runs, self.successes);
        for (title, entries) in [
            ("Steps that runs which went well share", &self.steps),
            ("Errors of the other runs", &self.errors),
            ("What got past an error", &self.recoveries),
        ] {
            if !entries.is_empty() {
                let _ = writeln!(text, "{title}:");
            }
            for Entry { what, runs, of, .. } in entries {
                let _ = writeln!(text, "- {what} ({runs} of {of})");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, Step, Timestamp};

    fn run(name: &str, kind: OutcomeKind, steps: &[(&str, &str)]) -> Arc<Episode> {
        let id = EpisodeId::derive(&[name.as_bytes()]);
        let mut e = Episode::start(id, "p", "task", Timestamp(0));
        e.outcome = Some(Outcome::new(kind, ""));
        e.steps = steps
            .iter()
            .map(|(action, error)| Step {
                tool: "bash".into(),
                action: (*action).into(),
                success: Some(error.is_empty()),
                error: (!error.is_empty()).then(|| (*error).to_owned()),
                ..Step::default()
            })
            .collect();
        Arc::new(e)
    }

    fn told(entries: &[Entry]) -> Vec<(&str, usize, usize)> {
        entries.iter().map(|e| (e.what.as_str(), e.runs, e.of)).collect()
    }

    #[test]
    fn a_playbook_has_the_shared_steps_the_shared_errors_and_what_got_past_them() {
        let error = "error: table 'a' is locked";
        let other = "error: table 'b' is locked";
        let episodes = [
            run(
                "a",
                OutcomeKind::Success,
                &[("ls", ""), ("make db", error), ("kill 7", ""), ("make db", "")],
            ),
            run("b", OutcomeKind::Success, &[("ls x", ""), ("make db", ""), ("cat log", "")]),
            run("c", OutcomeKind::Success, &[("make db", ""), ("git push", "")]),
            run("d", OutcomeKind::Failure, &[("make db", other), ("make db", other)]),
            run("e", OutcomeKind::Unjudged, &[("rm -r x", "")]),
        ];
        let book = playbook(&episodes);
        assert_eq!((book.runs, book.successes), (4, 3));
        assert_eq!(told(&book.steps), [("ls", 2, 3), ("make db", 3, 3)]);
        assert_eq!(told(&book.errors), [("error: table … is locked", 1, 1)]);
        assert_eq!(told(&book.recoveries), [("\"error: table … is locked\": kill", 1, 2)]);
        assert_eq!(book.recoveries[0].evidence, [episodes[0].id]);
        assert!(book.to_text().contains("- make db (3 of 3)"), "{}", book.to_text());
        assert_eq!(playbook(&[]), Playbook::default());
    }
}
