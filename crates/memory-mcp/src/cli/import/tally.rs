//! What became of what was read.

use std::collections::BTreeMap;

use memory_core::Error;
use memory_core::memory::Intake;
use memory_core::record::Record;
use serde::Serialize;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::output::{self, DIM, Output, TITLE, one_line, paint};
use crate::import::{Malformed, Skipped};

/// Problems that are shown one by one; the rest is a number.
const SHOWN_PROBLEMS: usize = 20;

/// Files left alone that are named; a folder of code has thousands.
const SHOWN_SKIPPED: usize = 5;

/// Counts of one file, or of all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Episodes that were not there before.
    added: u64,
    /// Episodes that were there in an older state.
    updated: u64,
    /// Episodes that were there already.
    unchanged: u64,
    /// Episodes that were forgotten here and stay so.
    forgotten: u64,
    /// Records beside episodes, merged with what is there.
    other_records: u64,
    /// Records that could be read and were refused.
    refused: u64,
    /// Records that could not be read.
    malformed: u64,
    /// Episodes that are in by their outcome.
    outcomes: BTreeMap<&'static str, u64>,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.added += other.added;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.forgotten += other.forgotten;
        self.other_records += other.other_records;
        self.refused += other.refused;
        self.malformed += other.malformed;
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
    }

    fn episodes(&self) -> u64 {
        self.added + self.updated + self.unchanged + self.forgotten
    }

    /// What is not zero, in words; the number of added episodes in any case.
    fn sentence(&self) -> String {
        let counts = [
            (self.updated, "updated"),
            (self.unchanged, "unchanged"),
            (self.forgotten, "forgotten earlier"),
            (self.other_records, "other records"),
            (self.refused, "refused"),
            (self.malformed, "malformed"),
        ];
        let mut words = vec![format!("{} added", self.added)];
        words.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        words.join(", ")
    }
}

/// A record before it is taken in, for what is said about it afterwards.
pub(super) struct Label {
    name: String,
    /// `None`: no episode.
    outcome: Option<&'static str>,
}

impl Label {
    pub(super) fn of(record: &Record) -> Self {
        match record {
            Record::Episode(episode) => {
                let source =
                    episode.source.as_ref().map(|s| format!(" ({})", one_line(&s.identity, 80)));
                let name = format!("episode {}{}", episode.id, source.unwrap_or_default());
                Label { name, outcome: Some(episode.state()) }
            }
            Record::Pattern(lesson) | Record::Heuristic(lesson) => {
                Label { name: format!("lesson {}", lesson.lesson.id), outcome: None }
            }
            Record::Feedback(feedback) => {
                Label { name: format!("feedback on {}", feedback.subject), outcome: None }
            }
            Record::Relation(relation) => {
                Label { name: format!("relation from {}", relation.from), outcome: None }
            }
            Record::Tombstone(tombstone) => {
                Label { name: format!("tombstone {}", tombstone.id), outcome: None }
            }
        }
    }
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub(super) struct FileTally {
    file: String,
    #[serde(flatten)]
    counts: Counts,
    problems: Vec<String>,
}

impl FileTally {
    pub(super) fn new(file: String) -> Self {
        FileTally { file, counts: Counts::default(), problems: Vec::new() }
    }

    pub(super) fn taken_in(&mut self, label: &Label, result: Result<Intake, Error>) {
        let counts = &mut self.counts;
        match (result, label.outcome) {
            (Err(e), _) => {
                counts.refused += 1;
                self.problem(format!("{}: {}: {e}", self.file, label.name));
            }
            (Ok(Intake::Forgotten), Some(_)) => counts.forgotten += 1,
            (Ok(intake), Some(outcome)) => {
                *counts.outcomes.entry(outcome).or_default() += 1;
                match intake {
                    Intake::Added => counts.added += 1,
                    Intake::Updated => counts.updated += 1,
                    Intake::Unchanged | Intake::Forgotten => counts.unchanged += 1,
                }
            }
            (Ok(_), None) => counts.other_records += 1,
        }
    }

    /// True when everything was there already.
    pub(super) fn changed_nothing(&self) -> bool {
        let Counts { added, updated, other_records, refused, malformed, .. } = &self.counts;
        added + updated + other_records + refused + malformed == 0
    }

    /// What went wrong.
    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What became of it, in a line.
    pub(super) fn line(&self) -> String {
        format!("{}: {}", self.file, self.counts.sentence())
    }

    pub(super) fn malformed(&mut self, malformed: &Malformed) {
        self.counts.malformed += 1;
        self.problem(malformed.to_string());
    }

    /// Keeps the first ones: a file of garbage must not fill the memory.
    fn problem(&mut self, problem: String) {
        if self.problems.len() < SHOWN_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

/// What became of the whole import.
#[derive(Debug, Default)]
pub(super) struct Report {
    total: Counts,
    files: Vec<FileTally>,
    skipped: Vec<(String, String)>,
}

impl Report {
    pub(super) fn skip(&mut self, skipped: &[Skipped]) {
        let each = skipped.iter().map(|s| (s.path.display().to_string(), s.reason.clone()));
        self.skipped.extend(each);
    }

    pub(super) fn add(&mut self, tally: FileTally) {
        self.total.add(&tally.counts);
        self.files.push(tally);
    }

    /// True when nothing that could be read was left out.
    pub(super) fn is_complete(&self) -> bool {
        self.total.refused == 0
    }

    pub(super) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        self.warn();
        if out.is_json() {
            let skipped: Vec<_> =
                self.skipped.iter().map(|(f, why)| json!({ "file": f, "reason": why })).collect();
            return out.json(&json!({
                "total": self.total, "files": self.files, "skipped_files": skipped,
            }));
        }
        for FileTally { file, counts, .. } in &self.files {
            out.line(format_args!("{file}: {}", counts.sentence()))?;
        }
        for (file, reason) in self.skipped.iter().take(SHOWN_SKIPPED) {
            out.line(paint(DIM, format_args!("{file}: left alone, {reason}")))?;
        }
        if let Some(more) = self.skipped.len().checked_sub(SHOWN_SKIPPED).filter(|n| *n > 0) {
            out.line(paint(DIM, format_args!("{more} more files left alone")))?;
        }
        let total = &self.total;
        let sum = format!("{} episodes read: {}", total.episodes(), total.sentence());
        out.line(paint(TITLE, sum))?;
        let outcomes = total.outcomes.iter().map(|(outcome, n)| format!("{n} {outcome}"));
        let outcomes = outcomes.collect::<Vec<_>>().join(", ");
        if outcomes.is_empty() { Ok(()) } else { out.line(outcomes) }
    }

    /// The problems, on stderr.
    fn warn(&self) {
        let problems = self.files.iter().flat_map(|file| &file.problems);
        problems.take(SHOWN_PROBLEMS).for_each(output::warn);
        let shown = self.files.iter().map(|file| file.problems.len()).sum::<usize>();
        let shown = shown.min(SHOWN_PROBLEMS) as u64;
        let more = (self.total.refused + self.total.malformed).saturating_sub(shown);
        if more > 0 {
            output::warn(format_args!("{more} more records were malformed or refused"));
        }
    }
}
