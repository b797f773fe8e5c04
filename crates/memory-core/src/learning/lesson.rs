//! A lesson: a pattern or a heuristic, with the episodes that are its evidence.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::episode::{EpisodeId, LessonId};

/// Which kind of lesson. All but [`Heuristic`](LessonKind::Heuristic) are patterns.
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
    /// A call that changed something in runs of one task, with its arguments; or that none did.
    TaskAction,
}

impl LessonKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [LessonKind; 6] = [
        LessonKind::ToolSequence,
        LessonKind::DecisionPoint,
        LessonKind::ErrorRecovery,
        LessonKind::ContextPattern,
        LessonKind::Heuristic,
        LessonKind::TaskAction,
    ];
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
            LessonKind::TaskAction => "task_action",
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
    /// Completed episodes that a recall returned it to, and that neither gave feedback on it nor are
    /// evidence for it.
    #[serde(default)]
    pub recalled: u64,
    /// Those of them that went well.
    #[serde(default)]
    pub recalled_well: u64,
}

/// A lesson with its statistics and a few of the episodes behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredLesson {
    /// What it says.
    #[serde(flatten)]
    pub lesson: Lesson,
    /// How it did.
    pub stats: LessonStats,
    /// At most a handful of ids: what went well first, the latest first.
    pub evidence: Vec<EpisodeId>,
}

/// The z value of a one-sided 90% interval: strict enough that one lucky run is no rule, mild
/// enough that three good runs out of three count.
const WILSON_Z: f64 = 1.281_551_565_545;

/// Evidence of this age counts half: tools and code bases change within months.
const HALF_LIFE_DAYS: f64 = 180.0;

/// What an episode counts that a lesson was returned to and that said nothing about it: it may not have
/// followed it, and ended as it did for many reasons.
pub(crate) const RECALLED_WEIGHT: f64 = 0.25;

const SECONDS_PER_DAY: f64 = 86_400.0;

impl LessonStats {
    /// How sure one can be, 0 to 1, that following the lesson goes well.
    ///
    /// The lower bound of Wilson's score interval (Wilson 1927) for the share of successes, where
    /// `helped` counts as one more success and `did_not_help` as one more failure, an episode that it
    /// was merely returned to as a quarter of either, by how that episode ended; all counts fade with
    /// a half-life of 180 days since the lesson was last seen: old evidence weighs less and so the
    /// bound falls. 0 without evidence, and once anyone said `wrong`.
    pub fn confidence(&self, now: Timestamp) -> f64 {
        if self.is_wrong() {
            return 0.0;
        }
        let (successes, total) = self.weighed(now);
        wilson_lower_bound(successes, total)
    }

    /// How sure one can be that following the lesson goes badly: the same bound for the share of
    /// failures.
    pub fn doubt(&self, now: Timestamp) -> f64 {
        let (successes, total) = self.weighed(now);
        wilson_lower_bound(total - successes, total)
    }

    /// True when there is evidence, and nobody's is that it went well.
    pub fn never_went_well(&self) -> bool {
        self.uses > 0 && self.successes + self.helped == 0
    }

    /// Successes, and all that counts, by their age.
    fn weighed(&self, now: Timestamp) -> (f64, f64) {
        let age_days = (now.seconds_since(self.last_seen) / SECONDS_PER_DAY).max(0.0);
        let weight = 0.5f64.powf(age_days / HALF_LIFE_DAYS);
        let said = |said: u64, recalled: u64| said as f64 + RECALLED_WEIGHT * recalled as f64;
        let successes = said(self.successes + self.helped, self.recalled_well);
        let total = said(self.uses + self.helped + self.did_not_help, self.recalled);
        (successes.min(total) * weight, total * weight)
    }

    /// True once someone said that the lesson is wrong: recall leaves it out.
    pub fn is_wrong(&self) -> bool {
        self.wrong > 0
    }
}

fn wilson_lower_bound(successes: f64, total: f64) -> f64 {
    if total <= 0.0 {
        return 0.0;
    }
    let (p, z2) = (successes / total, WILSON_Z * WILSON_Z);
    let centre = p + z2 / (2.0 * total);
    let spread = WILSON_Z * ((p * (1.0 - p) + z2 / (4.0 * total)) / total).sqrt();
    ((centre - spread) / (1.0 + z2 / total)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(uses: u64, successes: u64) -> LessonStats {
        LessonStats { uses, successes, ..LessonStats::default() }
    }

    #[test]
    fn more_evidence_at_the_same_rate_is_more_confidence() {
        let now = Timestamp(0);
        let confidence = |uses, successes| stats(uses, successes).confidence(now);
        assert_eq!(confidence(0, 0), 0.0);
        assert!(confidence(1, 1) < confidence(3, 3) && confidence(3, 3) < confidence(30, 30));
        assert!(confidence(30, 15) < confidence(3, 3));
        assert_eq!(confidence(5, 0), 0.0);
        // Reference value of the formula for 8 of 10.
        assert!((confidence(10, 8) - 0.601_6).abs() < 0.001, "{}", confidence(10, 8));
    }

    #[test]
    fn confidence_fades_with_age_and_moves_with_feedback() {
        let day = 86_400_000_000;
        let base = stats(10, 9);
        let fresh = base.confidence(Timestamp(0));
        assert!(base.confidence(Timestamp(360 * day)) < fresh);
        assert_eq!(base.confidence(Timestamp(-day)), fresh);
        assert!(LessonStats { helped: 3, ..base }.confidence(Timestamp(0)) > fresh);
        assert!(LessonStats { did_not_help: 3, ..base }.confidence(Timestamp(0)) < fresh);
        assert_eq!(LessonStats { wrong: 1, ..base }.confidence(Timestamp(0)), 0.0);
        let recalled = |recalled, recalled_well| {
            LessonStats { recalled, recalled_well, ..base }.confidence(Timestamp(0))
        };
        assert!(recalled(4, 4) > fresh && recalled(4, 0) < fresh);
        let said = LessonStats { did_not_help: 4, ..base }.confidence(Timestamp(0));
        assert!(recalled(4, 0) > said, "to be returned and fail says less than a word");
    }
}
