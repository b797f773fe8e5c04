//! Patterns and heuristics with what they are worth.

use memory_core::envelope::damaged;
use memory_core::learning::{Lesson, LessonKind, LessonStats, ScoredLesson};
use memory_core::store::{LessonQuery, Scope};
use memory_core::{EpisodeId, LessonId, Result, Timestamp};

use super::MAX_PAGE;
use super::filter::Sql;
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::names::parse_lesson_kind;
use crate::write::{hex, text};

/// The chosen lessons first, then feedback and examples of these alone.
const CHOSEN: &str = "\
WITH chosen AS MATERIALIZED (
    SELECT l.rid, count(v.episode) AS uses, coalesce(sum(v.success), 0) AS successes,
        coalesce(max(v.at), 0) AS last_seen
    FROM lessons l LEFT JOIN lesson_evidence v ON v.lesson = l.id WHERE TRUE";

const DETAILS: &str = ")
SELECT l.id, l.project, l.kind, l.task_type, l.condition, l.action,
    chosen.uses, chosen.successes, chosen.last_seen,
    (SELECT count(*) FROM feedback f WHERE f.subject = l.id AND f.verdict = 'helped'),
    (SELECT count(*) FROM feedback f WHERE f.subject = l.id AND f.verdict = 'did_not_help'),
    (SELECT count(*) FROM feedback f WHERE f.subject = l.id AND f.verdict = 'wrong'),
    (SELECT count(*) FROM feedback f JOIN episodes e ON e.id = f.by_episode
        WHERE f.subject = l.id AND f.verdict = 'recalled' AND e.outcome NOT IN ('running', 'unjudged')
        AND NOT EXISTS (SELECT 1 FROM lesson_evidence o WHERE o.lesson = l.id AND o.episode = e.id)),
    (SELECT count(*) FROM feedback f JOIN episodes e ON e.id = f.by_episode
        WHERE f.subject = l.id AND f.verdict = 'recalled' AND e.outcome = 'success'
        AND NOT EXISTS (SELECT 1 FROM lesson_evidence o WHERE o.lesson = l.id AND o.episode = e.id)),
    (SELECT group_concat(hex(episode)) FROM (SELECT v.episode FROM lesson_evidence v
        WHERE v.lesson = l.id ORDER BY v.success DESC, v.at DESC, v.episode DESC LIMIT 5))
FROM chosen CROSS JOIN lessons l ON l.rid = chosen.rid
ORDER BY chosen.uses DESC, l.id";

pub(crate) fn lessons(query: &LessonQuery) -> Statement {
    let mut sql = Sql::new(CHOSEN);
    if let Scope::Project(project) = &query.scope {
        // The plus keeps the planner from reading all lessons of the project when ids are given.
        let by_index = query.episodes.is_empty();
        let fragment = if by_index { " AND l.project = " } else { " AND +l.project = " };
        sql.bind(fragment, text(project));
    }
    if !query.kinds.is_empty() {
        let kinds: Vec<&str> = query.kinds.iter().map(|kind| LessonKind::as_str(*kind)).collect();
        let kinds = serde_json::Value::from(kinds).to_string();
        sql.bind(" AND l.kind IN (SELECT value FROM json_each(", Value::Text(kinds)).push("))");
    }
    if !query.episodes.is_empty() {
        let ids: Vec<String> = query.episodes.iter().map(|id| hex(id.as_bytes())).collect();
        let ids = serde_json::Value::from(ids).to_string();
        sql.bind(" AND l.id IN (SELECT o.lesson FROM json_each(", Value::Text(ids));
        sql.push(") j CROSS JOIN lesson_evidence o WHERE o.episode = unhex(j.value))");
    }
    let limit = Value::Integer(query.limit.clamp(1, MAX_PAGE) as i64);
    sql.bind(" GROUP BY l.rid ORDER BY uses DESC, l.id LIMIT +", limit).push(DETAILS);
    sql.statement()
}

pub(crate) fn scored(row: Vec<Value>) -> Result<ScoredLesson> {
    let mut row = Columns::new(row);
    let lesson = lesson(&mut row)?;
    let stats = LessonStats {
        uses: row.unsigned()?,
        successes: row.unsigned()?,
        last_seen: Timestamp(row.integer()?),
        helped: row.unsigned()?,
        did_not_help: row.unsigned()?,
        wrong: row.unsigned()?,
        recalled: row.unsigned()?,
        recalled_well: row.unsigned()?,
    };
    let examples = row.optional_text()?.unwrap_or_default();
    let evidence = examples
        .split(',')
        .filter(|hex| !hex.is_empty())
        .map(|hex| hex.parse().map_err(|_| damaged(&"a lesson", "its evidence is no id")))
        .collect::<Result<Vec<EpisodeId>>>()?;
    Ok(ScoredLesson { lesson, stats, evidence })
}

/// The first six columns of a lesson.
pub(super) fn lesson(row: &mut Columns) -> Result<Lesson> {
    Ok(Lesson {
        id: LessonId::from_bytes(row.id()?),
        project: row.text()?,
        lesson_kind: parse_lesson_kind(&row.text()?)?,
        task_type: row.text()?,
        condition: row.text()?,
        action: row.text()?,
    })
}
