//! Inserting and replacing an episode.

use memory_core::learning::{Evidence, Lesson};
use memory_core::recall::document::Document;
use memory_core::store::{Kept, Save, Written};
use memory_core::{Episode, Error, MetadataValue, Result, Step};

use super::{Plan, Verdict, applied, blob, hex, integer, optional_integer, require_text, text};
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::payload::{Encoded, Payloads};

/// Decides: inserts with base 0, replaces the version it is based on, else does nothing. A dictionary
/// that is withdrawn (with the text in it) must not be named by anything new.
const UPSERT: &str = "\
INSERT INTO episodes (id, project, task_type, domain, language, started_at, ended_at, outcome, reward,
    archived_at, version, write_id, step_count, text_bytes, payload)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE id = ?1)
    AND NOT EXISTS (SELECT 1 FROM changes WHERE id = ?1 AND write_id = ?12)
    AND (?16 = 0 OR EXISTS (SELECT 1 FROM episodes WHERE id = ?1))
    AND (?17 IS NULL OR EXISTS (SELECT 1 FROM dictionaries WHERE id = ?17 AND retired = 0))
ON CONFLICT (id) DO UPDATE SET task_type = excluded.task_type, domain = excluded.domain,
    language = excluded.language, started_at = excluded.started_at, ended_at = excluded.ended_at,
    outcome = excluded.outcome, reward = excluded.reward, archived_at = excluded.archived_at,
    version = excluded.version, write_id = excluded.write_id, step_count = excluded.step_count,
    text_bytes = excluded.text_bytes, payload = excluded.payload
WHERE episodes.version = ?16 AND episodes.project = excluded.project";

const CLEAR_METADATA: &str = concat!(
    "DELETE FROM episode_metadata WHERE episode = (SELECT e.rid FROM episodes e WHERE ",
    applied!(),
    ")"
);

/// Entries of metadata that one statement writes. A parameter each, because JSON would not keep the
/// type and the last bit of a number; a fixed number of them, so that there is one text to prepare.
const METADATA_ENTRIES: usize = 8;

const PUT_METADATA: &str = concat!(
    "INSERT INTO episode_metadata (episode, key, value, project, started_at) \
     SELECT e.rid, v.column1, v.column2, e.project, e.started_at FROM episodes e, (VALUES \
     (?3, ?4), (?5, ?6), (?7, ?8), (?9, ?10), (?11, ?12), (?13, ?14), (?15, ?16), (?17, ?18)) v \
     WHERE v.column1 IS NOT NULL AND ",
    applied!()
);

/// The caller has read the steps logged so far (the version says so) and folded them in.
const CLEAR_STEPS: &str = concat!(
    "DELETE FROM steps WHERE episode = (SELECT e.rid FROM episodes e WHERE ",
    applied!(),
    ")"
);

/// OR REPLACE is the only upsert of a virtual table, and hides nothing here: there are no triggers.
const PUT_TEXT: &str = concat!(
    "INSERT OR REPLACE INTO episode_text (rowid, task, context, steps, reflection) \
     SELECT e.rid, ?3, ?4, ?5, ?6 FROM episodes e WHERE ",
    applied!()
);

/// Lessons that only this episode speaks for. Those that it still speaks for are put back below.
const CLEAR_LESSONS: &str = concat!(
    "DELETE FROM lessons WHERE id IN (SELECT lesson FROM lesson_evidence WHERE episode = ?1) \
     AND NOT EXISTS (SELECT 1 FROM lesson_evidence o WHERE o.lesson = lessons.id AND o.episode <> ?1) \
     AND NOT EXISTS (SELECT 1 FROM feedback f WHERE f.subject = lessons.id) \
     AND EXISTS (SELECT 1 FROM episodes e WHERE ",
    applied!(),
    ")"
);

const CLEAR_EVIDENCE: &str = concat!(
    "DELETE FROM lesson_evidence WHERE episode = ?1 AND EXISTS (SELECT 1 FROM episodes e WHERE ",
    applied!(),
    ")"
);

const PUT_LESSONS: &str = concat!(
    "INSERT INTO lessons (id, project, kind, task_type, condition, action) \
     SELECT unhex(j.value->>0), e.project, j.value->>1, j.value->>2, j.value->>3, j.value->>4 \
     FROM episodes e, json_each(?3) j WHERE ",
    applied!(),
    " ON CONFLICT (id) DO NOTHING"
);

const PUT_EVIDENCE: &str = concat!(
    "INSERT INTO lesson_evidence (lesson, episode, success, at) \
     SELECT unhex(j.value->>0), e.id, j.value->>5, j.value->>6 \
     FROM episodes e, json_each(?3) j WHERE ",
    applied!(),
    " ON CONFLICT (lesson, episode) DO UPDATE SET success = excluded.success, at = excluded.at"
);

/// Closes the gate.
pub(super) const RECORD_CHANGE: &str = concat!(
    "INSERT INTO changes (kind, id, version, write_id) \
     SELECT 'episode', e.id, e.version, e.write_id FROM episodes e WHERE ",
    applied!()
);

const STATUS: &str = "\
SELECT (SELECT version FROM changes WHERE id = ?1 AND write_id = ?2),
    (SELECT version FROM episodes WHERE id = ?1 AND project = ?3),
    EXISTS (SELECT 1 FROM tombstones WHERE id = ?1 AND project = ?3),
    ?4 IS NULL OR EXISTS (SELECT 1 FROM dictionaries WHERE id = ?4 AND retired = 0)";

pub(super) fn plan(save: &Save, payloads: &Payloads) -> Result<Plan> {
    let episode = &*save.episode;
    validate(save)?;
    let (id, base) = (episode.id, save.base);
    let gate = || vec![blob(id.as_bytes()), blob(save.write_id.as_bytes())];
    let gated = |sql, more: Vec<Value>| Statement::new(sql, [gate(), more].concat());
    let payload = payloads.episode(episode)?;
    let dictionary = payload.dictionary.map_or(Value::Null, |id| Value::Blob(id.to_vec()));
    let mut statements = vec![Statement::new(UPSERT, row(save, payload, dictionary.clone())?)];
    // What does not exist yet has nothing to clear away.
    if base > 0 {
        statements.push(gated(CLEAR_METADATA, vec![]));
        statements.push(gated(CLEAR_STEPS, vec![]));
        statements.push(gated(CLEAR_LESSONS, vec![]));
        statements.push(gated(CLEAR_EVIDENCE, vec![]));
    }
    let entries: Vec<_> = episode.metadata.iter().collect();
    for some in entries.chunks(METADATA_ENTRIES) {
        statements.push(gated(PUT_METADATA, metadata(some)));
    }
    let document = Document::of(episode);
    let fields = [document.task, document.context, document.steps, document.reflection];
    statements.push(gated(PUT_TEXT, fields.map(Value::Text).to_vec()));
    if !save.lessons.is_empty() {
        let lessons = lessons(&save.lessons)?;
        statements.push(gated(PUT_LESSONS, vec![lessons.clone()]));
        statements.push(gated(PUT_EVIDENCE, vec![lessons]));
    }
    statements.push(gated(RECORD_CHANGE, vec![]));
    statements.push(gated(STATUS, vec![text(&episode.project), dictionary]));

    let steps = u32::try_from(episode.steps.len()).unwrap_or(u32::MAX);
    let verdict = move |mut row: Columns| {
        let (applied, current) = (row.optional_integer()?, row.optional_integer()?);
        let (forgotten, usable) = (row.boolean()?, row.boolean()?);
        if forgotten {
            return Err(Error::Forgotten { id });
        }
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        match applied {
            // A replay says what is stored by now, which may be a later version.
            Some(version) => {
                let version = unsigned(current.unwrap_or(version));
                Ok(Verdict::Written(Written { version, steps, kept: Kept::Stored }))
            }
            None if !usable => Ok(Verdict::DictionaryRetired),
            None => Err(Error::Conflict { id, base, current: current.map_or(0, unsigned) }),
        }
    };
    Ok(Plan { statements, verdict: Box::new(verdict) })
}

fn validate(save: &Save) -> Result<()> {
    let episode = &*save.episode;
    episode.validate()?;
    if episode.version <= save.base {
        let problem = format!("is {}, it must be above the base {}", episode.version, save.base);
        return Err(Error::invalid("version", problem));
    }
    for (lesson, _) in &save.lessons {
        if lesson.project != episode.project {
            let problem = "is not the episode's project; a lesson belongs to one project";
            return Err(Error::invalid("lessons.project", problem));
        }
        validate_lesson(lesson)?;
    }
    Ok(())
}

pub(super) fn validate_lesson(lesson: &Lesson) -> Result<()> {
    require_text("project", &lesson.project)?;
    require_text("task_type", &lesson.task_type)?;
    require_text("condition", &lesson.condition)?;
    require_text("action", &lesson.action)
}

fn row(save: &Save, payload: Encoded, dictionary: Value) -> Result<Vec<Value>> {
    let episode = &*save.episode;
    let [
        project,
        task_type,
        domain,
        language,
        started_at,
        ended_at,
        outcome,
        reward,
        archived_at,
        step_count,
        text_bytes,
    ] = drawn(episode)?.map(|(_, value)| value);
    Ok(vec![
        blob(episode.id.as_bytes()),
        project,
        task_type,
        domain,
        language,
        started_at,
        ended_at,
        outcome,
        reward,
        archived_at,
        integer("version", episode.version)?,
        blob(save.write_id.as_bytes()),
        step_count,
        text_bytes,
        Value::Blob(payload.bytes),
        integer("base", save.base)?,
        dictionary,
    ])
}

/// The columns that are drawn from an episode, by name.
pub(crate) fn drawn(e: &Episode) -> Result<[(&'static str, Value); 11]> {
    let text_bytes = e.task_description.len() + e.steps.iter().map(Step::size_bytes).sum::<usize>();
    let reward = e.reward.as_ref().map_or(Value::Null, |reward| Value::Real(reward.score));
    Ok([
        ("project", text(&e.project)),
        ("task_type", text(&e.task_type)),
        ("domain", text(&e.context.domain)),
        ("language", text(&e.context.language)),
        ("started_at", Value::Integer(e.started_at.0)),
        ("ended_at", optional_integer(e.ended_at.map(|at| at.0))),
        ("outcome", text(e.state())),
        ("reward", reward),
        ("archived_at", optional_integer(e.archived_at.map(|at| at.0))),
        ("step_count", integer("steps", e.steps.len() as u64)?),
        ("text_bytes", integer("steps", text_bytes as u64)?),
    ])
}

/// Keys and values, and nothing in place of those that are missing.
fn metadata(entries: &[(&String, &MetadataValue)]) -> Vec<Value> {
    let mut values: Vec<Value> =
        entries.iter().flat_map(|(key, value)| [text(key), metadata_value(value)]).collect();
    values.resize(2 * METADATA_ENTRIES, Value::Null);
    values
}

/// How a metadata value is stored and compared.
pub(crate) fn metadata_value(value: &MetadataValue) -> Value {
    match value {
        MetadataValue::Text(text) => Value::Text(text.clone()),
        MetadataValue::Integer(n) => Value::Integer(*n),
        MetadataValue::Real(x) => Value::Real(*x),
        MetadataValue::Boolean(b) => Value::Blob(vec![u8::from(*b)]),
    }
}

/// `[[id, kind, task type, condition, action, success, at], ...]`.
fn lessons(lessons: &[(Lesson, Evidence)]) -> Result<Value> {
    let entries: Vec<_> = lessons
        .iter()
        .map(|(l, evidence)| {
            let id = hex(l.id.as_bytes());
            let success = i64::from(evidence.success);
            (
                id,
                l.lesson_kind.as_str(),
                &l.task_type,
                &l.condition,
                &l.action,
                success,
                evidence.at.0,
            )
        })
        .collect();
    json(&entries)
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<Value> {
    let json =
        serde_json::to_string(value).map_err(|e| Error::invalid("payload", e.to_string()))?;
    Ok(Value::Text(json))
}
