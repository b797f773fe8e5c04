//! One episode within its share of the token budget.

use super::query::{RecallItem, RecallLesson};
use super::rank::Ranked;
use super::render::json_tokens;
use crate::episode::{Episode, OutcomeKind};
use crate::learning::trace::{action_text, deciding_step, is_looking, one_line, telling_steps};

/// Characters of an action that did not decide the run, and of one of the best result that changed
/// something.
const ACTION_CHARS: usize = 120;
const BEST_ACTION_CHARS: usize = 160;

/// Characters of one line of a reflection.
const LINE_CHARS: usize = 200;

/// Lengths that are tried, in characters, for a deciding action that does not fit as a whole.
const SHORTENED: [usize; 6] = [2000, 1000, 500, 240, 120, 60];

/// Actions and lines of the best result.
const BEST_ACTIONS: usize = 4;
const BEST_LINES: usize = 2;

/// Characters of the task and of the deciding action of a result after the best: a line that tells
/// whether it is worth to be read by its id.
const OTHER_TASK_CHARS: usize = 64;
const OTHER_ACTION_CHARS: usize = 80;

/// Characters of what to do instead of what a run did that failed.
const OTHER_LINE_CHARS: usize = 100;

/// The item of a ranked episode in at most `allowance` tokens; `None` when not even its id fits.
///
/// What matters most is put in first: the outcome, then the action that decided the run (of a
/// success word for word, even if task and reason have to be shortened for it), then what to do
/// next time, then other actions. `lessons` are those that come with it.
pub(super) fn best(
    ranked: &Ranked,
    allowance: usize,
    lessons: &[RecallLesson],
) -> Option<RecallItem> {
    let steps = &ranked.episode.steps;
    let deciding = deciding_step(&ranked.episode);
    let decision = deciding.and_then(|i| steps.get(i)).map(action_text);
    let mut item = with_decision(ranked, decision.as_deref(), allowance)?;
    let mut done: Vec<(usize, String)> =
        deciding.zip(item.done.first().cloned()).into_iter().collect();
    add_lines(&mut item, ranked, lessons, allowance);
    let others = telling_steps(&ranked.episode).into_iter().filter(|i| Some(*i) != deciding);
    for (index, step) in others.filter_map(|i| Some((i, steps.get(i)?))) {
        if done.len() >= BEST_ACTIONS {
            break;
        }
        let chars = if is_looking(step) { ACTION_CHARS } else { BEST_ACTION_CHARS };
        let text = one_line(&action_text(step), chars);
        if done.iter().any(|(_, known)| *known == text) {
            continue;
        }
        done.push((index, text));
        done.sort_by_key(|&(i, _)| i);
        let before = std::mem::replace(&mut item.done, texts(&done));
        if json_tokens(&item) > allowance {
            item.done = before;
            break;
        }
    }
    Some(item)
}

/// The item of a ranked episode after the best: a line, to be expanded by its id.
pub(super) fn other(ranked: &Ranked) -> RecallItem {
    let episode = &ranked.episode;
    let deciding = deciding_step(episode).and_then(|i| episode.steps.get(i));
    let action = deciding.map(|step| one_line(&action_text(step), OTHER_ACTION_CHARS));
    let task = if ranked.same_task { "" } else { &episode.task_description };
    let advice = episode.reflection.next_time.first().filter(|_| episode.state() == "failure");
    RecallItem {
        id: episode.id,
        task: one_line(task, OTHER_TASK_CHARS),
        outcome: episode.state().to_owned(),
        reward: reward(episode).filter(|score| {
            // Told by the outcome.
            *score != if episode.state() == "success" { 1.0 } else { 0.0 }
        }),
        done: action.into_iter().collect(),
        lessons: advice.map(|line| one_line(line, OTHER_LINE_CHARS)).into_iter().collect(),
        why: ranked.why.first().cloned().unwrap_or_default(),
        alike: u32::try_from(ranked.alike.len()).unwrap_or(u32::MAX),
    }
}

fn texts(done: &[(usize, String)]) -> Vec<String> {
    done.iter().map(|(_, text)| text.clone()).collect()
}

/// The item with the deciding action alone, as whole as possible.
fn with_decision(ranked: &Ranked, decision: Option<&str>, allowance: usize) -> Option<RecallItem> {
    let fits = |item: &RecallItem| json_tokens(item) <= allowance;
    let outcome = ranked.episode.outcome.as_ref();
    let solved = outcome.is_some_and(|outcome| outcome.kind == OutcomeKind::Success);
    if let Some(whole) = decision.filter(|_| solved) {
        let wholes = HEADS.iter().map(|head| bare(ranked, head, Some(whole.to_owned())));
        if let Some(item) = wholes.into_iter().find(fits) {
            return Some(item);
        }
    }
    let head = HEADS.iter().find(|head| fits(&bare(ranked, head, None)))?;
    let longest = if solved { usize::MAX } else { BEST_ACTION_CHARS };
    let cuts = SHORTENED.iter().filter(|max| **max <= longest);
    let cut = cuts.filter_map(|max| Some(bare(ranked, head, Some(one_line(decision?, *max)))));
    Some(cut.into_iter().find(fits).unwrap_or_else(|| bare(ranked, head, None)))
}

/// How much of task and reason an item begins with.
struct Head {
    same_task_chars: usize,
    task_chars: usize,
    why_chars: usize,
}

/// From the usual to what fits anywhere. Where the task is the query itself, a reminder is enough.
const HEADS: [Head; 4] = [
    Head { same_task_chars: 60, task_chars: 200, why_chars: 200 },
    Head { same_task_chars: 24, task_chars: 60, why_chars: 60 },
    Head { same_task_chars: 24, task_chars: 24, why_chars: 0 },
    Head { same_task_chars: 0, task_chars: 0, why_chars: 0 },
];

/// Id, task, outcome, reward and reason, and one action if there is one.
fn bare(ranked: &Ranked, head: &Head, action: Option<String>) -> RecallItem {
    let episode = &ranked.episode;
    let max = if ranked.same_task { head.same_task_chars } else { head.task_chars };
    RecallItem {
        id: episode.id,
        task: one_line(&episode.task_description, max),
        outcome: episode.state().to_owned(),
        reward: reward(episode),
        done: action.into_iter().collect(),
        lessons: Vec::new(),
        why: one_line(&ranked.why.join("; "), head.why_chars),
        alike: u32::try_from(ranked.alike.len()).unwrap_or(u32::MAX),
    }
}

/// To three digits.
fn reward(episode: &Episode) -> Option<f64> {
    episode.reward.as_ref().map(|reward| (reward.score * 1000.0).round() / 1000.0)
}

/// The first reflection lines, those for next time before others, without what the actions or the
/// lessons beside it say already.
fn add_lines(item: &mut RecallItem, ranked: &Ranked, lessons: &[RecallLesson], allowance: usize) {
    let reflection = &ranked.episode.reflection;
    let lines = reflection.next_time.iter().chain(&reflection.failed).chain(&reflection.worked);
    for line in lines.map(|line| one_line(line, LINE_CHARS)).take(BEST_LINES) {
        let is_told = lessons
            .iter()
            .any(|lesson| lesson.when.starts_with('"') && line.contains(&lesson.when));
        if is_told || repeats_action(&line, &item.done) {
            continue;
        }
        item.lessons.push(line);
        if json_tokens(item) > allowance {
            item.lessons.pop();
        }
    }
}

fn repeats_action(line: &str, done: &[String]) -> bool {
    done.iter().any(|action| {
        let start = one_line(action, 40);
        let start = start.trim_end_matches('…');
        !start.is_empty() && line.contains(start)
    })
}
