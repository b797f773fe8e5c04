//! `memory-mcp quickstart`: the whole job on sample runs, without data or network.

use std::sync::Arc;

use memory_core::memory::Intake;
use memory_core::recall::RecallQuery;
use memory_core::record::Record;
use memory_core::store::{EpisodeStore, LessonQuery, Scope};
use memory_core::{Memory, SystemClock};
use memory_storage::HybridStorage;
use serde_json::json;

use super::output::{CODE, DIM, Output, TITLE, paint, width, wrap};
use super::session::LocalMemory;
use super::{Failure, recall};
use crate::config::Config;

/// Runs of coding work, with failures and recoveries.
const SAMPLES: &str = include_str!("../../samples/runs.jsonl");

/// Tasks such as come up again, in other words than the samples use.
const TASKS: [&str; 3] = [
    "our login test in the end-to-end suite fails now and then on CI",
    "add a NOT NULL column to the bookings table without downtime",
    "browser blocks requests from the web app to the API with a CORS error",
];

/// Tokens of each recall: a screen of three fits.
const BUDGET_TOKENS: usize = 400;

/// Lessons shown at the end.
const LESSONS: usize = 5;

pub(super) async fn run(out: &mut Output) -> Result<(), Failure> {
    let dir = tempfile::tempdir().map_err(|e| {
        Failure::failed(format!("cannot make a temporary directory: {e}"))
            .hint("set TMPDIR to a directory that can be written")
    })?;
    let config = Config::defaults(dir.path().to_owned());
    let store = HybridStorage::open(config.storage()).await?;
    let memory = Memory::new(store, Arc::new(SystemClock));

    let added = take_in_samples(&memory).await?;
    if !out.is_json() {
        let text = format!("Took in {added} sample runs of coding work, into a temporary store.");
        out.line(paint(TITLE, text))?;
    }
    let mut recalled = Vec::new();
    for task in TASKS {
        let query = RecallQuery {
            limit: 2,
            budget_tokens: BUDGET_TOKENS,
            ..RecallQuery::new(task, Scope::All)
        };
        let recall = memory.recall(&query).await?;
        if out.is_json() {
            recalled.push(json!({ "task": task, "recall": recall }));
            continue;
        }
        out.gap()?;
        out.line(format_args!("{} \"{task}\"", paint(CODE, "memory-mcp recall")))?;
        recall::print(&recall, out)?;
    }
    let lessons =
        LessonQuery { scope: Scope::All, episodes: Vec::new(), kinds: Vec::new(), limit: LESSONS };
    let lessons = memory.store().lessons(&lessons).await?;
    if out.is_json() {
        return out.json(&json!({ "imported": added, "recalled": recalled, "lessons": lessons }));
    }
    out.gap()?;
    out.line(paint(TITLE, "What the runs taught together"))?;
    for lesson in lessons {
        let (uses, successes) = (lesson.stats.uses, lesson.stats.successes);
        let lesson = lesson.lesson;
        let text = format!("{}: {} ({successes} of {uses})", lesson.condition, lesson.action);
        out.line(wrap(&text, "   ", width()))?;
    }
    next_steps(out)
}

async fn take_in_samples(memory: &LocalMemory) -> Result<usize, Failure> {
    let records: Vec<Record> = SAMPLES.lines().map(Record::parse).collect::<Result<_, _>>()?;
    let mut added = 0;
    for result in memory.take_in(records).await? {
        added += usize::from(result? == Intake::Added);
    }
    Ok(added)
}

fn next_steps(out: &mut Output) -> Result<(), Failure> {
    let snippet = r#"{"mcpServers":{"memory":{"command":"memory-mcp","args":["serve"]}}}"#;
    let steps = [
        ("cargo install --path crates/memory-mcp", "puts memory-mcp on your PATH"),
        ("claude mcp add memory -- memory-mcp serve", "connects Claude Code; any other client:"),
        ("memory-mcp import ~/.claude/projects", "takes in the sessions you already have"),
    ];
    out.gap()?;
    out.line(paint(TITLE, "Next"))?;
    for (place, (command, what)) in steps.iter().enumerate() {
        let padded = format!("{command:<43}");
        let (place, padded, what) = (place + 1, paint(CODE, padded), paint(DIM, what));
        out.line(format_args!("{place}. {padded} {what}"))?;
        if place == 2 {
            out.line(format_args!("   {}", paint(CODE, snippet)))?;
        }
    }
    Ok(())
}
