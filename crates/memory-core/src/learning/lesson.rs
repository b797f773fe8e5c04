//! A lesson: a pattern or a heuristic, with the episodes that are its evidence.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::episode::{EpisodeId, LessonId};

/// Which kind of lesson. The first four are patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LessonKind {
    /// Tools used one after the other in runs of a task type.
    ToolSequence,
    /// A choice between ways to go on, and what came of it.
    DecisionPoint,
    /// An error, and the action after which work went on.
    ErrorRecovery,
    /// What holds for a domain, language or framework.
    ContextPattern,
    /// A rule: under this condition, do this.
    Heuristic,
}

impl LessonKind {
    /// The name used in JSON and in columns.
    pub fn as_str(self) -> &'static str {
        match self {
            LessonKind::ToolSequence => "tool_sequence",
            LessonKind::DecisionPoint => "decision_point",
            LessonKind::ErrorRecovery => "error_recovery",
            LessonKind::ContextPattern => "context_pattern",
            LessonKind::Heuristic => "heuristic",
        }
    }
}

/// What a pattern or heuristic says. Equal lessons of one project have equal ids, so that they merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    /// Derived from project, kind, task type, condition and action: see [`Lesson::new`].
    pub id: LessonId,
    /// The scope.
    pub project: String,
    /// Which kind.
    pub lesson_kind: LessonKind,
    /// Task type it applies to; empty for any.
    pub task_type: String,
    /// When it applies.
    pub condition: String,
    /// What to do, or what was done.
    pub action: String,
}

impl Lesson {
    /// A lesson with the id that its words give it.
    pub fn new(
        project: &str,
        kind: LessonKind,
        task_type: &str,
        condition: impl Into<String>,
        action: impl Into<String>,
    ) -> Self {
        let (condition, action) = (condition.into(), action.into());
        let parts = [project, kind.as_str(), task_type, &condition, &action];
        Lesson {
            id: LessonId::derive(&parts.map(str::as_bytes)),
            project: project.into(),
            lesson_kind: kind,
            task_type: task_type.into(),
            condition,
            action,
        }
    }
}

/// One episode's word on a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The episode.
    pub episode: EpisodeId,
    /// Whether following the lesson (or having the pattern) went with success.
    pub success: bool,
    /// When the episode ended.
    pub at: Timestamp,
}

/// Counts derived from evidence and feedback; never incremented, so a retry cannot double them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LessonStats {
    /// Episodes that are evidence.
    pub uses: u64,
    /// Those of them that went well.
    pub successes: u64,
    /// When the last of them ended.
    pub last_seen: Timestamp,
    /// Feedback `helped`.
    pub helped: u64,
    /// Feedback `did_not_help`.
    pub did_not_help: u64,
    /// Feedback `wrong`.
    pub wrong: u64,
}

/// A lesson with its statistics and a few of the episodes behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredLesson {
    /// What it says.
    #[serde(flatten)]
    pub lesson: Lesson,
    /// How it did.
    pub stats: LessonStats,
    /// The latest evidence, at most a handful of ids.
    pub evidence: Vec<EpisodeId>,
}
