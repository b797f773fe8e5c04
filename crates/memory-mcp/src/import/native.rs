//! Native JSONL: the records of an export, and episodes written by hand or by a script.
//!
//! A complete record goes in as it is. An episode needs no more than a `task_description`: what is
//! missing is filled in, and without an id it gets one made from its content.

use std::collections::BTreeMap;

use memory_core::record::{Record, RecordKind};
use memory_core::{Episode, EpisodeId, Outcome, OutcomeKind, Source};
use serde_json::value::RawValue;

use super::draft::Fingerprint;
use super::scan::without_position;
use super::{Format, ImportItem, ImportOptions};

/// One line as an item, or what is wrong with it.
pub(super) fn read(line: &str, options: &ImportOptions) -> Result<ImportItem, String> {
    match read_exactly(line, options) {
        Err(_) if line.contains("\\u0000") => without_nul(line, options),
        other => other,
    }
}

/// NUL, which JSON writes as `\u0000`, becomes the two characters `\0`; the episode says so.
fn without_nul(line: &str, options: &ImportOptions) -> Result<ImportItem, String> {
    let (escaped, count) = escape_nul(line);
    let mut item = read_exactly(&escaped, options)?;
    if let ImportItem::Episode(episode) | ImportItem::Record(Record::Episode(episode)) = &mut item {
        episode.metadata.insert("import_nul_escaped".to_owned(), count.into());
        episode.validate().map_err(|e| e.to_string())?;
    }
    Ok(item)
}

fn read_exactly(line: &str, options: &ImportOptions) -> Result<ImportItem, String> {
    let fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(line).map_err(|e| without_position(&e))?;
    let has = |name: &str| fields.get(name).is_some_and(|raw| raw.get() != "null");
    if !has("kind") && !has("task_description") {
        return Err("has neither a `kind` nor a `task_description`".to_owned());
    }
    let kind = fields.get("kind").filter(|_| has("kind"));
    let kind: RecordKind = match kind {
        Some(raw) => serde_json::from_str(raw.get())
            .map_err(|e| format!("`kind`: {}", without_position(&e)))?,
        None => RecordKind::Episode,
    };
    if kind != RecordKind::Episode {
        return Record::parse(line).map(ImportItem::Record).map_err(|e| e.to_string());
    }
    let complete = ["kind", "id", "project", "started_at"].into_iter().all(has);
    if complete {
        let record = Record::parse(line).map_err(|e| e.to_string())?;
        if let Record::Episode(episode) = &record {
            episode.validate().map_err(|e| e.to_string())?;
        }
        return Ok(ImportItem::Record(record));
    }
    let filled = filled_in(line, &fields, options)?;
    let Record::Episode(episode) = Record::parse(&filled).map_err(|e| e.to_string())? else {
        return Err("is no episode".to_owned());
    };
    finish(*episode, has("id"), line).map(|e| ImportItem::Episode(Box::new(e)))
}

/// The line with the fields that every episode has.
fn filled_in(
    line: &str,
    fields: &BTreeMap<String, &RawValue>,
    options: &ImportOptions,
) -> Result<String, String> {
    let name = Fingerprint::default().json(line).finish();
    let id = EpisodeId::derive(&[Format::Native.name().as_bytes(), name.as_bytes()]);
    let mut all: BTreeMap<&str, String> = BTreeMap::from([
        ("kind", "\"episode\"".to_owned()),
        ("id", json(&id)?),
        ("project", json(&options.project)?),
        ("started_at", json(&options.default_time)?),
    ]);
    for (name, raw) in fields.iter().filter(|(_, raw)| raw.get() != "null") {
        all.insert(name, raw.get().to_owned());
    }
    let parts: Result<Vec<String>, String> =
        all.iter().map(|(name, value)| Ok(format!("{}:{value}", json(name)?))).collect();
    Ok(format!("{{{}}}", parts?.join(",")))
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|e| e.to_string())
}

/// Numbers the steps, and ends the episode: what is imported is over.
fn finish(mut episode: Episode, has_id: bool, source: &str) -> Result<Episode, String> {
    for (number, step) in (1..).zip(&mut episode.steps) {
        step.number = number;
    }
    if episode.outcome.is_none() {
        let reward = episode.reward.as_ref().map(|r| r.score);
        let kind = reward.map_or(OutcomeKind::Unjudged, OutcomeKind::from_reward);
        episode.outcome = Some(Outcome::new(kind, ""));
    }
    episode.ended_at = episode.ended_at.or(Some(episode.started_at));
    episode.version = episode.version.max(1);
    if episode.source.is_none() {
        let digest = Fingerprint::default().json(source).finish();
        let identity = if has_id { episode.id.to_string() } else { digest.clone() };
        let format = Format::Native.name().to_owned();
        episode.source = Some(Source { format, identity, digest });
    }
    episode.validate().map_err(|e| e.to_string())?;
    Ok(episode)
}

/// Replaces the escape of NUL in JSON text by an escaped backslash and a zero, and counts them.
fn escape_nul(json: &str) -> (String, i64) {
    let (mut out, mut rest, mut count) = (String::with_capacity(json.len()), json, 0);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = escape.strip_prefix("\\u0000") {
            out.push_str("\\\\0");
            count += 1;
            rest = after;
        } else {
            // A backslash and what it escapes go together: `\\u0000` is no NUL.
            let len = escape.chars().take(2).map(char::len_utf8).sum();
            let (pair, after) = escape.split_at(len);
            out.push_str(pair);
            rest = after;
        }
    }
    out.push_str(rest);
    (out, count)
}
