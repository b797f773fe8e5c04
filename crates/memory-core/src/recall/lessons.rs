//! Which lessons come with an answer, in which order.

use super::query::{RecallLesson, THIS_TASK};
use super::rank::Ranking;
use crate::clock::Timestamp;
use crate::episode::{Episode, LessonId};
use crate::learning::task_action::task_condition;
use crate::learning::trace::one_line;
use crate::learning::{LessonKind, ScoredLesson};

/// Lessons below this are hearsay.
const MIN_CONFIDENCE: f64 = 0.3;

/// The same of how runs of a kind go about it: beside a run that shows it, it must be the rule.
const MIN_CONFIDENCE_OF_HABITS: f64 = 0.5;

/// Evidence ids given with a lesson; each costs as much as a sentence.
const EVIDENCE_IDS: usize = 1;

/// Characters of another task in a condition.
const TASK_CHARS: usize = 60;

/// Lessons that apply, what tells most about the next step first. `task` is the query's.
///
/// A lesson that someone said is wrong does not come back, nor does one that is superseded: of
/// lessons that say different things to do in the same situation, one that is both surer and was
/// seen later replaces the other. Where neither replaces the other, both come back, the second
/// marked as contradicting the first. A call that never went well in any run of the task comes back
/// as what runs failed with; next to one of the same tool that did go well it is marked in the same way.
pub(super) fn applicable(
    task: &str,
    ranking: &Ranking,
    lessons: &[ScoredLesson],
    now: Timestamp,
) -> Vec<RecallLesson> {
    let task = task_condition(task);
    // A run that solved the very task shows how to go about it.
    let is_solved = ranking
        .results
        .first()
        .is_some_and(|best| best.same_task && best.episode.state() == "success");
    let mut chosen: Vec<Candidate<'_>> = lessons
        .iter()
        .filter(|lesson| !lesson.stats.is_wrong())
        .filter(|lesson| applies(lesson, ranking) && says_more_than_its_run(lesson))
        .filter(|lesson| !(is_solved && is_habit(lesson)))
        .map(|lesson| Candidate::of(lesson, now))
        .filter(|one| one.is_choice() || one.confidence >= one.required())
        .collect();
    let all = chosen.clone();
    chosen.retain(|one| !all.iter().any(|other| other.supersedes(one)));
    chosen.sort_by(|a, b| {
        b.order(&task).total_cmp(&a.order(&task)).then(a.lesson.lesson.id.cmp(&b.lesson.lesson.id))
    });
    let mut kept: Vec<(&Candidate<'_>, Option<LessonId>)> = Vec::new();
    for one in &chosen {
        let contradicted = kept.iter().find(|(other, _)| other.contradicts(one));
        let contradicted = contradicted.map(|(other, _)| other.lesson.lesson.id);
        let is_repetition =
            !one.is_choice() && kept.iter().any(|(k, _)| k.subject() == one.subject());
        if contradicted.is_some() || !is_repetition {
            kept.push((one, contradicted));
        }
    }
    kept.into_iter().map(|(one, contradicts)| one.recalled(&task, contradicts)).collect()
}

fn applies(lesson: &ScoredLesson, ranking: &Ranking) -> bool {
    let is_of = |episode: &Episode| {
        episode.lessons.contains(&lesson.lesson.id)
            || (lesson.lesson.lesson_kind == LessonKind::TaskAction
                && task_condition(&episode.task_description) == lesson.lesson.condition)
    };
    let found = ranking.results.iter().map(|result| &result.episode);
    found.chain(&ranking.archived).any(|episode| is_of(episode))
}

/// The way one single run took is told by that run already.
fn says_more_than_its_run(lesson: &ScoredLesson) -> bool {
    lesson.stats.uses > 1 || !is_habit(lesson)
}

/// How runs of a kind go about it.
fn is_habit(lesson: &ScoredLesson) -> bool {
    matches!(lesson.lesson.lesson_kind, LessonKind::ToolSequence | LessonKind::ContextPattern)
}

#[derive(Clone)]
struct Candidate<'a> {
    lesson: &'a ScoredLesson,
    /// No run that did it went well.
    failed: bool,
    /// That it goes well; of what failed, that it goes badly.
    confidence: f64,
}

impl<'a> Candidate<'a> {
    fn of(lesson: &'a ScoredLesson, now: Timestamp) -> Self {
        let failed =
            lesson.lesson.lesson_kind == LessonKind::TaskAction && lesson.stats.never_went_well();
        let confidence =
            if failed { lesson.stats.doubt(now) } else { lesson.stats.confidence(now) };
        Candidate { lesson, failed, confidence }
    }

    fn required(&self) -> f64 {
        if is_habit(self.lesson) { MIN_CONFIDENCE_OF_HABITS } else { MIN_CONFIDENCE }
    }

    /// One of several calls that a task may need side by side, each telling by itself.
    fn is_choice(&self) -> bool {
        self.lesson.lesson.lesson_kind == LessonKind::TaskAction
    }

    fn order(&self, task: &str) -> f64 {
        let lesson = &self.lesson.lesson;
        let weight = match lesson.lesson_kind {
            // Of this very task: nothing is nearer, and what went well comes before what failed.
            LessonKind::TaskAction if lesson.condition == task && !self.failed => {
                return 2.0 + self.confidence;
            }
            LessonKind::TaskAction if lesson.condition == task => return 1.0 + self.confidence,
            LessonKind::TaskAction => 0.5,
            LessonKind::Heuristic => 1.0,
            LessonKind::ErrorRecovery => 0.9,
            LessonKind::DecisionPoint => 0.8,
            LessonKind::ContextPattern => 0.7,
            LessonKind::ToolSequence => 0.6,
        };
        weight * self.confidence
    }

    /// What it is about: the error it quotes, else its kind. One lesson on each is enough.
    fn subject(&self) -> &str {
        let lesson = &self.lesson.lesson;
        let quoted = lesson.condition.split_once('"').map(|(_, rest)| rest.trim_end_matches('"'));
        quoted.filter(|_| !self.is_choice()).unwrap_or(lesson.lesson_kind.as_str())
    }

    /// Both say what to do in the same situation, and it is not the same.
    fn is_alternative_to(&self, other: &Candidate<'_>) -> bool {
        let (a, b) = (&self.lesson.lesson, &other.lesson.lesson);
        let one_way = matches!(
            a.lesson_kind,
            LessonKind::Heuristic | LessonKind::ErrorRecovery | LessonKind::DecisionPoint
        );
        one_way
            && a.lesson_kind == b.lesson_kind
            && a.condition == b.condition
            && a.task_type == b.task_type
            && a.id != b.id
    }

    fn supersedes(&self, other: &Candidate<'_>) -> bool {
        self.is_alternative_to(other)
            && self.confidence > other.confidence
            && self.lesson.stats.last_seen > other.lesson.stats.last_seen
    }

    fn contradicts(&self, other: &Candidate<'_>) -> bool {
        let (a, b) = (&self.lesson.lesson, &other.lesson.lesson);
        let tool = |action: &str| action.split_once('(').map(|(tool, _)| tool.to_owned());
        let same_call_otherwise = self.is_choice()
            && other.is_choice()
            && self.failed != other.failed
            && a.condition == b.condition
            && tool(&a.action).is_some_and(|name| tool(&b.action).as_ref() == Some(&name));
        same_call_otherwise || self.is_alternative_to(other)
    }

    fn recalled(&self, task: &str, contradicts: Option<LessonId>) -> RecallLesson {
        let ScoredLesson { lesson, stats, evidence } = self.lesson;
        let when = match lesson.lesson_kind {
            LessonKind::TaskAction if lesson.condition == task => THIS_TASK.to_owned(),
            LessonKind::TaskAction => {
                format!("task: {}", one_line(&lesson.condition, TASK_CHARS))
            }
            _ => lesson.condition.clone(),
        };
        let (action, failed_with) = if self.failed {
            (String::new(), lesson.action.clone())
        } else {
            (lesson.action.clone(), String::new())
        };
        RecallLesson {
            id: lesson.id,
            when,
            action,
            failed_with,
            worked: format!("{} of {}", stats.successes, stats.uses),
            confidence: (self.confidence * 100.0).round() / 100.0,
            contradicts,
            evidence: evidence.iter().copied().take(EVIDENCE_IDS).collect(),
        }
    }
}
