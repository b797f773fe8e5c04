//! Rows of a database in the older layout. Whatever has no field of its own is kept in the metadata,
//! under `older.` and its name, and what does not fit there in a step at the end.

use memory_core::episode::limits::{
    MAX_METADATA_BYTES, MAX_METADATA_KEYS, MAX_REFLECTION_LINES, MAX_TAGS,
};
use memory_core::{
    Complexity, Episode, EpisodeId, MetadataValue, Outcome, OutcomeKind, RawJson, Reward,
    RewardSource, Source, Step, Timestamp,
};
use memory_storage_turso::batch::Value;
use memory_storage_turso::older::OlderRow;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::draft::Fingerprint;

/// The name in `source.format`. Part of ids that are made: never change it.
const FORMAT: &str = "older-database";

/// Metadata keys that stay free for what is noted at the end.
const NOTES: usize = 2;

/// What the last step says when there is one for what did not fit elsewhere.
const REST: &str = "Kept from the older database: what has no field of its own";

/// The episode of a row, or why there is none.
pub(crate) fn episode(row: OlderRow, project: &str) -> Result<Episode, String> {
    let mut row = Row { columns: row, nul: 0 };
    let digest = row.fingerprint();
    let name = row.text("episode_id").filter(|id| !id.is_empty()).ok_or("it has no episode_id")?;
    let started = row.time("start_time").ok_or("its start_time is no time")?;
    let id =
        name.parse().unwrap_or_else(|_| EpisodeId::derive(&[FORMAT.as_bytes(), name.as_bytes()]));
    let task = row.text("task_description").filter(|task| !task.trim().is_empty());
    let task = task.unwrap_or_else(|| "(no description)".into());
    let mut e = Episode::start(id, project, task, started);
    let mut kept = Kept::default();
    e.task_type = row.text("task_type").unwrap_or_default();
    e.ended_at = row.time("end_time");
    e.archived_at = row.time("archived_at");
    row.context(&mut e, &mut kept);
    row.steps(&mut e, &mut kept)?;
    row.outcome(&mut e, &mut kept);
    row.reward(&mut e, &mut kept);
    row.reflection(&mut e, &mut kept);
    row.metadata(&mut e, &mut kept);
    row.others(&mut e, &mut kept);
    kept.finish(&mut e)?;
    if row.nul > 0 {
        e.metadata.insert("import_nul_escaped".into(), row.nul.into());
    }
    e.source = Some(Source { format: FORMAT.into(), identity: name, digest });
    e.validate().map_err(|problem| problem.to_string())?;
    Ok(e)
}

/// What is left of a row while fields are taken out of it.
struct Row {
    columns: OlderRow,
    nul: i64,
}

#[derive(Deserialize)]
struct OlderStep {
    #[serde(default)]
    timestamp: Option<Timestamp>,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    parameters: RawJson,
    #[serde(default)]
    latency_ms: Option<u64>,
    #[serde(default)]
    tokens_used: Option<u64>,
}

impl Row {
    fn fingerprint(&self) -> String {
        let parts = self.columns.iter().fold(Fingerprint::default(), |sum, (name, value)| {
            sum.part(name).part(&format!("{value:?}"))
        });
        parts.finish()
    }

    /// The value of a column, which is then no longer there; nothing for NULL.
    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.columns.iter().position(|(column, _)| column == name)?;
        let (_, value) = self.columns.remove(at);
        (value != Value::Null).then_some(value)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::Text(text) => Some(self.clean(&text)),
            other => Some(plain(&other)),
        }
    }

    /// NUL cannot be stored: it becomes the two characters `\0`.
    fn clean(&mut self, text: &str) -> String {
        self.nul += text.matches('\0').count() as i64;
        text.replace('\0', "\\0")
    }

    /// Seconds, milliseconds or microseconds by their size, or RFC 3339.
    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let number = match self.take(name)? {
            Value::Integer(n) => n,
            Value::Real(x) => return Some(Timestamp((x * 1e6) as i64)),
            Value::Text(text) => match text.parse() {
                Ok(n) => n,
                Err(_) => return text.parse().ok(),
            },
            _ => return None,
        };
        Some(match number.unsigned_abs() {
            0..100_000_000_000 => Timestamp(number * 1_000_000),
            100_000_000_000..100_000_000_000_000 => Timestamp::from_millis(number),
            _ => Timestamp(number),
        })
    }

    /// A column of JSON. What is none is kept as it is.
    fn json(&mut self, name: &str, e: &mut Episode, kept: &mut Kept) -> Option<Json> {
        let text = match self.take(name)? {
            Value::Text(text) => text,
            other => plain(&other),
        };
        match serde_json::from_str(&text) {
            Ok(Json::Null) => None,
            Ok(json) => Some(json),
            Err(_) => {
                kept.put(e, &format!("older.{name}"), &Json::String(text).to_string());
                None
            }
        }
    }

    fn object(&mut self, name: &str, e: &mut Episode, kept: &mut Kept) -> Map<String, Json> {
        match self.json(name, e, kept) {
            Some(Json::Object(object)) => object,
            Some(other) => {
                kept.put(e, &format!("older.{name}"), &other.to_string());
                Map::new()
            }
            None => Map::new(),
        }
    }

    fn context(&mut self, e: &mut Episode, kept: &mut Kept) {
        let mut context = self.object("context", e, kept);
        e.context.domain = self.word(&mut context, "domain");
        e.context.language = self.word(&mut context, "language");
        e.context.framework = self.word(&mut context, "framework");
        let complexity = context.get("complexity").and_then(Json::as_str).unwrap_or_default();
        e.context.complexity = match complexity {
            "Simple" => Some(Complexity::Simple),
            "Moderate" => Some(Complexity::Moderate),
            "Complex" => Some(Complexity::Complex),
            _ => None,
        };
        if e.context.complexity.is_some() {
            context.remove("complexity");
        }
        let fit = |tags: &Vec<String>| {
            let sound = |tag: &String| !tag.trim().is_empty() && !tag.contains('\0');
            tags.len() <= MAX_TAGS && tags.iter().all(sound)
        };
        if let Some(tags) = context.get("tags").and_then(words).filter(fit) {
            e.context.tags = tags;
            context.remove("tags");
        }
        kept.rest(e, "older.context", context);
        // Both are there twice.
        for (column, here) in
            [("domain", e.context.domain.clone()), ("language", e.context.language.clone())]
        {
            match self.text(column) {
                Some(text) if text != here && here.is_empty() => match column {
                    "domain" => e.context.domain = text,
                    _ => e.context.language = text,
                },
                Some(text) if text != here => {
                    kept.put(e, &format!("older.{column}"), &Json::String(text).to_string());
                }
                _ => {}
            }
        }
    }

    fn word(&mut self, object: &mut Map<String, Json>, name: &str) -> String {
        match object.get(name) {
            Some(Json::String(_)) => match object.remove(name) {
                Some(Json::String(text)) => self.clean(&text),
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    fn steps(&mut self, e: &mut Episode, kept: &mut Kept) -> Result<(), String> {
        let Some(text) = self.take("steps") else { return Ok(()) };
        let Value::Text(text) = text else { return Err("its steps are no text".into()) };
        let raw: Vec<&RawValue> =
            serde_json::from_str(&text).map_err(|e| format!("its steps are no JSON: {e}"))?;
        for (number, raw) in (1..).zip(raw) {
            let at = |problem: serde_json::Error| format!("step {number}: {problem}");
            let older: OlderStep = serde_json::from_str(raw.get()).map_err(at)?;
            let mut rest: Map<String, Json> = serde_json::from_str(raw.get()).map_err(at)?;
            let mut step = Step {
                number,
                tool: self.clean(&older.tool),
                action: self.clean(&older.action),
                parameters: older.parameters,
                latency_ms: older.latency_ms,
                tokens: older.tokens_used,
                at: older.timestamp,
                ..Step::default()
            };
            for known in ["timestamp", "tool", "action", "parameters", "latency_ms", "tokens_used"]
            {
                rest.remove(known);
            }
            if rest.get("step_number").and_then(Json::as_u64) == Some(number.into()) {
                rest.remove("step_number");
            }
            if step.tool.trim().is_empty() && step.action.trim().is_empty() {
                step.action = "(no action)".into();
            }
            self.result(&mut step, &mut rest);
            e.steps.push(step);
            kept.rest(e, &format!("older.steps[{number}]"), rest);
        }
        Ok(())
    }

    fn result(&mut self, step: &mut Step, rest: &mut Map<String, Json>) {
        let (success, text) = match rest.get("result") {
            Some(Json::String(word)) if word == "Timeout" => (false, "Timeout".to_owned()),
            Some(Json::Object(result)) if result.len() == 1 => {
                let inner = |kind: &str, field: &str| {
                    let inner = result.get(kind)?.as_object().filter(|inner| inner.len() == 1)?;
                    Some(inner.get(field)?.as_str()?.to_owned())
                };
                match (inner("Success", "output"), inner("Error", "message")) {
                    (Some(output), _) => (true, output),
                    (_, Some(message)) => (false, message),
                    _ => return,
                }
            }
            _ => return,
        };
        rest.remove("result");
        step.success = Some(success);
        let text = self.clean(&text);
        if success {
            step.observation = text;
        } else {
            step.error = Some(text);
        }
    }

    fn outcome(&mut self, e: &mut Episode, kept: &mut Kept) {
        let mut all = self.object("outcome", e, kept);
        let kinds = [
            ("Success", OutcomeKind::Success, "verdict"),
            ("PartialSuccess", OutcomeKind::Partial, "verdict"),
            ("Failure", OutcomeKind::Failure, "reason"),
            ("Abstained", OutcomeKind::Abstained, "reason"),
        ];
        for (name, kind, verdict) in kinds {
            if !all.get(name).is_some_and(Json::is_object) {
                continue;
            }
            let Some(Json::Object(mut said)) = all.remove(name) else { continue };
            let mut outcome = Outcome::new(kind, self.word(&mut said, verdict));
            if kind == OutcomeKind::Abstained {
                let step = said.get("stopped_at_step").and_then(Json::as_u64);
                outcome.at_step = step.and_then(|step| step.try_into().ok());
                said.remove("stopped_at_step");
            }
            e.outcome = Some(outcome);
            kept.rest(e, "older.outcome", said);
        }
        kept.rest(e, "older.outcome", all);
        if e.outcome.is_none() && e.ended_at.is_some() {
            e.outcome = Some(Outcome::new(OutcomeKind::Unjudged, ""));
        }
        if e.outcome.is_some() {
            e.ended_at = e.ended_at.or(Some(e.started_at));
        }
    }

    /// Its total goes beyond 1; its base says how the task ended.
    fn reward(&mut self, e: &mut Episode, kept: &mut Kept) {
        let mut reward = self.object("reward", e, kept);
        let components: std::collections::BTreeMap<String, f64> =
            reward.iter().filter_map(|(name, x)| Some((name.clone(), x.as_f64()?))).collect();
        reward.retain(|_, value| value.as_f64().is_none());
        if let Some(score) = components.get("base").or_else(|| components.get("total")) {
            let (score, source) = (score.clamp(0.0, 1.0), RewardSource::Computed);
            e.reward = Some(Reward { score, source, components });
        }
        kept.rest(e, "older.reward", reward);
    }

    fn reflection(&mut self, e: &mut Episode, kept: &mut Kept) {
        let mut said = self.object("reflection", e, kept);
        let mut lines = |name: &str| {
            let fits = |lines: &Vec<String>| {
                lines.len() <= MAX_REFLECTION_LINES
                    && lines.iter().all(|line| !line.trim().is_empty() && !line.contains('\0'))
            };
            let lines = said.get(name).and_then(words).filter(fits);
            if lines.is_some() {
                said.remove(name);
            }
            lines.unwrap_or_default()
        };
        e.reflection.worked = lines("successes");
        e.reflection.failed = lines("improvements");
        e.reflection.next_time = lines("insights");
        kept.rest(e, "older.reflection", said);
    }

    /// To the letter: a number stays the number that was written.
    fn metadata(&mut self, e: &mut Episode, kept: &mut Kept) {
        let text = match self.take("metadata") {
            None => return,
            Some(Value::Text(text)) => text,
            Some(other) => plain(&other),
        };
        match serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(&text) {
            Ok(entries) => entries.iter().for_each(|(key, raw)| kept.put(e, key, raw.get())),
            Err(_) => kept.put(e, "older.metadata", &Json::String(text).to_string()),
        }
    }

    /// Columns that this program knows nothing of.
    fn others(&mut self, e: &mut Episode, kept: &mut Kept) {
        for (name, value) in std::mem::take(&mut self.columns) {
            let json = match &value {
                Value::Null => continue,
                // Lists of what is not taken over, and empty ones say nothing.
                Value::Text(text) if matches!(text.as_str(), "[]" | "{}" | "") => continue,
                Value::Text(text) => match serde_json::from_str::<&RawValue>(text) {
                    Ok(raw) if text.starts_with(['[', '{']) => raw.get().to_owned(),
                    _ => Json::String(text.clone()).to_string(),
                },
                Value::Integer(n) => n.to_string(),
                Value::Real(x) => Json::from(*x).to_string(),
                Value::Blob(_) => Json::String(plain(&value)).to_string(),
            };
            kept.put(e, &format!("older.{name}"), &json);
        }
    }
}

/// What did not fit into fields.
#[derive(Default)]
struct Kept {
    /// Keys whose text is JSON.
    json: Vec<String>,
    /// What does not fit into the metadata either, as members of an object.
    rest: Vec<String>,
}

impl Kept {
    fn rest(&mut self, e: &mut Episode, path: &str, object: Map<String, Json>) {
        for (name, value) in object {
            let nothing = match &value {
                Json::Null => true,
                Json::Array(list) => list.is_empty(),
                Json::Object(object) => object.is_empty(),
                _ => false,
            };
            if !nothing {
                self.put(e, &format!("{path}.{name}"), &value.to_string());
            }
        }
    }

    /// Files the JSON text `raw` under `key`.
    fn put(&mut self, e: &mut Episode, key: &str, raw: &str) {
        let fits = |text: &str| text.len() <= MAX_METADATA_BYTES && !text.contains('\0');
        let compact = RawJson::parse(raw);
        let (value, is_json) = match serde_json::from_str(raw) {
            Ok(Json::String(text)) => (MetadataValue::Text(text), false),
            Ok(Json::Bool(b)) => (MetadataValue::Boolean(b), false),
            Ok(Json::Number(n)) if n.is_i64() => {
                (MetadataValue::Integer(n.as_i64().unwrap_or(0)), false)
            }
            // Only when it is written the same again.
            Ok(Json::Number(n)) if n.is_f64() && n.to_string() == raw.trim() => {
                (MetadataValue::Real(n.as_f64().unwrap_or(0.0)), false)
            }
            _ => {
                let text = compact.as_ref().map_or(raw, |raw| raw.as_str());
                (MetadataValue::Text(text.to_owned()), true)
            }
        };
        let text_fits = match &value {
            MetadataValue::Text(text) => fits(text),
            _ => true,
        };
        let room = e.metadata.len() + NOTES < MAX_METADATA_KEYS;
        if text_fits && room && !key.trim().is_empty() && fits(key) && !e.metadata.contains_key(key)
        {
            e.metadata.insert(key.to_owned(), value);
            if is_json {
                self.json.push(key.to_owned());
            }
            return;
        }
        let name = Json::String(key.to_owned());
        // Nested too deep for our JSON: as text.
        let body = compact.map_or_else(
            |_| Json::String(raw.to_owned()).to_string(),
            |raw| raw.as_str().to_owned(),
        );
        self.rest.push(format!("{name}:{body}"));
    }

    fn finish(mut self, e: &mut Episode) -> Result<(), String> {
        if !self.json.is_empty() {
            let keys = Json::from(std::mem::take(&mut self.json)).to_string();
            if keys.len() <= MAX_METADATA_BYTES {
                e.metadata.insert("older.json".into(), MetadataValue::Text(keys));
            } else {
                self.rest.push(format!("\"older.json\":{keys}"));
            }
        }
        if !self.rest.is_empty() {
            let parameters = RawJson::parse(&format!("{{{}}}", self.rest.join(",")))?;
            let number = u32::try_from(e.steps.len() + 1).unwrap_or(u32::MAX);
            e.steps.push(Step { number, action: REST.into(), parameters, ..Step::default() });
        }
        Ok(())
    }
}

fn words(json: &Json) -> Option<Vec<String>> {
    json.as_array()?.iter().map(|word| Some(word.as_str()?.to_owned())).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => x.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
