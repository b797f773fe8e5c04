//! `memory-mcp stats`.

use std::path::Path;

use memory_core::OutcomeKind;
use memory_core::store::{Counts, EpisodeStore, Scope};
use memory_storage::Synchronous;
use serde_json::{Map, Value, json};

use super::Failure;
use super::output::{DIM, Output, TITLE, one_line, paint};
use super::session::{LocalMemory, Session};
use crate::config::Config;

pub(super) async fn run(
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let counts = memory.store().counts(&session.scope()).await?;
    let config = session.config();
    if out.is_json() {
        return out.json(&document(&counts, config));
    }
    let total: u64 = counts.episodes.values().sum();
    let project = match session.scope() {
        Scope::All => "all projects".to_owned(),
        Scope::Project(name) => format!("project {}", one_line(&name, 80)),
    };
    out.line(paint(TITLE, format_args!("{total} episodes in {project}")))?;
    for (state, count) in states(&counts).filter(|(_, count)| *count > 0) {
        out.line(format_args!("  {state:<10} {count:>9}"))?;
    }
    for (what, count) in other(&counts) {
        out.line(format_args!("{what:<12} {count:>9}"))?;
    }
    out.gap()?;
    out.line(format_args!("database  {}", config.database_file().display()))?;
    out.line(format_args!("size      {}", indicatif::HumanBytes(size(config))))?;
    out.line(format_args!("an acknowledged write survives {}", survives(config)))?;
    out.line(paint(DIM, "(database.synchronous; `memory-mcp config` shows all settings)"))
}

fn document(counts: &Counts, config: &Config) -> Value {
    let outcomes: Map<_, _> = states(counts).map(|(k, n)| (k.to_owned(), n.into())).collect();
    let project = (!config.project.is_empty()).then_some(&config.project);
    let database = json!({
        "path": config.database_file(),
        "bytes": size(config),
        "synchronous": config.database.synchronous,
        "an_acknowledged_write_survives": survives(config),
    });
    let total = counts.episodes.values().sum::<u64>();
    let mut document = Map::new();
    document.insert("project".into(), json!(project));
    document.insert("episodes".into(), total.into());
    document.insert("outcomes".into(), outcomes.into());
    document.extend(other(counts).map(|(what, count)| (what.into(), count.into())));
    document.insert("database".into(), database);
    document.into()
}

/// Every state with its count, 0 included, so that a script need not ask whether it is there.
fn states(counts: &Counts) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    let names = OutcomeKind::ALL.map(OutcomeKind::as_str).into_iter().chain(["running"]);
    names.map(|name| (name, counts.episodes.get(name).copied().unwrap_or(0)))
}

fn other(counts: &Counts) -> [(&'static str, u64); 5] {
    [
        ("patterns", counts.patterns),
        ("heuristics", counts.heuristics),
        ("feedback", counts.feedback),
        ("relations", counts.relations),
        ("tombstones", counts.tombstones),
    ]
}

/// Bytes of the database file and of its write-ahead log.
fn size(config: &Config) -> u64 {
    let file = config.database_file();
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    [file.as_path(), Path::new(&log)]
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|m| m.len())
        .sum()
}

fn survives(config: &Config) -> &'static str {
    match config.database.synchronous {
        Synchronous::Full => "a crash of the process, of the system, and power loss",
        Synchronous::Normal => "a crash of the process; power loss may take the last writes",
    }
}
