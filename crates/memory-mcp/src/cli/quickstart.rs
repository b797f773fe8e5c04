//! `memory-mcp quickstart`: the whole job on sample runs, without data or network.

use std::sync::Arc;

use memory_core::learning::{LessonKind, ScoredLesson};
use memory_core::memory::Intake;
use memory_core::recall::{Recall, RecallQuery};
use memory_core::record::Record;
use memory_core::store::{EpisodeStore, LessonQuery, Scope};
use memory_core::{Memory, SystemClock};
use memory_storage::HybridStorage;
use serde_json::json;

use super::output::{CODE, DIM, Output, TITLE, paint, width, wrap};
use super::session::LocalMemory;
use super::{Failure, recall};
use crate::config::{Config, DATABASE_FILE, Place};

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
    let file = Place::File(dir.path().join(DATABASE_FILE));
    let config = Config::defaults(dir.path().to_owned());
    let store = HybridStorage::open(config.storage(file)).await?;
    let memory = Memory::new(store, Arc::new(SystemClock));

    let imported = take_in_samples(&memory).await?;
    let mut recalled = Vec::new();
    for task in TASKS {
        let query = RecallQuery {
            limit: 2,
            budget_tokens: BUDGET_TOKENS,
            ..RecallQuery::new(task, Scope::All)
        };
        recalled.push((task, memory.recall(&query).await?));
    }
    let lessons = LessonQuery {
        scope: Scope::All,
        episodes: Vec::new(),
        kinds: vec![LessonKind::ErrorRecovery],
        limit: LESSONS,
    };
    let lessons = memory.store().lessons(&lessons).await?;
    memory.store().durable().close().await;
    if out.is_json() {
        return out
            .json(&json!({ "imported": imported, "recalled": recalled, "lessons": lessons }));
    }
    tell(imported, &recalled, &lessons, out)?;
    next_steps(out)
}

fn tell(
    imported: usize,
    recalled: &[(&str, Recall)],
    lessons: &[ScoredLesson],
    out: &mut Output,
) -> Result<(), Failure> {
    let text = format!("Took in {imported} sample runs of coding work, into a temporary store.");
    out.line(paint(TITLE, text))?;
    for (task, recall) in recalled {
        out.gap()?;
        out.line(format_args!("{} \"{task}\"", paint(CODE, "memory-mcp recall")))?;
        recall::print(recall, out)?;
    }
    out.gap()?;
    out.line(paint(TITLE, "What the runs taught together: which step got past which error"))?;
    for ScoredLesson { lesson, stats, .. } in lessons {
        let counts = format!("({} of {})", stats.successes, stats.uses);
        let text = format!("{} -> {} {counts}", lesson.condition, lesson.action);
        out.line(wrap(&text, "   - ", width()))?;
    }
    Ok(())
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
