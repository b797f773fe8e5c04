//! What became of what was read.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

use memory_core::record::RecordKind;
use memory_core::store::Scope;
use serde::Serialize;
use serde_json::{Map, json};

use super::stream::Key;
use crate::cli::Failure;
use crate::cli::output::{self, BAD, DIM, GOOD, Output, TITLE, one_line, paint};

/// Problems that are shown one by one; the rest is a number.
pub(super) const SHOWN_PROBLEMS: usize = 20;

/// What became of a record of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Became {
    /// It was not there before.
    Added,
    /// It was there in an older state.
    Updated,
    /// It was there already.
    AlreadyThere,
    /// The target has a newer state, which stays.
    Kept,
    /// The target forgot it, and it stays forgotten.
    Forgotten,
    /// Both sides have the same version of it with different contents; the target's stays.
    Diverged,
    /// The target refused it.
    Refused,
}

/// Records of a kind, as people call them.
pub(super) fn plural(kind: RecordKind) -> String {
    match kind {
        RecordKind::Feedback => "feedback".into(),
        kind => format!("{}s", kind.as_str()),
    }
}

/// Counts of one kind of record.
#[derive(Debug, Default, Serialize)]
struct Counts {
    read: u64,
    added: u64,
    updated: u64,
    already_there: u64,
    newer_in_target: u64,
    forgotten_in_target: u64,
    diverged: u64,
    refused: u64,
}

impl Counts {
    fn sentence(&self) -> String {
        let counts = [
            (self.added, "added"),
            (self.updated, "updated"),
            (self.already_there, "already there"),
            (self.newer_in_target, "newer in the target"),
            (self.forgotten_in_target, "forgotten in the target"),
            (self.diverged, "different in the target at the same version"),
            (self.refused, "refused"),
        ];
        let words = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Counts of all, and what the target does not have as the source has it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kinds: BTreeMap<usize, Counts>,
    left_out: HashSet<(RecordKind, Key)>,
    problems: Vec<String>,
    more_problems: u64,
}

impl Tally {
    pub(super) fn count(&mut self, kind: RecordKind, key: Key, became: Became) {
        let place = RecordKind::ALL.iter().position(|k| *k == kind).unwrap_or(0);
        let counts = self.kinds.entry(place).or_default();
        counts.read += 1;
        *match became {
            Became::Added => &mut counts.added,
            Became::Updated => &mut counts.updated,
            Became::AlreadyThere => &mut counts.already_there,
            Became::Kept => &mut counts.newer_in_target,
            Became::Forgotten => &mut counts.forgotten_in_target,
            Became::Diverged => &mut counts.diverged,
            Became::Refused => &mut counts.refused,
        } += 1;
        match became {
            Became::Added | Became::Updated | Became::AlreadyThere => {}
            Became::Kept | Became::Forgotten | Became::Diverged | Became::Refused => {
                self.left_out.insert((kind, key));
            }
        }
    }

    pub(super) fn is_left_out(&self, kind: RecordKind, key: &Key) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(&(kind, key.clone()))
    }

    pub(super) fn problem(&mut self, problem: String) {
        if self.problems.len() < SHOWN_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.more_problems += 1;
        }
    }

    fn kinds(&self) -> impl Iterator<Item = (RecordKind, &Counts)> {
        self.kinds
            .iter()
            .filter_map(|(place, counts)| Some((*RecordKind::ALL.get(*place)?, counts)))
    }
}

/// What both sides hold of what was copied.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    /// Lines of the source.
    pub(super) records: u64,
    /// Of these, found in the target.
    pub(super) found: u64,
    /// Of the lines as an export writes them, each with its line feed.
    pub(super) sha256_from: String,
    pub(super) sha256_to: String,
    /// Records that are missing or different.
    pub(super) differing: u64,
    /// The first of these.
    #[serde(skip)]
    pub(super) problems: Vec<String>,
}

impl Verified {
    pub(super) fn is_same(&self) -> bool {
        self.differing == 0 && self.records == self.found && self.sha256_from == self.sha256_to
    }
}

/// The report of a copy.
pub(super) struct Report {
    pub(super) from: String,
    pub(super) to: String,
    project: Option<String>,
    pub(super) tally: Tally,
    /// `None`: it did not come to that.
    pub(super) verified: Option<Verified>,
}

impl Report {
    pub(super) fn new(from: &dyn Display, to: &dyn Display, scope: &Scope) -> Self {
        let project = match scope {
            Scope::All => None,
            Scope::Project(name) => Some(name.clone()),
        };
        let (from, to) = (from.to_string(), to.to_string());
        Report { from, to, project, tally: Tally::default(), verified: None }
    }

    /// True when the target now has all that the source has, or something newer.
    pub(super) fn is_complete(&self) -> bool {
        self.tally.kinds().all(|(_, counts)| counts.refused == 0 && counts.diverged == 0)
    }

    pub(super) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        let differing = self.verified.iter().flat_map(|verified| &verified.problems);
        self.tally.problems.iter().chain(differing).for_each(output::warn);
        if self.tally.more_problems > 0 {
            output::warn(format_args!("and {} more", self.tally.more_problems));
        }
        if out.is_json() {
            return self.print_json(out);
        }
        let only = self.project.iter().map(|name| format!(", project {} only", one_line(name, 80)));
        let only: String = only.collect();
        out.line(paint(TITLE, format_args!("{} -> {}{only}", self.from, self.to)))?;
        for (kind, counts) in self.tally.kinds() {
            let kind = plural(kind);
            out.line(format_args!("  {kind:<12} {:>9} read: {}", counts.read, counts.sentence()))?;
        }
        let Some(verified) = &self.verified else {
            return out.line(paint(BAD, "not finished, not verified"));
        };
        if !verified.is_same() {
            return out.line(paint(BAD, format_args!("{} records differ", verified.differing)));
        }
        let records = verified.records;
        out.line(paint(
            GOOD,
            format_args!("verified: {records} records are the same on both sides"),
        ))?;
        out.line(paint(DIM, format_args!("SHA-256 of their export: {}", verified.sha256_from)))
    }

    fn print_json(&self, out: &mut Output) -> Result<(), Failure> {
        let kinds = self.tally.kinds().map(|(kind, counts)| (kind.as_str().into(), json!(counts)));
        out.json(&json!({
            "from": self.from,
            "to": self.to,
            "project": self.project,
            "records": kinds.collect::<Map<_, _>>(),
            "verified": self.verified,
            "same": self.verified.as_ref().is_some_and(Verified::is_same),
            "problems": self.tally.problems,
        }))
    }
}
