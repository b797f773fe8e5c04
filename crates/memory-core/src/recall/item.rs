//! One episode within its share of the token budget.

use super::query::RecallItem;
use super::rank::Ranked;
use super::render::json_tokens;
use crate::episode::OutcomeKind;
use crate::learning::trace::{action_text, deciding_step, one_line, telling_steps};

/// Characters of the task: where it is the query itself, a reminder is enough.
const SAME_TASK_CHARS: usize = 60;
const TASK_CHARS: usize = 200;

/// Characters of a task that has to fit anywhere.
const SHORTEST_TASK_CHARS: usize = 24;

/// Characters of an action that did not decide the run.
const ACTION_CHARS: usize = 120;

/// Characters of one line of a reflection.
const LINE_CHARS: usize = 200;

/// Lengths that are tried, in characters, for a deciding action that does not fit as a whole.
const SHORTENED: [usize; 6] = [2000, 1000, 500, 250, 120, 60];

/// Actions and lines of the best result, and of each that follows it.
const BEST_ACTIONS: usize = 5;
const BEST_LINES: usize = 3;
const OTHER_ACTIONS: usize = 2;
const OTHER_LINES: usize = 1;

/// The item of a ranked episode in at most `allowance` tokens; `None` when not even its id fits.
///
/// What matters most is put in first: the outcome, then the action that decided the run (of a
/// success word for word if it fits), then what to do next time, then other actions.
pub(super) fn fit(ranked: &Ranked, place: usize, allowance: usize) -> Option<RecallItem> {
    let mut item = bare(ranked, allowance)?;
    let (max_actions, max_lines) =
        if place == 0 { (BEST_ACTIONS, BEST_LINES) } else { (OTHER_ACTIONS, OTHER_LINES) };
    let episode = &ranked.episode;
    let mut done: Vec<(usize, String)> = Vec::new();
    let deciding = deciding_step(episode);
    if let Some(text) = deciding.and_then(|i| episode.steps.get(i)).map(action_text) {
        let solved = episode.outcome.as_ref().is_some_and(|o| o.kind == OutcomeKind::Success);
        let full = if solved { text.clone() } else { one_line(&text, 2 * ACTION_CHARS) };
        let cuts = SHORTENED.iter().map(|&max| one_line(&text, max));
        for candidate in std::iter::once(full).chain(cuts) {
            item.done = vec![candidate];
            if json_tokens(&item) <= allowance {
                break;
            }
            item.done.clear();
        }
        done.extend(deciding.zip(item.done.first().cloned()));
    }
    add_lines(&mut item, ranked, max_lines, allowance);
    for index in telling_steps(episode) {
        if done.len() >= max_actions {
            break;
        }
        let Some(step) = episode.steps.get(index).filter(|_| Some(index) != deciding) else {
            continue;
        };
        done.push((index, one_line(&action_text(step), ACTION_CHARS)));
        done.sort_by_key(|&(i, _)| i);
        let before = std::mem::replace(&mut item.done, texts(&done));
        if json_tokens(&item) > allowance {
            item.done = before;
            break;
        }
    }
    Some(item)
}

fn texts(done: &[(usize, String)]) -> Vec<String> {
    done.iter().map(|(_, text)| text.clone()).collect()
}

/// Id, task, outcome, reward and reason; in short form if there is little room.
fn bare(ranked: &Ranked, allowance: usize) -> Option<RecallItem> {
    let episode = &ranked.episode;
    let max = if ranked.same_task { SAME_TASK_CHARS } else { TASK_CHARS };
    let mut item = RecallItem {
        id: episode.id,
        task: one_line(&episode.task_description, max),
        outcome: episode.state().to_owned(),
        reward: episode.reward.as_ref().map(|r| (r.score * 1000.0).round() / 1000.0),
        done: Vec::new(),
        lessons: Vec::new(),
        why: ranked.why.join("; "),
        alike: u32::try_from(ranked.alike.len()).unwrap_or(u32::MAX),
    };
    if json_tokens(&item) > allowance {
        item.task = one_line(&episode.task_description, SHORTEST_TASK_CHARS);
        item.why = ranked.why.first().map_or(String::new(), |why| one_line(why, 40));
    }
    (json_tokens(&item) <= allowance).then_some(item)
}

/// Reflection lines, those for next time first, without what the actions say already.
fn add_lines(item: &mut RecallItem, ranked: &Ranked, max: usize, allowance: usize) {
    let reflection = &ranked.episode.reflection;
    let lines = reflection.next_time.iter().chain(&reflection.failed).chain(&reflection.worked);
    for line in lines.map(|line| one_line(line, LINE_CHARS)) {
        if item.lessons.len() >= max {
            break;
        }
        if repeats_action(&line, &item.done) {
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
