//! Recorded runs with the answer sheet of their tasks.

use std::collections::HashMap;
use std::path::PathBuf;

use memory_core::{Episode, MetadataValue, OutcomeKind, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::super::Failure;
use super::call::Call;
use crate::import::{Format, ImportItem, ImportOptions, Importer, plan};

/// One recorded run.
pub(super) struct Run {
    pub(super) episode: Episode,
    pub(super) task: String,
    pub(super) trial: String,
    /// The changes that the benchmark expects: what the run is judged by, and never learned from.
    pub(super) expected: Vec<Call>,
}

impl Run {
    pub(super) fn solved(&self) -> bool {
        self.episode.outcome.as_ref().is_some_and(|o| o.kind == OutcomeKind::Success)
    }
}

/// A run as tau-bench writes it, as far as its task is concerned.
#[derive(Deserialize)]
struct Sheet<'a> {
    task_id: Value,
    #[serde(borrow)]
    info: Info<'a>,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    task: Task<'a>,
}

#[derive(Deserialize)]
struct Task<'a> {
    #[serde(borrow)]
    actions: Vec<Action<'a>>,
}

#[derive(Deserialize)]
struct Action<'a> {
    name: String,
    #[serde(borrow)]
    kwargs: &'a RawValue,
}

/// Reads the runs twice: as the importer takes them in, and for the answer sheets that it leaves out.
pub(super) fn read(paths: &[PathBuf], now: Timestamp) -> Result<Vec<Run>, Failure> {
    let plan = plan(paths).map_err(|e| Failure::not_found(e.to_string()))?;
    if let Some(other) = plan.files.iter().find(|file| file.format != Format::TauBench) {
        let message = format!("{} is no tau-bench result", other.path.display());
        return Err(Failure::usage(message).hint("only these say what a run should have done"));
    }
    let mut sheets = HashMap::new();
    for file in &plan.files {
        let text = std::fs::read_to_string(&file.path)
            .map_err(|e| Failure::failed(format!("{}: {e}", file.path.display())))?;
        let unreadable = |e| Failure::usage(format!("{}: {e}", file.path.display()));
        let runs: Vec<Sheet<'_>> = serde_json::from_str(&text).map_err(unreadable)?;
        for run in runs {
            let actions = run.info.task.actions.iter();
            let expected = actions.filter_map(|a| Call::new(&a.name, a.kwargs.get())).collect();
            sheets.insert(named(&run.task_id), expected);
        }
    }
    let options = ImportOptions { project: "eval".to_owned(), default_time: now };
    let mut runs = Vec::new();
    for item in Importer::new(plan, options) {
        if let Ok(ImportItem::Episode(episode)) = item {
            let said = |key: &str| episode.metadata.get(key).map(shown).unwrap_or_default();
            let (task, trial) = (said("task_id"), said("trial"));
            let expected: Vec<Call> = sheets.get(&task).cloned().unwrap_or_default();
            runs.push(Run { episode: *episode, task, trial, expected });
        }
    }
    Ok(runs)
}

fn named(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Text(text) => text.clone(),
        MetadataValue::Integer(n) => n.to_string(),
        MetadataValue::Real(x) => x.to_string(),
        MetadataValue::Boolean(b) => b.to_string(),
    }
}
