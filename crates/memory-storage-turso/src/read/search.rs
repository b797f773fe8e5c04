//! Full-text search.

use memory_core::store::{
    BY_SYNONYMS, NEARBY_EACH_WAY, NEARBY_GAP_US, SHORT_BYTES, Scope, SearchHit, SearchQuery,
    SearchResult,
};
use memory_core::{EpisodeId, Result};

use super::condition::test;
use super::filter::{Sql, filter, scope};
use super::said::{feedback, said_of_hit};
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

/// How many matches a search weighs, about, unless the settings say otherwise.
pub(crate) const WEIGHED: usize = 10_000;

/// The terms with the number of episodes that have each. `?1` are the terms, `?2` is how many matches
/// are weighed; `upto` counts those of the terms so far, the rarest first.
///
/// Up to `?2` the number is exact. Beyond that it is drawn from how far one has to go for so many: to
/// count on would be to read the whole list of the term.
const ASKED: &str = "\
WITH asked (place, word, n) AS MATERIALIZED (
    SELECT place, word, (
        SELECT CASE WHEN count(*) <= ?2 THEN count(*) ELSE count(*) * documents / max(rid) END
        FROM (SELECT rowid AS rid FROM episode_text WHERE episode_text MATCH word LIMIT +?2 + 1))
    FROM (SELECT key AS place, '\"' || replace(value, '\"', '\"\"') || '\"' AS word FROM json_each(?1)),
        (SELECT coalesce(max(rid), 0) AS documents FROM episodes)),
ranked (word, n, upto) AS MATERIALIZED (
    SELECT word, n, sum(n) OVER (ORDER BY n, place ROWS UNBOUNDED PRECEDING) FROM asked WHERE n > 0),
few (rid) AS MATERIALIZED (";

/// The episodes that may be returned, if the matches are many. One more than `?2` says that so are they.
const FEW: &str = "SELECT e.rid FROM episodes e WHERE (SELECT max(upto) FROM ranked) > ?2";

/// How the index is asked. `upto <= ?2` are the rare terms. Of the common ones the rarest is taken, or
/// the rarest two together, and so on: the first that leaves fewer than `?2` matches, else the last.
///
/// The other terms cost no match, but count where they are: `(x) AND (x OR more)` finds what `x` finds.
/// Except for those that half of all episodes have: to BM25 they are worth nothing.
const EXPRESSIONS: &str = "),
small (yes) AS MATERIALIZED (SELECT count(*) BETWEEN 1 AND ?2 FROM few),
heavy (word, upto) AS MATERIALIZED (
    SELECT word, upto FROM ranked
    WHERE n * 2 < (SELECT coalesce(max(rid), 0) FROM episodes) AND NOT (SELECT yes FROM small)),
rare (words, more) AS MATERIALIZED (
    SELECT group_concat(word, ' OR '),
        (SELECT group_concat(word, ' OR ') FROM heavy WHERE upto > ?2)
    FROM ranked WHERE upto <= ?2 OR (SELECT yes FROM small)),
together (k, words, upto) AS (
    SELECT row_number() OVER rarest, group_concat(word, ' AND ') OVER rarest, upto FROM ranked
    WHERE upto > ?2 AND NOT (SELECT yes FROM small)
    WINDOW rarest AS (ORDER BY upto ROWS UNBOUNDED PRECEDING) LIMIT 5),
common (words, more) AS MATERIALIZED (
    SELECT words, (
        SELECT group_concat(word, ' OR ') FROM heavy WHERE heavy.upto <= ?2 OR heavy.upto > tried.upto)
    FROM (
        SELECT k, words, upto, (SELECT count(*) FROM (
            SELECT 1 FROM episode_text WHERE episode_text MATCH words LIMIT +?2)) AS n
        FROM together) tried
    WHERE n > 0 ORDER BY n >= ?2, iif(n < ?2, k, -k) LIMIT 1),
matched (rid, score) AS (SELECT rid, max(score) FROM (";

const RARE_MATCHES: &str = " AS score FROM episode_text WHERE episode_text MATCH (
    SELECT coalesce('(' || words || ') AND (' || words || ' OR ' || more || ')', words, '\"\"')
    FROM rare)
    AND (NOT (SELECT yes FROM small) OR +rowid IN (SELECT rid FROM few))
UNION ALL SELECT * FROM (";

const COMMON_MATCHES: &str = " FROM episode_text WHERE episode_text MATCH coalesce((
    SELECT coalesce('(' || words || ') AND ((' || words || ') OR ' || more || ')', words)
    FROM common), '\"\"')
    ORDER BY rowid DESC LIMIT +?2)
) GROUP BY rid) ";

/// Columns of a hit. Feedback and what is near are looked up for the hits that are returned, not for
/// all that match.
const HIT: &str = concat!(
    "SELECT NULL AS place, NULL AS n, h.id, h.score, h.started_at, ",
    said_of_hit!(),
    ", h.text_bytes"
);

/// The terms are told of in the same rows, since the hits need them first.
const TERMS: &str = "\
UNION ALL SELECT place, n, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM asked
ORDER BY place, h.score DESC, h.started_at DESC, h.id DESC";

/// The best `query.limit` matches of any of the terms, by BM25.
///
/// Common terms make a search long and its answer no better: BM25 gives a term that one episode in ten
/// has a fifth of the weight of one that ten in a million have. So beyond `weighed` matches, the rarest
/// terms are asked for as far as they have no more matches together, and of the others those episodes
/// in which enough of them meet. A project, or what a filter leaves of it, of at most `weighed` episodes
/// is searched for every term: what is rare in the database may all be elsewhere.
pub(crate) fn search(query: &SearchQuery, weighed: usize) -> Result<Batch> {
    if let Some(condition) = &query.filter.metadata {
        condition.validate()?;
    }
    let mut statements = vec![Statement::new(DOCUMENTS, vec![])];
    if !query.terms.is_empty() {
        statements.push(hits(query, &query.terms, query.limit, weighed));
    }
    if !query.synonyms.is_empty() {
        // A search of its own: among the others a rare synonym would outweigh a common word of the query.
        let terms = [query.terms.as_slice(), &query.synonyms].concat();
        statements.push(hits(query, &terms, BY_SYNONYMS, weighed / 4));
    }
    Ok(read(statements))
}

fn hits(query: &SearchQuery, terms: &[String], limit: usize, weighed: usize) -> Statement {
    let terms = serde_json::Value::from(terms).to_string();
    let limit = limit.clamp(1, MAX_PAGE) as i64;
    let params = vec![
        Value::Text(terms),
        Value::Integer(i64::try_from(weighed).unwrap_or(i64::MAX / 2)),
        Value::Integer(limit),
    ];
    let mut sql = Sql::with(ASKED, params);
    sql.push(FEW);
    match query.scope {
        // Few of all projects cannot be found without looking at all.
        Scope::All => sql.push(" AND FALSE"),
        Scope::Project(_) => restrict(&mut sql, query),
    };
    sql.push(" LIMIT +?2 + 1").push(EXPRESSIONS);
    sql.push("SELECT rowid AS rid, -bm25(episode_text");
    weights(&mut sql);
    sql.push(RARE_MATCHES).push("SELECT rowid, -bm25(episode_text");
    weights(&mut sql);
    sql.push(COMMON_MATCHES).push(HIT);
    for back in [true, false] {
        nearby(&mut sql, back);
    }
    sql.push(
        " FROM (SELECT e.id, e.project, e.started_at, e.text_bytes, m.score FROM matched m \
         CROSS JOIN episodes e ON e.rid = m.rid WHERE TRUE",
    );
    restrict(&mut sql, query);
    // Equal scores: the newer episode first, so that the order is the same every time.
    sql.push(" ORDER BY m.score DESC, e.started_at DESC, e.id DESC LIMIT +?3) h ").push(TERMS);
    sql.statement()
}

fn weights(sql: &mut Sql) {
    for weight in FIELD_WEIGHTS {
        sql.bind(", ", Value::Real(weight));
    }
    sql.push(")");
}

/// To the episodes `e` of the query's scope and filter.
fn restrict<'s>(sql: &'s mut Sql, query: &SearchQuery) -> &'s mut Sql {
    scope(sql, &query.scope);
    filter(sql, &query.filter);
    if let Some(condition) = &query.filter.metadata {
        sql.push(" AND ");
        test(sql, condition);
    }
    sql
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
    sql.bind(" LIMIT +", Value::Integer(i64::from(NEARBY_EACH_WAY)));
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

pub(crate) fn result(query: &SearchQuery, results: Vec<StatementResult>) -> Result<SearchResult> {
    let mut results = results.into_iter().map(|result| result.rows);
    let mut found =
        SearchResult { document_frequency: vec![0; query.terms.len()], ..SearchResult::default() };
    for row in results.next().unwrap_or_default() {
        found.documents = Columns::new(row).unsigned()?;
    }
    if !query.terms.is_empty() {
        for row in results.next().unwrap_or_default() {
            match found_row(row)? {
                Found::Hit(hit) => found.hits.push(hit),
                Found::Term { place, documents } => {
                    if let Some(n) = found.document_frequency.get_mut(place) {
                        *n = documents;
                    }
                }
            }
        }
    }
    for row in results.next().unwrap_or_default() {
        if let Found::Hit(hit) = found_row(row)? {
            found.by_synonyms.push(hit);
        }
    }
    Ok(found)
}

/// What a row tells of.
enum Found {
    Hit(SearchHit),
    Term { place: usize, documents: u64 },
}

fn found_row(row: Vec<Value>) -> Result<Found> {
    let mut row = Columns::new(row);
    let (place, documents) = (row.optional_integer()?, row.optional_integer()?);
    if let (Some(place), Some(documents)) = (place, documents) {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        return Ok(Found::Term { place, documents: u64::try_from(documents).unwrap_or(0) });
    }
    let id = EpisodeId::from_bytes(row.id()?);
    let (score, _started) = (row.real()?, row.integer()?);
    let feedback = feedback(&mut row)?;
    let bytes = row.unsigned()?;
    let nearby = ids([row.optional_text()?, row.optional_text()?]);
    Ok(Found::Hit(SearchHit { id, score, feedback, bytes, nearby }))
}
