//! Full-text search.

use memory_core::recall::FeedbackCounts;
use memory_core::store::{
    NEARBY_EACH_WAY, NEARBY_GAP_US, SHORT_BYTES, SearchHit, SearchQuery, SearchResult,
};
use memory_core::{EpisodeId, Result};

use super::condition::test;
use super::filter::{Sql, filter, scope};
use super::{MAX_PAGE, read};
use crate::batch::{Batch, Statement, StatementResult, Value};
use crate::columns::Columns;

/// What a term found in each field counts, in the order of the columns. The task says what an episode
/// is about. Names of tools, domains and languages recur in every episode of a kind. Steps hold the
/// details that tell similar tasks apart. A reflection is short and to the point.
const FIELD_WEIGHTS: [f64; 4] = [TASK_WEIGHT, CONTEXT_WEIGHT, STEPS_WEIGHT, REFLECTION_WEIGHT];
const TASK_WEIGHT: f64 = 4.0;
const CONTEXT_WEIGHT: f64 = 1.0;
const STEPS_WEIGHT: f64 = 1.5;
const REFLECTION_WEIGHT: f64 = 2.0;

/// About how many episodes there are: exact until one is forgotten, and free of a scan.
const DOCUMENTS: &str = "SELECT coalesce(max(rid), 0) FROM episodes";

const FREQUENCIES: &str = "\
SELECT j.key, t.doc FROM json_each(?1) j CROSS JOIN episode_terms t WHERE t.term = j.value";

pub(crate) fn search(query: &SearchQuery) -> Result<Batch> {
    if let Some(condition) = &query.filter.metadata {
        condition.validate()?;
    }
    let mut statements = vec![Statement::new(DOCUMENTS, vec![])];
    if !query.terms.is_empty() {
        let terms = serde_json::Value::from(query.terms.clone()).to_string();
        statements.push(Statement::new(FREQUENCIES, vec![Value::Text(terms)]));
        statements.push(hits(query));
    }
    Ok(read(statements))
}

fn hits(query: &SearchQuery) -> Statement {
    // Feedback and what is near are looked up for the hits that are returned, not for all that match.
    let mut sql = Sql::new(
        "SELECT h.id, h.score, \
         (SELECT count(*) FROM feedback f WHERE f.subject = h.id AND f.verdict = 'helped'), \
         (SELECT count(*) FROM feedback f WHERE f.subject = h.id AND f.verdict = 'did_not_help'), \
         (SELECT count(*) FROM feedback f WHERE f.subject = h.id AND f.verdict = 'wrong'), \
         (SELECT count(*) FROM feedback f JOIN episodes a ON a.id = f.by_episode \
          WHERE f.subject = h.id AND f.verdict = 'recalled' \
          AND a.outcome NOT IN ('running', 'unjudged')), \
         (SELECT count(*) FROM feedback f JOIN episodes a ON a.id = f.by_episode \
          WHERE f.subject = h.id AND f.verdict = 'recalled' AND a.outcome = 'success'), \
         h.text_bytes",
    );
    for back in [true, false] {
        nearby(&mut sql, back);
    }
    sql.push(" FROM (SELECT e.id, e.project, e.started_at, e.text_bytes, -bm25(episode_text");
    for weight in FIELD_WEIGHTS {
        sql.bind(", ", Value::Real(weight));
    }
    sql.bind(
        ") AS score FROM episode_text CROSS JOIN episodes e ON e.rid = episode_text.rowid \
         WHERE episode_text MATCH ",
        Value::Text(match_any(&query.terms)),
    );
    scope(&mut sql, &query.scope);
    filter(&mut sql, &query.filter);
    if let Some(condition) = &query.filter.metadata {
        sql.push(" AND ");
        test(&mut sql, condition);
    }
    let limit = Value::Integer(query.limit.clamp(1, MAX_PAGE) as i64);
    // Equal scores: the newer episode first, so that the order is the same every time.
    sql.bind(" ORDER BY score DESC, e.started_at DESC, e.id DESC LIMIT ", limit);
    sql.push(") h ORDER BY h.score DESC, h.started_at DESC, h.id DESC");
    sql.statement()
}

/// The ids of the short episodes next to the hit `h`, as one text in hex, the nearest first.
fn nearby(sql: &mut Sql, back: bool) {
    sql.bind(", (SELECT group_concat(hex(near.id), '') FROM (SELECT id FROM episodes e WHERE h.text_bytes <= ", Value::Integer(SHORT_BYTES as i64));
    sql.bind(" AND e.text_bytes <= ", Value::Integer(SHORT_BYTES as i64));
    sql.push(" AND e.archived_at IS NULL AND e.project = h.project AND (e.started_at, e.id) ");
    if back {
        sql.bind(
            "< (h.started_at, h.id) AND e.started_at >= h.started_at - ",
            Value::Integer(NEARBY_GAP_US),
        );
        sql.push(" ORDER BY e.started_at DESC, e.id DESC");
    } else {
        sql.bind(
            "> (h.started_at, h.id) AND e.started_at <= h.started_at + ",
            Value::Integer(NEARBY_GAP_US),
        );
        sql.push(" ORDER BY e.started_at, e.id");
    }
    sql.bind(" LIMIT ", Value::Integer(i64::from(NEARBY_EACH_WAY)));
    sql.push(") near)");
}

/// Ids out of texts of 32 hex digits each, taken from the lists in turn.
fn ids(lists: [Option<String>; 2]) -> Vec<EpisodeId> {
    let all = lists.map(|list| list.unwrap_or_default());
    let id = |list: &str, place: usize| {
        let digits = list.get(32 * place..32 * (place + 1))?;
        Some(EpisodeId::from_bytes(u128::from_str_radix(digits, 16).ok()?.to_be_bytes()))
    };
    (0..NEARBY_EACH_WAY as usize)
        .flat_map(|place| all.iter().filter_map(move |list| id(list, place)))
        .collect()
}

/// Any of the terms, each quoted, so that none can be read as an operator.
fn match_any(terms: &[String]) -> String {
    let quoted: Vec<String> =
        terms.iter().map(|term| format!("\"{}\"", term.replace('"', "\"\""))).collect();
    quoted.join(" OR ")
}

pub(crate) fn result(query: &SearchQuery, results: Vec<StatementResult>) -> Result<SearchResult> {
    let mut results = results.into_iter().map(|result| result.rows);
    let mut found =
        SearchResult { document_frequency: vec![0; query.terms.len()], ..SearchResult::default() };
    for row in results.next().unwrap_or_default() {
        found.documents = Columns::new(row).unsigned()?;
    }
    for row in results.next().unwrap_or_default() {
        let mut row = Columns::new(row);
        let (term, documents) = (row.unsigned()?, row.unsigned()?);
        let place = usize::try_from(term).ok();
        if let Some(n) = place.and_then(|at| found.document_frequency.get_mut(at)) {
            *n = documents;
        }
    }
    for row in results.next().unwrap_or_default() {
        let mut row = Columns::new(row);
        let id = EpisodeId::from_bytes(row.id()?);
        let score = row.real()?;
        let feedback = FeedbackCounts {
            helped: row.unsigned()?,
            did_not_help: row.unsigned()?,
            wrong: row.unsigned()?,
            recalled: row.unsigned()?,
            recalled_well: row.unsigned()?,
        };
        let bytes = row.unsigned()?;
        let nearby = ids([row.optional_text()?, row.optional_text()?]);
        found.hits.push(SearchHit { id, score, feedback, bytes, nearby });
    }
    Ok(found)
}
