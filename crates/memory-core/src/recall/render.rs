//! The answer within its token budget, as JSON and as text.

use super::item;
use super::query::{Mode, Recall, RecallItem, RecallLesson, RecallQuery};
use super::rank::{Ranked, Ranking};
use super::tokens::estimate;
use crate::clock::Timestamp;
use crate::learning::{LessonKind, ScoredLesson};

/// Share of the budget that the best result may take while others wait.
const BEST_SHARE: f64 = 0.6;

/// Share of the budget for lessons.
const LESSONS_SHARE: f64 = 0.2;

/// Lessons of one answer.
const MAX_LESSONS: usize = 3;

/// Lessons below this are hearsay.
const MIN_CONFIDENCE: f64 = 0.3;

/// Evidence ids given with a lesson; each costs as much as a sentence.
const EVIDENCE_IDS: usize = 1;

/// Tokens between two elements of a list.
const SEPARATOR: usize = 1;

/// Puts a ranking and the lessons of its episodes into the query's token budget.
///
/// The budget holds for [`Recall::to_json`], estimated by [`estimate`]; the text form is shorter.
/// The best result is always there, shortened if need be. Then come lessons, then the other
/// results while they fit. `lessons` that none of the ranked episodes is evidence for are ignored.
pub fn render(
    query: &RecallQuery,
    ranking: &Ranking,
    lessons: &[ScoredLesson],
    now: Timestamp,
) -> Recall {
    let mut recall = Recall {
        mode: Mode::Lexical,
        nothing_relevant: ranking.nothing_relevant.clone(),
        items: Vec::new(),
        lessons: Vec::new(),
        left_out: u32::try_from(ranking.results.len()).unwrap_or(u32::MAX),
        tokens: query.budget_tokens,
    };
    let mut budget = Budget { left: query.budget_tokens };
    // The empty answer, with every list and number that may still appear in it.
    budget.take(estimate(&recall.to_json()) + estimate("\"items\":[],\"lessons\":[],"));
    if let Some((best, others)) = ranking.results.split_first() {
        let has_more = !others.is_empty() || !lessons.is_empty();
        let share = if has_more { BEST_SHARE } else { 1.0 };
        budget.add(&mut recall.items, item::fit(best, 0, budget.share(share)));
        if !recall.items.is_empty() {
            add_lessons(&mut recall, &mut budget, ranking, lessons, now, query.budget_tokens);
            for (place, other) in others.iter().enumerate() {
                budget.add(&mut recall.items, item::fit(other, place + 1, budget.share(1.0)));
            }
        }
    }
    finish(&mut recall, ranking, query.budget_tokens);
    recall
}

struct Budget {
    left: usize,
}

impl Budget {
    fn take(&mut self, tokens: usize) {
        self.left = self.left.saturating_sub(tokens);
    }

    /// A share of what is left for one element; never so little that a short one could not fit.
    fn share(&self, share: f64) -> usize {
        let left = self.left.saturating_sub(SEPARATOR);
        let part = (left as f64 * share) as usize;
        part.max(RecallQuery::MIN_BUDGET_TOKENS).min(left)
    }

    fn add<T: serde::Serialize>(&mut self, list: &mut Vec<T>, element: Option<T>) {
        let Some(element) = element else { return };
        let cost = json_tokens(&element) + SEPARATOR;
        if cost <= self.left {
            self.take(cost);
            list.push(element);
        }
    }
}

/// Estimated tokens of a value as JSON.
pub(super) fn json_tokens<T: serde::Serialize>(value: &T) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| estimate(&json))
}

fn add_lessons(
    recall: &mut Recall,
    budget: &mut Budget,
    ranking: &Ranking,
    lessons: &[ScoredLesson],
    now: Timestamp,
    total: usize,
) {
    let mut part = Budget { left: ((total as f64 * LESSONS_SHARE) as usize).min(budget.left) };
    let before = part.left;
    let mut applicable: Vec<(f64, &ScoredLesson)> = lessons
        .iter()
        .filter(|lesson| !lesson.stats.is_wrong())
        .filter(|lesson| applies(lesson, &ranking.results) && says_more_than_its_run(lesson))
        .map(|lesson| (lesson.stats.confidence(now), lesson))
        .filter(|(confidence, _)| *confidence >= MIN_CONFIDENCE)
        .collect();
    applicable.sort_by(|(a, x), (b, y)| {
        (b * weight(y)).total_cmp(&(a * weight(x))).then(x.lesson.id.cmp(&y.lesson.id))
    });
    let mut about: Vec<&str> = Vec::new();
    for (confidence, lesson) in applicable {
        let subject = subject(lesson);
        if recall.lessons.len() < MAX_LESSONS && !about.contains(&subject) {
            part.add(&mut recall.lessons, Some(recall_lesson(lesson, confidence)));
            about.push(subject);
        }
    }
    budget.take(before - part.left);
}

fn applies(lesson: &ScoredLesson, results: &[Ranked]) -> bool {
    results.iter().any(|result| result.episode.lessons.contains(&lesson.lesson.id))
}

/// What a lesson is about: the error it quotes, else its kind. One lesson on each is enough.
fn subject(lesson: &ScoredLesson) -> &str {
    let quoted =
        lesson.lesson.condition.split_once('"').map(|(_, rest)| rest.trim_end_matches('"'));
    quoted.unwrap_or(lesson.lesson.lesson_kind.as_str())
}

/// The way one single run took is told by that run already.
fn says_more_than_its_run(lesson: &ScoredLesson) -> bool {
    let kind = lesson.lesson.lesson_kind;
    lesson.stats.uses > 1 || !matches!(kind, LessonKind::ToolSequence | LessonKind::ContextPattern)
}

/// What tells most about the next step comes first.
fn weight(lesson: &ScoredLesson) -> f64 {
    match lesson.lesson.lesson_kind {
        LessonKind::Heuristic => 1.0,
        LessonKind::ErrorRecovery => 0.9,
        LessonKind::DecisionPoint => 0.8,
        LessonKind::ContextPattern => 0.7,
        LessonKind::ToolSequence => 0.6,
    }
}

fn recall_lesson(scored: &ScoredLesson, confidence: f64) -> RecallLesson {
    RecallLesson {
        id: scored.lesson.id,
        when: scored.lesson.condition.clone(),
        action: scored.lesson.action.clone(),
        worked: format!("{} of {}", scored.stats.successes, scored.stats.uses),
        confidence: (confidence * 100.0).round() / 100.0,
        evidence: scored.evidence.iter().copied().take(EVIDENCE_IDS).collect(),
    }
}

/// Counts, and sees to it that the budget holds whatever the sum of the parts came to.
fn finish(recall: &mut Recall, ranking: &Ranking, budget: usize) {
    loop {
        let left_out = ranking.results.len() - recall.items.len();
        recall.left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        recall.tokens = budget;
        // Twice: the number is part of what is counted.
        recall.tokens = estimate(&recall.to_json());
        recall.tokens = estimate(&recall.to_json());
        if recall.tokens <= budget {
            return;
        }
        let shortened = if recall.items.len() > 1 {
            recall.items.pop().is_some()
        } else {
            recall.lessons.pop().is_some() || recall.items.pop().is_some()
        };
        if !shortened {
            return;
        }
    }
}

impl Recall {
    /// The answer as JSON, the form that the budget is measured on.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same content as plain text for a context window; shorter than the JSON.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        if let Some(reason) = &self.nothing_relevant {
            out.push_str(&format!("Nothing relevant: {reason}\n"));
        }
        for (i, item) in self.items.iter().enumerate() {
            item_text(&mut out, i + 1, item);
        }
        for lesson in &self.lessons {
            let evidence: Vec<String> = lesson.evidence.iter().map(ToString::to_string).collect();
            out.push_str(&format!(
                "Lesson: {}: {} ({}, {}) {}\n",
                lesson.when,
                lesson.action,
                lesson.worked,
                lesson.confidence,
                evidence.join(" ")
            ));
        }
        if self.left_out > 0 {
            out.push_str(&format!("{} left out\n", self.left_out));
        }
        out
    }
}

fn item_text(out: &mut String, number: usize, item: &RecallItem) {
    let reward = item.reward.map_or(String::new(), |reward| format!(" {reward}"));
    out.push_str(&format!("{number}. {}{reward}: {}\n", item.outcome, item.task));
    item.done.iter().for_each(|action| out.push_str(&format!("> {action}\n")));
    item.lessons.iter().for_each(|line| out.push_str(&format!("- {line}\n")));
    let alike = if item.alike > 0 { format!("; {} alike", item.alike) } else { String::new() };
    out.push_str(&format!("{}{alike} [{}]\n", item.why, item.id));
}
