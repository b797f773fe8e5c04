//! Episodes by id, and pages of them.

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::envelope::{DictionaryId, dictionary_of};
use memory_core::store::Scope;
use memory_core::{Episode, EpisodeId, Result};

use super::MAX_PAGE_BYTES;
use super::filter::Sql;
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::payload::Payloads;
use crate::write::{blob, hex, scope_value};

/// An episode beside each batch of steps logged since, in one statement and so from one snapshot; most
/// episodes have none. Rows are `(id, version, payload, number of the first step, their payload)`, the
/// episode's payload in the first of them alone. Only a running episode can have any: for another one
/// they are not looked for.
macro_rules! episode_rows {
    ($more:literal, $from:literal) => {
        concat!(
            "SELECT e.id, e.version, iif(s.n IS NULL OR NOT EXISTS (SELECT 1 FROM steps before \
             WHERE before.episode = s.episode AND before.n < s.n), e.payload, NULL), s.n, s.payload",
            $more,
            " FROM ",
            $from,
            " LEFT JOIN steps s ON s.episode = iif(e.outcome = 'running', e.rid, NULL)"
        )
    };
}

const GET_ONE: &str =
    concat!(episode_rows!("", "episodes e"), " WHERE e.id = ?1 AND (?2 IS NULL OR e.project = ?2)");

const GET_MANY: &str = concat!(
    episode_rows!("", "json_each(?1) j CROSS JOIN episodes e"),
    " WHERE e.id = unhex(j.value) AND (?2 IS NULL OR e.project = ?2)"
);

/// The rows of the episodes of a page, each with the number of candidates for it.
const PAGE_ROWS: &str =
    episode_rows!(", page.candidates", "page CROSS JOIN episodes e ON e.rid = page.rid");

/// The columns with payloads.
const PAYLOADS: [usize; 2] = [2, 4];

pub(crate) fn get(scope: &Scope, ids: &[EpisodeId]) -> Statement {
    match ids {
        [id] => Statement::new(GET_ONE, vec![blob(id.as_bytes()), scope_value(scope)]),
        _ => {
            let mut ids: Vec<String> = ids.iter().map(|id| hex(id.as_bytes())).collect();
            ids.sort_unstable();
            ids.dedup();
            let list = Value::Text(serde_json::Value::from(ids).to_string());
            Statement::new(GET_MANY, vec![list, scope_value(scope)])
        }
    }
}

/// The dictionaries that the payloads of [`get`] and of pages need.
pub(crate) fn dictionaries(rows: &[Vec<Value>]) -> impl Iterator<Item = DictionaryId> + '_ {
    PAYLOADS.into_iter().flat_map(|column| dictionaries_in(rows, column))
}

/// The dictionaries that the payloads of a column need.
pub(crate) fn dictionaries_in(
    rows: &[Vec<Value>],
    column: usize,
) -> impl Iterator<Item = DictionaryId> + '_ {
    rows.iter().filter_map(move |row| match row.get(column) {
        Some(Value::Blob(payload)) => dictionary_of(payload),
        _ => None,
    })
}

/// Puts episodes together from their rows, each with its steps.
pub(crate) fn assemble(
    rows: Vec<Vec<Value>>,
    payloads: &Payloads,
) -> Result<HashMap<EpisodeId, Episode>> {
    let mut episodes = HashMap::with_capacity(rows.len());
    let mut logged = Vec::new();
    for row in rows {
        let mut row = Columns::new(row);
        let (id, version) = (EpisodeId::from_bytes(row.id()?), row.unsigned()?);
        if let Some(payload) = row.optional_blob()? {
            episodes.insert(id, payloads.decode_episode(id, version, &payload)?);
        }
        if let Some(first) = row.optional_integer()? {
            logged.push((id, u32::try_from(first).unwrap_or(u32::MAX), row.blob()?));
        }
    }
    logged.sort_unstable_by_key(|(id, first, _)| (*id, *first));
    for (id, first, payload) in logged {
        if let Some(episode) = episodes.get_mut(&id) {
            episode.steps.extend(payloads.decode_steps(id, first, &payload)?);
        }
    }
    Ok(episodes)
}

/// The results of [`get`], in the order of `ids`.
pub(crate) fn in_order(
    ids: &[EpisodeId],
    mut episodes: HashMap<EpisodeId, Episode>,
) -> Vec<Option<Arc<Episode>>> {
    if let [id] = ids {
        return vec![episodes.remove(id).map(Arc::new)];
    }
    let episodes: HashMap<_, _> = episodes.into_iter().map(|(id, e)| (id, Arc::new(e))).collect();
    ids.iter().map(|id| episodes.get(id).cloned()).collect()
}

/// What a page is chosen from: the keys of episodes, and how much text there is.
pub(super) const CANDIDATES: &str = "candidates (rid, started_at, id, bytes) AS MATERIALIZED (";
pub(super) const FROM_EPISODES: &str =
    "SELECT e.rid, e.started_at, e.id, e.text_bytes FROM episodes e WHERE TRUE";

/// Ends a statement that began with [`CANDIDATES`] and chose one more than `limit`: the page is the
/// first of them in `order`, as many as fit its size but at least one, in full.
pub(super) fn page_rows(mut sql: Sql, order: &'static str, limit: usize) -> Statement {
    sql.push(
        "), page AS MATERIALIZED (SELECT rid, candidates FROM (SELECT rid, \
         sum(bytes) OVER w - bytes AS before, row_number() OVER w AS n, \
         count(*) OVER () AS candidates FROM candidates WINDOW w AS (ORDER BY ",
    );
    sql.push(order).bind(")) WHERE before <= ", Value::Integer(MAX_PAGE_BYTES));
    sql.bind(" AND n <= ", Value::Integer(limit as i64)).push(") ").push(PAGE_ROWS);
    sql.statement()
}

/// The episodes of a page in no order, and whether there are more behind it.
pub(super) fn page_episodes(
    rows: Vec<Vec<Value>>,
    payloads: &Payloads,
) -> Result<(Vec<Episode>, bool)> {
    let candidates = match rows.first().and_then(|row| row.get(5)) {
        Some(Value::Integer(n)) => usize::try_from(*n).unwrap_or(0),
        _ => 0,
    };
    let episodes: Vec<Episode> = assemble(rows, payloads)?.into_values().collect();
    let more = candidates > episodes.len();
    Ok((episodes, more))
}
