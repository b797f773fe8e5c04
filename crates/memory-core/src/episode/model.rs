//! Episode, step, outcome, reward, reflection.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{EpisodeId, LessonId, MetadataValue, RawJson};
use crate::clock::Timestamp;
use crate::error::{Error, excerpt};

/// One task an agent worked on: what it was asked, what it did, how it ended, what it learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Made by the client; the idempotency key.
    pub id: EpisodeId,
    /// The scope. Enforced on every read and write.
    pub project: String,
    /// What kind of task, for instance `bugfix` or `sql`. Empty when not known.
    #[serde(default)]
    pub task_type: String,
    /// The task in the words in which it was given.
    pub task_description: String,
    /// Where the task took place.
    #[serde(default)]
    pub context: Context,
    /// When work began.
    pub started_at: Timestamp,
    /// When it was completed; `None` while running.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// What was done, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// How it ended; `None` while running.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// How good the outcome was, when that is known.
    #[serde(default)]
    pub reward: Option<Reward>,
    /// What worked, what failed, what to do next time.
    #[serde(default)]
    pub reflection: Reflection,
    /// Patterns and heuristics this episode is evidence for.
    #[serde(default)]
    pub lessons: Vec<LessonId>,
    /// Typed key-value pairs for filters.
    #[serde(default)]
    pub metadata: BTreeMap<String, MetadataValue>,
    /// Where an imported episode came from; `None` for one recorded live.
    #[serde(default)]
    pub source: Option<Source>,
    /// 1 for the first write, one more for each later one.
    #[serde(default)]
    pub version: u64,
    /// When it was archived (kept, but no longer recalled).
    #[serde(default)]
    pub archived_at: Option<Timestamp>,
}

impl Episode {
    /// A running episode without steps.
    pub fn start(
        id: EpisodeId,
        project: impl Into<String>,
        task: impl Into<String>,
        at: Timestamp,
    ) -> Self {
        Episode {
            id,
            project: project.into(),
            task_type: String::new(),
            task_description: task.into(),
            context: Context::default(),
            started_at: at,
            ended_at: None,
            steps: Vec::new(),
            outcome: None,
            reward: None,
            reflection: Reflection::default(),
            lessons: Vec::new(),
            metadata: BTreeMap::new(),
            source: None,
            version: 1,
            archived_at: None,
        }
    }

    /// True until the episode is completed.
    pub fn is_running(&self) -> bool {
        self.outcome.is_none()
    }

    /// `running`, or the outcome's name: what the `outcome` column and every listing shows.
    pub fn state(&self) -> &'static str {
        self.outcome.as_ref().map_or("running", |o| o.kind.as_str())
    }
}

/// Where a task took place.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Context {
    /// Field of work, for instance `web`, `airline`.
    #[serde(default)]
    pub domain: String,
    /// Programming or query language.
    #[serde(default)]
    pub language: String,
    /// Framework or main tool.
    #[serde(default)]
    pub framework: String,
    /// How hard the task looked.
    #[serde(default)]
    pub complexity: Option<Complexity>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// How hard a task looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// A few obvious steps.
    Simple,
    /// Some searching or several files.
    Moderate,
    /// Many steps, several ways to fail.
    Complex,
}

/// One action of the agent and what came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Step {
    /// Position in the episode, from 1.
    #[serde(default)]
    pub number: u32,
    /// Which tool was used, for instance `bash`. Empty for plain reasoning or speech.
    #[serde(default)]
    pub tool: String,
    /// What was done: the command, the call, the message.
    pub action: String,
    /// The tool's parameters, as JSON.
    #[serde(default, skip_serializing_if = "is_null")]
    pub parameters: RawJson,
    /// What came back.
    #[serde(default)]
    pub observation: String,
    /// Whether the step worked; `None` when nobody can tell.
    #[serde(default)]
    pub success: Option<bool>,
    /// The error, when it did not.
    #[serde(default)]
    pub error: Option<String>,
    /// How long it took.
    #[serde(default)]
    pub latency_ms: Option<u64>,
    /// Tokens it cost.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// When it was done.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// The tool of a step that is no action but a note for whoever goes on.
const CHECKPOINT: &str = "checkpoint";

impl Step {
    /// A note of where things stand and what is next. It goes to the database at once, with all that
    /// was logged before.
    pub fn checkpoint(note: impl Into<String>) -> Self {
        Step {
            tool: CHECKPOINT.to_owned(),
            action: note.into(),
            success: Some(true),
            ..Step::default()
        }
    }

    /// True for a note: nothing was done in it.
    pub fn is_checkpoint(&self) -> bool {
        self.tool == CHECKPOINT
    }
}

fn is_null(json: &RawJson) -> bool {
    json.as_str() == "null"
}

/// How an episode ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which of the standard endings.
    pub kind: OutcomeKind,
    /// The verdict in words: what was achieved, or the reason of the failure.
    #[serde(default)]
    pub verdict: String,
    /// For `abstained`: the step at which the agent declined to go on.
    #[serde(default)]
    pub at_step: Option<u32>,
}

impl Outcome {
    /// An outcome with its verdict text.
    pub fn new(kind: OutcomeKind, verdict: impl Into<String>) -> Self {
        Outcome { kind, verdict: verdict.into(), at_step: None }
    }
}

/// The standard endings of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The task was solved.
    Success,
    /// Some of it was: a reward strictly between 0 and 1.
    Partial,
    /// It was not.
    Failure,
    /// The agent declined to go on, at a step and for a reason.
    Abstained,
    /// Work stopped without a result.
    Abandoned,
    /// It ended, and nobody said how well.
    Unjudged,
}

impl OutcomeKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [OutcomeKind; 6] = [
        OutcomeKind::Success,
        OutcomeKind::Partial,
        OutcomeKind::Failure,
        OutcomeKind::Abstained,
        OutcomeKind::Abandoned,
        OutcomeKind::Unjudged,
    ];

    /// The name used in JSON, in columns and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Success => "success",
            OutcomeKind::Partial => "partial",
            OutcomeKind::Failure => "failure",
            OutcomeKind::Abstained => "abstained",
            OutcomeKind::Abandoned => "abandoned",
            OutcomeKind::Unjudged => "unjudged",
        }
    }

    /// What an environment's reward says: 1 is success, 0 failure, between them partial.
    pub fn from_reward(score: f64) -> Self {
        if score >= 1.0 {
            OutcomeKind::Success
        } else if score > 0.0 {
            OutcomeKind::Partial
        } else {
            OutcomeKind::Failure
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OutcomeKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        OutcomeKind::ALL.into_iter().find(|k| k.as_str() == text).ok_or_else(|| {
            let names = OutcomeKind::ALL.map(OutcomeKind::as_str).join(", ");
            Error::invalid("outcome", format!("\"{}\" is none of {names}", excerpt(text)))
        })
    }
}

/// How good an outcome was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// 0 (nothing achieved) to 1 (all of it).
    pub score: f64,
    /// Who says so.
    pub source: RewardSource,
    /// What a computed score is made of, by name.
    #[serde(default)]
    pub components: BTreeMap<String, f64>,
}

/// Who gave a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardSource {
    /// The environment or a benchmark's checker: taken as it is.
    Environment,
    /// A person.
    User,
    /// Computed from outcome and steps.
    Computed,
}

/// What the agent takes away from an episode.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Reflection {
    /// What worked.
    #[serde(default)]
    pub worked: Vec<String>,
    /// What failed, and why.
    #[serde(default)]
    pub failed: Vec<String>,
    /// What to do next time.
    #[serde(default)]
    pub next_time: Vec<String>,
}

impl Reflection {
    /// True when it says nothing.
    pub fn is_empty(&self) -> bool {
        self.worked.is_empty() && self.failed.is_empty() && self.next_time.is_empty()
    }
}

/// Where an imported episode came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The importer's format name, for instance `tau-bench`.
    pub format: String,
    /// What names the run in its source: the episode id is derived from format and identity.
    pub identity: String,
    /// SHA-256 (hex, first 16 bytes) of what was imported: unchanged means nothing to update.
    pub digest: String,
}
