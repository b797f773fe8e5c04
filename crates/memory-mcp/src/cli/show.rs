//! `memory-mcp show ID`.

use memory_core::learning::ScoredLesson;
use memory_core::store::{EpisodeStore, LessonQuery, Relation};
use memory_core::{Episode, EpisodeId, Error, Step};
use serde_json::json;

use super::Failure;
use super::args::ShowArgs;
use super::output::{
    BAD, CODE, DIM, GOOD, Output, TITLE, one_line, outcome_style, paint, utc, width, wrap,
};
use super::session::{LocalMemory, Session};

/// Lines of one action or observation that are shown; `--json` has all of them.
const SHOWN_LINES: usize = 8;

/// In front of what belongs to a step.
const INDENT: &str = "      ";

/// Lessons shown.
const LESSONS: usize = 10;

pub(super) async fn run(
    args: &ShowArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let id: EpisodeId = args.id.parse()?;
    let scope = session.scope();
    let found = memory.store().get(&scope, &[id]).await?;
    let Some(episode) = found.into_iter().next().flatten() else {
        return Err(Failure::not_found(format!("there is no episode {id}"))
            .hint("`memory-mcp list` shows the episodes, with --project those of one project"));
    };
    let relations = if_there(memory.store().relations(&scope, id).await)?;
    let query = LessonQuery { scope, episodes: vec![id], kinds: Vec::new(), limit: LESSONS };
    let lessons = if_there(memory.store().lessons(&query).await)?;
    if out.is_json() {
        return out
            .json(&json!({ "episode": *episode, "lessons": lessons, "relations": relations }));
    }
    head(&episode, out)?;
    related(id, &relations.unwrap_or_default(), out)?;
    for step in &episode.steps {
        one_step(step, out)?;
    }
    reflection(&episode, out)?;
    taught(&lessons.unwrap_or_default(), out)
}

/// `None` while the database is away: the episode may be in the cache all the same, and that what is
/// shown is from there is told in any case.
fn if_there<T>(read: Result<T, Error>) -> Result<Option<T>, Failure> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.is_retryable() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn head(episode: &Episode, out: &mut Output) -> Result<(), Failure> {
    let context = &episode.context;
    let place = [&episode.task_type, &context.domain, &context.language, &context.framework];
    let place: Vec<_> =
        place.into_iter().filter(|s| !s.is_empty()).map(|s| one_line(s, 40)).collect();
    out.line(paint(TITLE, wrap(&episode.task_description, "", width())))?;
    out.line(format_args!("id       {}", paint(CODE, episode.id)))?;
    out.line(format_args!("project  {}  {}", one_line(&episode.project, 60), place.join(" · ")))?;
    let ended = episode.ended_at.map(|t| format!(", ended {}", utc(t))).unwrap_or_default();
    out.line(format_args!("begun    {}{ended} UTC", utc(episode.started_at)))?;
    if let Some(at) = episode.archived_at {
        out.line(format_args!("archived {} UTC", utc(at)))?;
    }
    let outcome = paint(outcome_style(episode.state()), episode.state());
    let reward = episode.reward.as_ref().map(|r| format!(", reward {:.2}", r.score));
    out.line(format_args!("outcome  {outcome}{}", reward.unwrap_or_default()))?;
    let verdict = episode.outcome.as_ref().map_or("", |o| &o.verdict);
    if !verdict.is_empty() {
        out.line(wrap(verdict, "verdict  ", width()))?;
    }
    if let Some(source) = &episode.source {
        out.line(format_args!("source   {} {}", source.format, one_line(&source.identity, 60)))?;
    }
    for (key, value) in &episode.metadata {
        let value = serde_json::to_string(value)?;
        out.line(paint(
            DIM,
            format_args!("         {} = {}", one_line(key, 40), one_line(&value, 60)),
        ))?;
    }
    out.gap()
}

/// How it relates to other episodes, from its own point of view.
fn related(id: EpisodeId, relations: &[Relation], out: &mut Output) -> Result<(), Failure> {
    for Relation { from, relation, to, .. } in relations {
        let name = relation.as_str();
        if *from == id {
            out.line(format_args!("{name} {}", paint(CODE, to)))?;
        } else {
            out.line(format_args!("{} {name} this", paint(CODE, from)))?;
        }
    }
    if relations.is_empty() { Ok(()) } else { out.gap() }
}

fn one_step(step: &Step, out: &mut Output) -> Result<(), Failure> {
    let mark = match step.success {
        Some(true) => paint(GOOD, " ok"),
        Some(false) => paint(BAD, " failed"),
        None => String::new(),
    };
    let number = format!("{:>4}  ", step.number);
    if step.tool.is_empty() {
        excerpt(&step.action, &number, INDENT, out)?;
    } else {
        out.line(format_args!("{number}{}{mark}", paint(CODE, one_line(&step.tool, 40))))?;
        excerpt(&step.action, INDENT, INDENT, out)?;
    }
    if !step.parameters.is_empty() {
        let room = width().saturating_sub(6).max(24);
        out.line(paint(DIM, format_args!("      {}", one_line(step.parameters.as_str(), room))))?;
    }
    excerpt(&step.observation, "      | ", "      | ", out)?;
    match step.error.as_deref().filter(|error| *error != step.observation) {
        Some(error) => {
            let lead = paint(BAD, "      ! ");
            excerpt(error, &lead, &lead, out)
        }
        None => Ok(()),
    }
}

/// The first lines of a long text, the first behind `lead`, the others behind `indent`.
fn excerpt(text: &str, lead: &str, indent: &str, out: &mut Output) -> Result<(), Failure> {
    let text = text.trim_end();
    if text.is_empty() {
        return Ok(());
    }
    let wrapped = wrap(text, "", width().saturating_sub(8).max(24));
    let lines: Vec<&str> = wrapped.lines().collect();
    for (place, line) in lines.iter().take(SHOWN_LINES).enumerate() {
        out.line(format_args!("{}{line}", if place == 0 { lead } else { indent }))?;
    }
    let more = lines.len().saturating_sub(SHOWN_LINES);
    if more > 0 {
        out.line(paint(DIM, format_args!("{indent}… {more} more lines, all with --json")))?;
    }
    Ok(())
}

fn reflection(episode: &Episode, out: &mut Output) -> Result<(), Failure> {
    let parts = [
        ("What worked", &episode.reflection.worked),
        ("What failed", &episode.reflection.failed),
        ("Next time", &episode.reflection.next_time),
    ];
    for (title, lines) in parts.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        out.gap()?;
        out.line(paint(TITLE, title))?;
        for line in lines {
            out.line(wrap(line, "  ", width()))?;
        }
    }
    Ok(())
}

fn taught(lessons: &[ScoredLesson], out: &mut Output) -> Result<(), Failure> {
    if lessons.is_empty() {
        return Ok(());
    }
    out.gap()?;
    out.line(paint(TITLE, "Lessons it is evidence for"))?;
    for ScoredLesson { lesson, stats, .. } in lessons {
        out.line(wrap(&format!("{}: {}", lesson.condition, lesson.action), "  ", width()))?;
        let kind = lesson.lesson_kind.as_str();
        let counts = format!("  {kind}, went well {} of {} times", stats.successes, stats.uses);
        out.line(paint(DIM, counts))?;
    }
    Ok(())
}
