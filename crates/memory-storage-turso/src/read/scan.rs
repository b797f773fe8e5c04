//! Everything of one kind, page by page in the order of ids: for export and copy.

use memory_core::envelope::damaged;
use memory_core::learning::Evidence;
use memory_core::record::{Record, RecordKind};
use memory_core::store::{Feedback, LessonRecord, ScanPage, ScanQuery, Scope, Tombstone};
use memory_core::{EpisodeId, LessonId, Result, Timestamp};

use super::episodes::{CANDIDATES, FROM_EPISODES, page_episodes, page_rows};
use super::filter::Sql;
use super::lessons::lesson;
use super::relations::relation;
use super::{cursor, page_limit};
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::names::parse_verdict;
use crate::payload::Payloads;
use crate::write::text;

const LESSONS: &str = "\
SELECT l.id, l.project, l.kind, l.task_type, l.condition, l.action,
    (SELECT json_group_array(json_array(hex(v.episode), v.success, v.at))
     FROM lesson_evidence v WHERE v.lesson = l.id)
FROM lessons l WHERE (l.kind = 'heuristic') = ";

const FEEDBACK: &str = "SELECT subject, by_episode, project, verdict, at FROM feedback WHERE TRUE";

const RELATIONS: &str = "SELECT from_id, relation, to_id, project, at FROM relations WHERE TRUE";

const TOMBSTONES: &str = "SELECT id, project, version, at FROM tombstones WHERE TRUE";

pub(crate) fn scan(query: &ScanQuery) -> Result<Statement> {
    match query.kind {
        RecordKind::Episode => episodes(query),
        RecordKind::Pattern => lessons(query, false),
        RecordKind::Heuristic => lessons(query, true),
        RecordKind::Feedback => {
            keyset::<2>(query, FEEDBACK, " AND (subject, by_episode) > (", "subject, by_episode")
        }
        RecordKind::Relation => relations(query),
        RecordKind::Tombstone => keyset::<1>(query, TOMBSTONES, " AND id > (", "id"),
    }
}

fn episodes(query: &ScanQuery) -> Result<Statement> {
    let (limit, one_more) = page_limit(query.limit);
    let mut sql = Sql::new("WITH ");
    sql.push(CANDIDATES).push(FROM_EPISODES);
    // The plus keeps the index of ids in use: any other would have to sort everything, page by page.
    in_project(&mut sql, query, " AND +e.project = ");
    if let Some(after) = &query.after {
        let [id] = cursor::decode::<1>(after)?;
        sql.bind(" AND e.id > ", Value::Blob(id));
    }
    sql.bind(" ORDER BY e.id LIMIT +", one_more);
    Ok(page_rows(sql, "id", limit))
}

fn lessons(query: &ScanQuery, heuristics: bool) -> Result<Statement> {
    let mut sql = Sql::new("");
    sql.bind(LESSONS, Value::Integer(heuristics.into()));
    in_project(&mut sql, query, " AND +l.project = ");
    if let Some(after) = &query.after {
        let [id] = cursor::decode::<1>(after)?;
        sql.bind(" AND l.id > ", Value::Blob(id));
    }
    sql.bind(" ORDER BY l.id LIMIT +", page_limit(query.limit).1);
    Ok(sql.statement())
}

fn relations(query: &ScanQuery) -> Result<Statement> {
    let mut sql = Sql::new(RELATIONS);
    in_project(&mut sql, query, " AND project = ");
    if let Some(after) = &query.after {
        let [from, word, to] = cursor::decode::<3>(after)?;
        let word = String::from_utf8(word).map_err(|_| cursor::unreadable(after))?;
        sql.bind(" AND (from_id, relation, to_id) > (", Value::Blob(from));
        sql.bind(", ", Value::Text(word)).bind(", ", Value::Blob(to)).push(")");
    }
    sql.bind(" ORDER BY from_id, relation, to_id LIMIT +", page_limit(query.limit).1);
    Ok(sql.statement())
}

/// A table keyed by `N` ids.
fn keyset<const N: usize>(
    query: &ScanQuery,
    select: &'static str,
    after_key: &'static str,
    key: &'static str,
) -> Result<Statement> {
    let mut sql = Sql::new(select);
    in_project(&mut sql, query, " AND project = ");
    if let Some(after) = &query.after {
        let mut fragment = after_key;
        for id in cursor::decode::<N>(after)? {
            sql.bind(fragment, Value::Blob(id));
            fragment = ", ";
        }
        sql.push(")");
    }
    sql.push(" ORDER BY ").push(key).bind(" LIMIT +", page_limit(query.limit).1);
    Ok(sql.statement())
}

fn in_project(sql: &mut Sql, query: &ScanQuery, fragment: &'static str) {
    if let Scope::Project(project) = &query.scope {
        sql.bind(fragment, text(project));
    }
}

/// The page of a scan from its rows.
pub(crate) fn page(
    query: &ScanQuery,
    rows: Vec<Vec<Value>>,
    payloads: &Payloads,
) -> Result<ScanPage> {
    let (records, more) = if query.kind == RecordKind::Episode {
        let (mut episodes, more) = page_episodes(rows, payloads)?;
        episodes.sort_unstable_by_key(|e| e.id);
        (episodes.into_iter().map(|e| Record::Episode(Box::new(e))).collect(), more)
    } else {
        let (limit, _) = page_limit(query.limit);
        let more = rows.len() > limit;
        let records = rows.into_iter().take(limit).map(|row| record(query.kind, Columns::new(row)));
        (records.collect::<Result<Vec<_>>>()?, more)
    };
    let next = records.last().filter(|_| more).map(cursor_of);
    Ok(ScanPage { records, next })
}

fn record(kind: RecordKind, mut row: Columns) -> Result<Record> {
    Ok(match kind {
        RecordKind::Pattern => Record::Pattern(lesson_record(row)?),
        RecordKind::Heuristic => Record::Heuristic(lesson_record(row)?),
        RecordKind::Relation => Record::Relation(relation(row)?),
        RecordKind::Feedback => Record::Feedback(Feedback {
            subject: LessonId::from_bytes(row.id()?),
            by: EpisodeId::from_bytes(row.id()?),
            project: row.text()?,
            verdict: parse_verdict(&row.text()?)?,
            at: Timestamp(row.integer()?),
        }),
        RecordKind::Episode | RecordKind::Tombstone => Record::Tombstone(Tombstone {
            id: EpisodeId::from_bytes(row.id()?),
            project: row.text()?,
            version: row.unsigned()?,
            at: Timestamp(row.integer()?),
        }),
    })
}

fn lesson_record(mut row: Columns) -> Result<LessonRecord> {
    let lesson = lesson(&mut row)?;
    let thing = format!("lesson {}", lesson.id);
    let entries: Vec<(String, i64, i64)> =
        serde_json::from_str(&row.text()?).map_err(|e| damaged(&thing, e.to_string()))?;
    let mut evidence = entries
        .into_iter()
        .map(|(episode, success, at)| {
            let episode = episode.parse().map_err(|_| damaged(&thing, "its evidence is no id"))?;
            Ok(Evidence { episode, success: success != 0, at: Timestamp(at) })
        })
        .collect::<Result<Vec<_>>>()?;
    evidence.sort_unstable_by_key(|e| e.episode);
    Ok(LessonRecord { lesson, evidence })
}

fn cursor_of(record: &Record) -> String {
    match record {
        Record::Episode(e) => cursor::encode(&[e.id.as_bytes()]),
        Record::Pattern(r) | Record::Heuristic(r) => cursor::encode(&[r.lesson.id.as_bytes()]),
        Record::Feedback(f) => cursor::encode(&[f.subject.as_bytes(), f.by.as_bytes()]),
        Record::Relation(r) => {
            let word = r.relation.as_str().as_bytes();
            cursor::encode(&[r.from.as_bytes(), word, r.to.as_bytes()])
        }
        Record::Tombstone(t) => cursor::encode(&[t.id.as_bytes()]),
    }
}
