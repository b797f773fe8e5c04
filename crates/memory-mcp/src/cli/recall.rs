//! `memory-mcp recall TASK`.

use memory_core::recall::{Mode, Recall, RecallItem, RecallLesson, RecallQuery};

use super::Failure;
use super::args::RecallArgs;
use super::output::{self, DIM, Output, TITLE, outcome_style, paint, plain, width, wrap};
use super::session::{LocalMemory, Session};

pub(super) async fn run(
    args: &RecallArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let query = RecallQuery {
        filter: args.filter.to_filter(memory.now())?,
        limit: args.limit,
        budget_tokens: args.budget_tokens,
        ..RecallQuery::new(args.task.join(" "), session.scope())
    };
    let recall = memory.recall(&query).await?;
    if out.is_json() {
        // Compact: the budget holds for what is written.
        return out.line(recall.to_json());
    }
    print(&recall, out)
}

/// What was recalled, for people. Shorter than the JSON that the token budget is measured on.
pub(super) fn print(recall: &Recall, out: &mut Output) -> Result<(), Failure> {
    if let Some(reason) = &recall.degraded {
        output::warn(format_args!("found by words alone: {}", plain(reason)));
    }
    if let Some(reason) = &recall.nothing_relevant {
        out.line(format_args!("Nothing relevant: {}", plain(reason)))?;
    }
    for (place, item) in recall.items.iter().enumerate() {
        print_item(place + 1, item, out)?;
    }
    if !recall.lessons.is_empty() {
        out.line(paint(TITLE, "Lessons"))?;
    }
    for lesson in &recall.lessons {
        print_lesson(lesson, out)?;
    }
    if recall.left_out > 0 {
        let more = format!("{} more left out by --budget-tokens", recall.left_out);
        out.line(paint(DIM, more))?;
    }
    if recall.mode == Mode::LexicalAndEmbeddings {
        out.line(paint(DIM, "found by words and meaning"))?;
    }
    Ok(())
}

fn print_item(place: usize, item: &RecallItem, out: &mut Output) -> Result<(), Failure> {
    let reward = item.reward.map(|r| format!(" {r}")).unwrap_or_default();
    let verdict = paint(outcome_style(&item.outcome), format_args!("{}{reward}", item.outcome));
    out.line(format_args!("{place}. {verdict} {}", wrap(&item.task, "   ", width()).trim_start()))?;
    for action in &item.done {
        out.line(wrap(action, "   $ ", width()))?;
    }
    for line in &item.lessons {
        out.line(wrap(line, "   - ", width()))?;
    }
    let alike = if item.alike > 0 { format!("; {} alike", item.alike) } else { String::new() };
    out.line(paint(DIM, wrap(&format!("{}{alike}", item.why), "   ", width())))?;
    out.line(paint(DIM, format_args!("   {}", item.id)))
}

fn print_lesson(lesson: &RecallLesson, out: &mut Output) -> Result<(), Failure> {
    let otherwise = if lesson.contradicts.is_some() { "; contradicts one above" } else { "" };
    let text = format!("{}: {} ({}{otherwise})", lesson.when, lesson.advice(), lesson.worked);
    out.line(wrap(&text, "   ", width()))
}
