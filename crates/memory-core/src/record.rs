//! The export format: one JSON record a line, each with a `kind`, in a stable order.

use serde::{Deserialize, Serialize};

use crate::episode::Episode;
use crate::error::{Error, Result, excerpt};
use crate::store::{Feedback, LessonRecord, Relation, Tombstone};

/// What a record is. The order of [`RecordKind::ALL`] is the order of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// An episode with its steps.
    Episode,
    /// A pattern with its evidence.
    Pattern,
    /// A heuristic with its evidence.
    Heuristic,
    /// A word of feedback.
    Feedback,
    /// A relation between episodes.
    Relation,
    /// What stays of a forgotten episode.
    Tombstone,
}

impl RecordKind {
    /// Every kind, in the order of an export.
    pub const ALL: [RecordKind; 6] = [
        RecordKind::Episode,
        RecordKind::Pattern,
        RecordKind::Heuristic,
        RecordKind::Feedback,
        RecordKind::Relation,
        RecordKind::Tombstone,
    ];

    /// The name used in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordKind::Episode => "episode",
            RecordKind::Pattern => "pattern",
            RecordKind::Heuristic => "heuristic",
            RecordKind::Feedback => "feedback",
            RecordKind::Relation => "relation",
            RecordKind::Tombstone => "tombstone",
        }
    }
}

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// An episode with its steps.
    Episode(Box<Episode>),
    /// A pattern with its evidence.
    Pattern(LessonRecord),
    /// A heuristic with its evidence.
    Heuristic(LessonRecord),
    /// A word of feedback.
    Feedback(Feedback),
    /// A relation between episodes.
    Relation(Relation),
    /// What stays of a forgotten episode.
    Tombstone(Tombstone),
}

impl Record {
    /// Reads one line. The error names what is missing or wrong.
    pub fn parse(line: &str) -> Result<Self> {
        // Not an internally tagged `Deserialize`: that would buffer the fields and lose raw JSON.
        #[derive(Deserialize)]
        struct Kind {
            kind: RecordKind,
        }
        fn body<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T> {
            serde_json::from_str(line).map_err(|e| unreadable(line, &e))
        }
        let Kind { kind } = body(line)?;
        Ok(match kind {
            RecordKind::Episode => Record::Episode(Box::new(body(line)?)),
            RecordKind::Pattern => Record::Pattern(body(line)?),
            RecordKind::Heuristic => Record::Heuristic(body(line)?),
            RecordKind::Feedback => Record::Feedback(body(line)?),
            RecordKind::Relation => Record::Relation(body(line)?),
            RecordKind::Tombstone => Record::Tombstone(body(line)?),
        })
    }

    /// The line, without the line feed.
    pub fn to_line(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::invalid("record", e.to_string()))
    }
}

fn unreadable(line: &str, e: &serde_json::Error) -> Error {
    Error::invalid("record", format!("{e}; it begins {}", excerpt(line)))
}
