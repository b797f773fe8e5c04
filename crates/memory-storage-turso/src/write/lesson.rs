//! Putting a lesson with its evidence as exported.

use memory_core::store::LessonRecord;
use memory_core::{Error, Result, Timestamp};

use super::save::{json, validate_lesson};
use super::{Plan, blob, done, hex, own_write_id, text};
use crate::batch::{Statement, Value};

const PUT: &str = "\
INSERT INTO lessons (id, project, kind, task_type, condition, action)
VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING";

/// What is there stays: it is at least as recent. A forgotten episode is evidence for nothing.
const PUT_EVIDENCE: &str = "\
INSERT INTO lesson_evidence (lesson, episode, success, at)
SELECT l.id, unhex(j.value->>0), j.value->>1, j.value->>2 FROM lessons l, json_each(?3) j
WHERE l.id = ?1 AND l.project = ?2
    AND NOT EXISTS (SELECT 1 FROM tombstones t WHERE t.id = unhex(j.value->>0))
ON CONFLICT (lesson, episode) DO NOTHING";

const RECORD_CHANGE: &str = "\
INSERT INTO changes (kind, id, version, write_id)
SELECT 'lesson', ?1, NULL, ?2 FROM lessons WHERE id = ?1 AND project = ?3";

const STATUS: &str = "SELECT EXISTS (SELECT 1 FROM lessons WHERE id = ?1 AND project = ?2)";

pub(super) fn plan(record: &LessonRecord) -> Result<Plan> {
    let lesson = &record.lesson;
    validate_lesson(lesson)?;
    let (id, project) = (blob(lesson.id.as_bytes()), text(&lesson.project));
    let row = vec![
        id.clone(),
        project.clone(),
        text(lesson.lesson_kind.as_str()),
        text(&lesson.task_type),
        text(&lesson.condition),
        text(&lesson.action),
    ];
    let evidence: Vec<_> = record
        .evidence
        .iter()
        .map(|e| (hex(e.episode.as_bytes()), i64::from(e.success), e.at.0))
        .collect();
    let at = record.evidence.iter().map(|e| e.at).max().unwrap_or(Timestamp(0));
    let mut statements = vec![Statement::new(PUT, row)];
    if !evidence.is_empty() {
        let params = vec![id.clone(), project.clone(), json(&evidence)?];
        statements.push(Statement::new(PUT_EVIDENCE, params));
    }
    let change: Vec<Value> = vec![id.clone(), own_write_id(at), project.clone()];
    statements.push(Statement::new(RECORD_CHANGE, change));
    statements.push(Statement::new(STATUS, vec![id, project]));
    let id = lesson.id;
    Ok(Plan::new(statements, move |mut row| {
        if row.boolean()? {
            return done(0);
        }
        let problem = format!("{id} is the id of a lesson of another project; leave it out");
        Err(Error::invalid("id", problem))
    }))
}
