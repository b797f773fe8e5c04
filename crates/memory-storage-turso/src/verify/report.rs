//! What a check found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::batch::Statement;

/// Findings that are told one by one; all are counted.
const TOLD: usize = 1000;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Pages and indexes, by the engine's own check.
    Engine,
    /// The document of an episode: its checksum and its encoding.
    Payload,
    /// Steps logged since the document was written.
    Steps,
    /// The columns that are queried.
    Columns,
    /// The rows of an episode's metadata.
    Metadata,
    /// The text index.
    Text,
    /// The change feed.
    Changes,
    /// What is left of forgotten episodes.
    Tombstones,
    /// Evidence of patterns and heuristics.
    Lessons,
    /// What an embedding model made of episodes.
    Vectors,
}

impl Part {
    /// The name used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Engine => "engine",
            Part::Payload => "payload",
            Part::Steps => "steps",
            Part::Columns => "columns",
            Part::Metadata => "metadata",
            Part::Text => "text",
            Part::Changes => "changes",
            Part::Tombstones => "tombstones",
            Part::Lessons => "lessons",
            Part::Vectors => "vectors",
        }
    }
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// It was put right.
    Repaired,
    /// A repair would put it right, without loss.
    Repairable,
    /// What was there is not there any more: a backup or an export may have it.
    ByHand,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub part: Part,
    /// The record: an episode with its id, or the database.
    pub thing: String,
    /// What is wrong with it.
    pub problem: String,
    /// What becomes of it.
    pub remedy: Remedy,
}

/// What a check of the whole database found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Episodes that were looked at.
    pub episodes: u64,
    /// Everything found.
    pub found: u64,
    /// Of it, what was repaired.
    pub repaired: u64,
    /// Of it, what a repair would put right.
    pub repairable: u64,
    /// How much was found where.
    pub parts: BTreeMap<Part, u64>,
    /// The first thousand findings.
    pub findings: Vec<Finding>,
    /// The server does not let its clients check its files: that is left to its operator.
    pub engine_refused: bool,
}

impl Verification {
    pub(super) fn add(&mut self, finding: Finding) {
        self.found += 1;
        *self.parts.entry(finding.part).or_default() += 1;
        match finding.remedy {
            Remedy::Repaired => self.repaired += 1,
            Remedy::Repairable => self.repairable += 1,
            Remedy::ByHand => {}
        }
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        }
    }
}

/// A finding before anything was done about it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) part: Part,
    pub(super) thing: String,
    pub(super) problem: String,
    /// The statements that put it right; `None`: nothing would.
    pub(super) repair: Option<Vec<Statement>>,
}

impl Problem {
    pub(super) fn lost(part: Part, thing: impl Into<String>, problem: impl Into<String>) -> Self {
        Problem { part, thing: thing.into(), problem: problem.into(), repair: None }
    }

    pub(super) fn repairable(
        part: Part,
        thing: impl Into<String>,
        problem: impl Into<String>,
        repair: Vec<Statement>,
    ) -> Self {
        Problem { part, thing: thing.into(), problem: problem.into(), repair: Some(repair) }
    }
}
