//! `memory-mcp stats`.

use std::path::Path;

use memory_core::OutcomeKind;
use memory_core::store::{Counts, EpisodeStore, Scope};
use memory_storage::{CacheReport, TierReport};
use memory_storage_turso::Synchronous;
use memory_storage_turso::pending::PendingCounts;
use serde_json::{Map, Value, json};

use super::Failure;
use super::output::{DIM, Output, TITLE, one_line, paint};
use super::session::{LocalMemory, Session};
use crate::config::{Config, Place};

/// Of a libSQL server nobody but its operator can tell the mode.
const SERVER_SURVIVES: &str = "a crash of this machine, and what the server's own durability mode \
    says: with its default a crash of the server process, where power loss may take the last writes; \
    with `strong` power loss too";

pub(super) async fn run(
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let cache = CacheReport::of_directory(&session.config().cache_dir());
    let counts = memory.store().counts(&session.scope()).await?;
    let (config, place) = (session.config(), session.place()?);
    let waiting = match memory.store().durable().pending() {
        Some(file) => Some(file.counts().await?),
        None => None,
    };
    if out.is_json() {
        let mut document = document(&counts, config);
        document.insert("database".into(), database(config, &place));
        document.insert("cache".into(), serde_json::to_value(cache)?);
        if let Some(waiting) = &waiting {
            document.insert("connection".into(), Value::Object(connection(memory)));
            document.insert("waiting_on_this_machine".into(), waiting_document(waiting));
        }
        return out.json(&document);
    }
    print_counts(&counts, session, out)?;
    out.gap()?;
    out.line(format_args!("database  {place}"))?;
    if let Place::File(file) = &place {
        out.line(format_args!("size      {}", indicatif::HumanBytes(size(file))))?;
    }
    out.line(format_args!("an acknowledged write survives {}", survives(config, &place)))?;
    print_cache(&cache, out)?;
    if let Some(waiting) = &waiting {
        let fields = connection(memory);
        let words = fields.iter().map(|(name, value)| {
            format!(
                "{} {}",
                name.replace('_', " "),
                value.as_str().map_or(value.to_string(), str::to_owned)
            )
        });
        out.line(format_args!("connection  {}", words.collect::<Vec<_>>().join(", ")))?;
        let PendingCounts { journaled, queued, conflicts, .. } = waiting;
        return out.line(format_args!(
            "waiting on this machine  {journaled} journaled, {queued} queued, {conflicts} refused by \
             the database (`memory-mcp outbox list`)"
        ));
    }
    out.line(paint(DIM, "(database.synchronous; `memory-mcp config` shows all settings)"))
}

fn print_counts(counts: &Counts, session: &Session, out: &mut Output) -> Result<(), Failure> {
    let total: u64 = counts.episodes.values().sum();
    let project = match session.scope() {
        Scope::All => "all projects".to_owned(),
        Scope::Project(name) => format!("project {}", one_line(&name, 80)),
    };
    out.line(paint(TITLE, format_args!("{total} episodes in {project}")))?;
    for (state, count) in states(counts).filter(|(_, count)| *count > 0) {
        out.line(format_args!("  {state:<10} {count:>9}"))?;
    }
    for (what, count) in other(counts) {
        out.line(format_args!("{what:<12} {count:>9}"))?;
    }
    Ok(())
}

/// Of all processes on this data directory; nothing where there never was a cache file.
fn print_cache(cache: &CacheReport, out: &mut Output) -> Result<(), Failure> {
    if *cache == CacheReport::default() {
        return Ok(());
    }
    out.gap()?;
    let head = format!(
        "{:<10}{:>11}{:>11}{:>11}{:>11}{:>11}  BYTES",
        "CACHE", "HITS", "MISSES", "TAKEN IN", "EVICTED", "ENTRIES"
    );
    out.line(paint(TITLE, head))?;
    let CacheReport { memory, file, absent, queries, .. } = cache;
    for (name, tier) in
        [("memory", memory), ("file", file), ("absent ids", absent), ("queries", queries)]
    {
        let TierReport { hits, misses, admissions, evictions, entries, bytes } = tier;
        let bytes = indicatif::HumanBytes(*bytes);
        out.line(format_args!(
            "{name:<10}{hits:>11}{misses:>11}{admissions:>11}{evictions:>11}{entries:>11}  {bytes}"
        ))?;
    }
    let CacheReport { stale_serves, checksum_failures, repairs, quarantines, .. } = cache;
    out.line(format_args!(
        "{stale_serves} served unconfirmed, {checksum_failures} checksum failures, {repairs} repairs, \
         {quarantines} files set aside, {} entries invalidated, {} fills refused",
        cache.invalidations, cache.refused_fills
    ))?;
    out.gap()
}

fn document(counts: &Counts, config: &Config) -> Map<String, Value> {
    let outcomes: Map<_, _> = states(counts).map(|(k, n)| (k.to_owned(), n.into())).collect();
    let project = (!config.project.is_empty()).then_some(&config.project);
    let total = counts.episodes.values().sum::<u64>();
    let mut document = Map::new();
    document.insert("project".into(), json!(project));
    document.insert("episodes".into(), total.into());
    document.insert("outcomes".into(), outcomes.into());
    document.extend(other(counts).map(|(what, count)| (what.into(), count.into())));
    document
}

fn database(config: &Config, place: &Place) -> Value {
    let survives = survives(config, place);
    match place {
        Place::File(file) => json!({
            "path": file,
            "bytes": size(file),
            "synchronous": config.database.synchronous,
            "an_acknowledged_write_survives": survives,
        }),
        Place::Server(url) => json!({
            "url": url.to_string(),
            "when_offline": config.writes.when_offline,
            "an_acknowledged_write_survives": survives,
        }),
    }
}

/// What the connection to the server did for this command and where it stands.
fn connection(memory: &LocalMemory) -> Map<String, Value> {
    let Some(metrics) = memory.store().durable().durable().remote_metrics() else {
        return Map::new();
    };
    let fields = [
        ("breaker", metrics.breaker().into()),
        ("requests", metrics.requests.get().into()),
        ("retries", metrics.retries.get().into()),
        ("connections_opened", metrics.connections.get().into()),
        ("reads_at_a_time", metrics.limit.get().into()),
        ("overloaded", metrics.overloaded.get().into()),
    ];
    fields.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect()
}

fn waiting_document(waiting: &PendingCounts) -> Value {
    let PendingCounts { journaled, queued, conflicts, bytes } = waiting;
    json!({ "journaled": journaled, "queued": queued, "conflicts": conflicts, "bytes": bytes })
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
fn size(file: &Path) -> u64 {
    let mut log = file.to_owned().into_os_string();
    log.push("-wal");
    [file, Path::new(&log)]
        .into_iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|m| m.len())
        .sum()
}

fn survives(config: &Config, place: &Place) -> &'static str {
    match (place, config.database.synchronous) {
        (Place::Server(_), _) => SERVER_SURVIVES,
        (Place::File(_), Synchronous::Full) => {
            "a crash of the process, of the system, and power loss"
        }
        (Place::File(_), Synchronous::Normal) => {
            "a crash of the process; power loss may take the last writes"
        }
    }
}
