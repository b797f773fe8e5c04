//! The answer within its token budget, as JSON and as text.

use super::query::{Mode, Recall, RecallItem, RecallLesson, RecallQuery};
use super::rank::Ranking;
use super::tokens::estimate;
use super::{item, lessons};
use crate::clock::Timestamp;
use crate::learning::ScoredLesson;

/// Share of the budget that the best result may take while others wait.
const BEST_SHARE: f64 = 0.6;

/// The same, where the best result did not solve the task and there are lessons about that very task:
/// what several runs share tells more than one of them.
const UNSOLVED_SHARE: f64 = 0.35;

/// Share of the budget for the calls that runs of the same task made.
const TASK_ACTIONS_SHARE: f64 = 0.5;

/// Share of the budget for other lessons.
const LESSONS_SHARE: f64 = 0.2;

/// Share of the budget for results after the best, a line each.
const OTHERS_SHARE: f64 = 0.15;

/// Other lessons of one answer.
const MAX_LESSONS: usize = 3;

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
        mode: ranking.mode,
        degraded: ranking.degraded.clone(),
        nothing_relevant: ranking.nothing_relevant.clone(),
        items: Vec::new(),
        lessons: Vec::new(),
        left_out: u32::try_from(ranking.results.len()).unwrap_or(u32::MAX),
        tokens: query.budget_tokens,
    };
    let mut budget = Budget { left: query.budget_tokens };
    // The empty answer, with every list and number that may still appear in it.
    budget.take(estimate(&recall.to_json()) + estimate("\"items\":[],\"lessons\":[],"));
    let lessons = lessons::applicable(&query.task, ranking, lessons, now);
    if let Some((best, others)) = ranking.results.split_first() {
        let has_more = !others.is_empty() || !lessons.is_empty();
        let of_task = lessons.first().is_some_and(RecallLesson::is_about_this_task);
        let beside = lessons.get(..MAX_LESSONS.min(lessons.len())).unwrap_or_default();
        let share = match has_more {
            true if of_task && best.episode.state() != "success" => UNSOLVED_SHARE,
            true => BEST_SHARE,
            false => 1.0,
        };
        budget.add(&mut recall.items, item::best(best, budget.share(share), beside));
        if !recall.items.is_empty() {
            add_lessons(&mut recall, &mut budget, query.budget_tokens, lessons);
            let left = ((query.budget_tokens as f64 * OTHERS_SHARE) as usize)
                .max(RecallQuery::MIN_BUDGET_TOKENS)
                .min(budget.left);
            let mut budget = Budget { left };
            for other in others {
                let mut item = item::other(other);
                if json_tokens(&item) + SEPARATOR > budget.left {
                    item.lessons.clear();
                }
                budget.add(&mut recall.items, Some(item));
            }
        }
    } else {
        // Those of archived episodes.
        add_lessons(&mut recall, &mut budget, query.budget_tokens, lessons);
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

/// Lessons in their share of the budget. The calls that runs of this very task made are what helps
/// most, and get a larger one.
fn add_lessons(recall: &mut Recall, budget: &mut Budget, total: usize, lessons: Vec<RecallLesson>) {
    let share = |share: f64| (total as f64 * share) as usize;
    let mut task = Budget { left: share(TASK_ACTIONS_SHARE).min(budget.left) };
    let mut other = Budget { left: share(LESSONS_SHARE) };
    let mut others = 0;
    for lesson in lessons {
        let before = recall.lessons.len();
        let part = if lesson.is_about_this_task() {
            &mut task
        } else if others < MAX_LESSONS {
            &mut other
        } else {
            break;
        };
        part.left = part.left.min(budget.left);
        let left = part.left;
        let is_task = lesson.is_about_this_task();
        part.add(&mut recall.lessons, Some(lesson));
        budget.take(left - part.left);
        others += usize::from(!is_task && recall.lessons.len() > before);
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
        if let Some(reason) = &self.degraded {
            out.push_str(&format!("Found by words alone: {reason}\n"));
        }
        if let Some(reason) = &self.nothing_relevant {
            out.push_str(&format!("Nothing relevant: {reason}\n"));
        }
        for (i, item) in self.items.iter().enumerate() {
            item_text(&mut out, i + 1, item);
        }
        for lesson in &self.lessons {
            lesson_text(&mut out, lesson);
        }
        if self.left_out > 0 {
            out.push_str(&format!("{} left out\n", self.left_out));
        }
        if self.mode == Mode::LexicalAndEmbeddings {
            out.push_str("Found by words and meaning\n");
        }
        out
    }
}

fn lesson_text(out: &mut String, lesson: &RecallLesson) {
    let evidence: Vec<String> = lesson.evidence.iter().map(ToString::to_string).collect();
    let otherwise = if lesson.contradicts.is_some() { "; contradicts one above" } else { "" };
    out.push_str(&format!(
        "Lesson: {}: {} ({}, {}{otherwise}) {}\n",
        lesson.when,
        lesson.advice(),
        lesson.worked,
        lesson.confidence,
        evidence.join(" ")
    ));
}

fn item_text(out: &mut String, number: usize, item: &RecallItem) {
    let reward = item.reward.map_or(String::new(), |reward| format!(" {reward}"));
    out.push_str(&format!("{number}. {}{reward}: {}\n", item.outcome, item.task));
    item.done.iter().for_each(|action| out.push_str(&format!("> {action}\n")));
    item.lessons.iter().for_each(|line| out.push_str(&format!("- {line}\n")));
    let alike = if item.alike > 0 { format!("; {} alike", item.alike) } else { String::new() };
    out.push_str(&format!("{}{alike} [{}]\n", item.why, item.id));
}
