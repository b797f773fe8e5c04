//! What is asked, and what comes back.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::similar::SimilarQuery;
use super::synonyms::synonyms as synonyms_of;
use super::text::query_terms;
use crate::episode::{EpisodeId, LessonId};
use crate::error::{Error, Result};
use crate::store::{Filter, Scope, SearchQuery, SearchResult};

/// Episodes that the index names for one recall, by its own order.
const HITS: usize = 200;

/// Hits that are read and ranked in any case: what helps is practically always among the first few
/// dozen.
const CANDIDATES: usize = 64;
const FEW_CANDIDATES: usize = 24;

/// Bytes of text up to which more of them are read, and what is near them: of short episodes the
/// index's order says less, and each costs little.
const MORE_BYTES: u64 = 256 * 1024;

/// A request for what helps with a task.
#[derive(Debug, Clone, PartialEq)]
pub struct RecallQuery {
    /// The task, in the words in which it was given.
    pub task: String,
    /// Whose episodes.
    pub scope: Scope,
    /// Which of them. Running episodes come back only when `states` asks for them.
    pub filter: Filter,
    /// Episodes to return, at most.
    pub limit: usize,
    /// Tokens of the whole answer, at most, as [`tokens::estimate`](super::tokens::estimate) counts.
    pub budget_tokens: usize,
    /// Whether many candidates are looked at, those that synonyms bring among them. Without it an answer
    /// takes half the time, and is as good where the words are those of the episodes.
    pub thorough: bool,
}

impl RecallQuery {
    /// Episodes returned unless asked otherwise: both sides of one task, and a few similar ones.
    pub const DEFAULT_LIMIT: usize = 5;
    /// Most episodes that one recall returns; a listing is for more.
    pub const MAX_LIMIT: usize = 50;
    /// Tokens unless asked otherwise.
    pub const DEFAULT_BUDGET_TOKENS: usize = 1000;
    /// Fewer tokens cannot hold one result with its id.
    pub const MIN_BUDGET_TOKENS: usize = 120;

    /// Everything about `task` in `scope`, with the default limit and budget.
    pub fn new(task: impl Into<String>, scope: Scope) -> Self {
        RecallQuery {
            task: task.into(),
            scope,
            filter: Filter::default(),
            limit: Self::DEFAULT_LIMIT,
            budget_tokens: Self::DEFAULT_BUDGET_TOKENS,
            thorough: true,
        }
    }

    /// Checks the task, the limit and the budget.
    pub fn validate(&self) -> Result<()> {
        if self.task.trim().is_empty() {
            return Err(Error::invalid("task", "is empty; say in a few words what is to be done"));
        }
        if !(1..=Self::MAX_LIMIT).contains(&self.limit) {
            let problem = format!("is {}; give a number from 1 to {}", self.limit, Self::MAX_LIMIT);
            return Err(Error::invalid("limit", problem));
        }
        if self.budget_tokens < Self::MIN_BUDGET_TOKENS {
            let problem = format!(
                "is {}; one result needs at least {}",
                self.budget_tokens,
                Self::MIN_BUDGET_TOKENS
            );
            return Err(Error::invalid("budget_tokens", problem));
        }
        Ok(())
    }

    /// The search by meaning beside it.
    pub fn similar(&self) -> SimilarQuery {
        SimilarQuery { text: self.task.clone(), scope: self.scope.clone() }
    }

    /// The search that finds the candidates, archived ones among them: what they taught comes back.
    pub fn search(&self) -> SearchQuery {
        let terms = query_terms(&self.task);
        let mut synonyms: Vec<String> = Vec::new();
        let others = terms.iter().filter(|_| self.thorough).flat_map(|term| synonyms_of(term));
        for other in others {
            if !terms.contains(other) && !synonyms.contains(other) {
                synonyms.push(other.clone());
            }
        }
        SearchQuery {
            scope: self.scope.clone(),
            terms,
            synonyms,
            filter: Filter { include_archived: true, ..self.filter.clone() },
            limit: HITS,
        }
    }
}

/// The episodes to be read for ranking what a search found: hits, what synonyms add to them, and what is
/// near short ones.
pub fn candidates(found: &SearchResult, thorough: bool) -> Vec<EpisodeId> {
    let (most, more_bytes) =
        if thorough { (CANDIDATES, MORE_BYTES) } else { (FEW_CANDIDATES, MORE_BYTES / 4) };
    let (mut ids, mut seen, mut bytes) = (Vec::new(), HashSet::new(), 0u64);
    for hit in &found.hits {
        bytes = bytes.saturating_add(hit.bytes.max(256));
        if ids.len() >= most && bytes > more_bytes {
            break;
        }
        seen.insert(hit.id);
        ids.push(hit.id);
    }
    let read = ids.len();
    for hit in &found.by_synonyms {
        bytes = bytes.saturating_add(hit.bytes.max(256));
        if seen.insert(hit.id) {
            ids.push(hit.id);
        }
    }
    for near in found.hits.iter().take(read).flat_map(|hit| &hit.nearby) {
        // No hit and short, so about this long.
        bytes = bytes.saturating_add(512);
        if bytes > 2 * more_bytes {
            break;
        }
        if seen.insert(*near) {
            ids.push(*near);
        }
    }
    ids
}

/// How candidates were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// By their words alone.
    #[default]
    #[serde(rename = "lexical")]
    Lexical,
    /// By their words and by what they mean.
    #[serde(rename = "lexical+embeddings")]
    LexicalAndEmbeddings,
}

/// What helps with a task, within the token budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// How it was found.
    pub mode: Mode,
    /// Embeddings are set up: why they were not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
    /// Why there is nothing, when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_relevant: Option<String>,
    /// Best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<RecallItem>,
    /// Lessons that apply, surest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lessons: Vec<RecallLesson>,
    /// Relevant episodes that the budget left no room for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u32,
    /// Estimated tokens of this answer as JSON.
    pub tokens: usize,
}

/// One recalled episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecallItem {
    /// To read all of it.
    pub id: EpisodeId,
    /// Its task, possibly shortened; empty where it is the query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// `success`, `partial`, `failure`, ...
    pub outcome: String,
    /// Its reward, to three digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// What was done, in order: of a success always the action that reached the goal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
    /// Reflection: what to do next time, what failed, what worked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lessons: Vec<String>,
    /// Why it was chosen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Other runs of the same task with the same actions, left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alike: u32,
}

/// One lesson that applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecallLesson {
    /// For feedback on it.
    pub id: LessonId,
    /// When it applies.
    pub when: String,
    /// What to do; empty where no run that did it went well.
    #[serde(rename = "do", default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// What runs did of which none went well; whether it was the mistake is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failed_with: String,
    /// How often it went well: `5 of 6`.
    pub worked: String,
    /// 0 to 1: see [`LessonStats::confidence`](crate::learning::LessonStats::confidence) and, of what
    /// failed, [`LessonStats::doubt`](crate::learning::LessonStats::doubt).
    pub confidence: f64,
    /// A lesson of the same answer, before this one, that says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradicts: Option<LessonId>,
    /// Some of the episodes behind it.
    pub evidence: Vec<EpisodeId>,
}

/// [`RecallLesson::when`] of a lesson that is about the query's own task.
pub(super) const THIS_TASK: &str = "this task";

impl RecallLesson {
    pub(super) fn is_about_this_task(&self) -> bool {
        self.when == THIS_TASK
    }

    /// What to do, or what did not help.
    pub fn advice(&self) -> String {
        if self.failed_with.is_empty() {
            self.action.clone()
        } else {
            format!("no run did well with {}", self.failed_with)
        }
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_queries_say_what_would_be_possible() {
        let problem = |edit: fn(&mut RecallQuery)| {
            let mut query = RecallQuery::new("fix the login test", Scope::All);
            query.validate().unwrap();
            edit(&mut query);
            query.validate().unwrap_err().to_string()
        };
        assert!(problem(|q| q.task = " \n".into()).starts_with("task: is empty"));
        assert!(problem(|q| q.limit = 0).contains("from 1 to 50"));
        assert!(problem(|q| q.budget_tokens = 119).contains("at least 120"));
    }
}
