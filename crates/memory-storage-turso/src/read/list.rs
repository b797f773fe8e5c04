//! Listings: episodes of a scope and a filter, newest first, page by page.

use std::sync::Arc;

use memory_core::store::{Filter, ListQuery, Page, Scope};
use memory_core::{Condition, Result, Timestamp};

use super::condition::{Way, ends, range, test, ways};
use super::episodes::{CANDIDATES, FROM_EPISODES, page_episodes, page_rows};
use super::filter::{Sql, filter, scope};
use super::{cursor, page_limit};
use crate::batch::{Statement, Value};
use crate::payload::Payloads;
use crate::write::text;

/// So many rows of the index are counted to see whether a way leads to few episodes.
const FEW: i64 = 2000;

/// Few means: reading and sorting them all (n rows) costs no more than walking through time until the
/// page is full (`limit * episodes / n` rows), and a row of either costs about the same.
const PER_PAGE: i64 = 4;

/// What else may be tested of those: it is said once for each value.
const FEW_TESTS: usize = 2;

/// Values that a range may have for its episodes to be read in the order of time, value beside value.
const FEW_VALUES: i64 = 16;

const NEWEST_FIRST: &str = " ORDER BY e.started_at DESC, e.id DESC LIMIT +";

/// The same in the order of the index of values, which has the time but not the id.
const NEWEST_OF_VALUE_FIRST: &str = " ORDER BY m.started_at DESC, e.id DESC LIMIT +";

/// Episodes of a page that is read where it is asked for: reading takes less than going to another
/// thread and back.
const SHORT_PAGE: usize = 32;

/// True when a listing reads a short page in the order of an index and little else: nothing but the
/// time, or one value or another of metadata, restricts it. What is archived is passed over, and is
/// mostly older than what is on the page; a memory with nothing but that takes 80 ms for 100,000 of it.
pub(crate) fn is_short(query: &ListQuery) -> bool {
    let is_of_value = |condition: &Condition| {
        let ways = if condition.validate().is_ok() { ways(condition) } else { Vec::new() };
        let in_order = |way: &Way<'_>| way.is_of_values() && way.rest.is_empty();
        matches!(query.scope, Scope::Project(_)) && ways.len() == 1 && ways.iter().all(in_order)
    };
    query.limit <= SHORT_PAGE
        && !is_of_columns(&query.filter)
        && query.filter.metadata.as_ref().is_none_or(is_of_value)
}

/// True when more than the time and the metadata of episodes is asked for.
fn is_of_columns(filter: &Filter) -> bool {
    let Filter { task_type, domain, language, states, min_reward, .. } = filter;
    let names = [task_type, domain, language].into_iter().any(Option::is_some);
    names || !states.is_empty() || min_reward.is_some()
}

pub(crate) fn list(query: &ListQuery) -> Result<Statement> {
    let listing = Listing::new(query)?;
    let mut sql = Sql::new("WITH ");
    match &query.filter.metadata {
        None => {
            sql.push(CANDIDATES);
            listing.by_time(&mut sql, None);
            sql.push(NEWEST_FIRST).bind("", listing.one_more.clone());
        }
        Some(condition) => listing.by_metadata(&mut sql, condition),
    }
    Ok(page_rows(sql, "started_at DESC, id DESC", listing.limit))
}

/// A query with its cursor read.
struct Listing<'q> {
    query: &'q ListQuery,
    after: Option<(Timestamp, Vec<u8>)>,
    limit: usize,
    one_more: Value,
}

impl<'q> Listing<'q> {
    fn new(query: &'q ListQuery) -> Result<Self> {
        if let Some(condition) = &query.filter.metadata {
            condition.validate()?;
        }
        let (limit, one_more) = page_limit(query.limit);
        let after = query.after.as_deref().map(position).transpose()?;
        Ok(Listing { query, after, limit, one_more })
    }

    /// By the best way that leads to few episodes; else by the order of time, among those with a
    /// value if one is given, among all if not. The statement finds out itself which it is, in the
    /// same round trip: the parts it does not take have a LIMIT of 0.
    fn by_metadata(&self, sql: &mut Sql, condition: &Condition) {
        let ways = ways(condition);
        let in_order = ways.iter().find(|way| self.is_ordered(way));
        let page = |sql: &mut Sql| _ = sql.bind("", self.one_more.clone());
        if let (Some(way), [_]) = (in_order, ways.as_slice()) {
            sql.push(CANDIDATES);
            self.by_value_in_order(sql, way, page);
            return;
        }
        self.choose(sql, &ways);
        let spread = ways.iter().position(|way| in_order.is_none() && self.is_range(way));
        if let Some((way, i)) = spread.and_then(|i| Some((ways.get(i)?, i))) {
            self.spread(sql, way, i);
        }
        sql.push(", ").push(CANDIDATES);
        for (i, way) in ways.iter().enumerate() {
            sql.push("SELECT * FROM (");
            self.by_value(sql, way);
            sql.push(NEWEST_FIRST);
            sql.bind("(SELECT count(*) FROM chosen WHERE way = ", Value::Integer(i as i64));
            sql.push(if spread == Some(i) {
                ") * (SELECT NOT few FROM spread) * "
            } else {
                ") * "
            });
            sql.bind("", self.one_more.clone()).push(") UNION ALL ");
            if spread == Some(i) {
                self.by_spread_values(sql, way, i);
                sql.push(" UNION ALL ");
            }
        }
        // Nothing when there is a way that leads to few, or one of few values.
        let page = |sql: &mut Sql| {
            sql.push(match spread {
                Some(_) => "(SELECT NOT few FROM spread) * (SELECT count(*) = 0 FROM chosen)",
                None => "(SELECT count(*) = 0 FROM chosen)",
            });
            sql.bind(" * ", self.one_more.clone());
        };
        sql.push("SELECT * FROM (");
        match in_order {
            Some(way) => self.by_value_in_order(sql, way, page),
            None => {
                self.by_time(sql, Some(condition));
                sql.push(NEWEST_FIRST);
                page(sql);
            }
        }
        sql.push(")");
    }

    /// The number of the way that leads to the fewest episodes, if those are few.
    fn choose(&self, sql: &mut Sql, ways: &[Way<'_>]) {
        sql.push(
            "chosen (way) AS MATERIALIZED (SELECT way FROM (SELECT 0 AS way, 0 AS n WHERE FALSE",
        );
        for (way, i) in ways.iter().zip(0..) {
            sql.bind(" UNION ALL SELECT ", Value::Integer(i)).push(", count(*) FROM (");
            self.rows(sql, way, " UNION ALL ");
            sql.bind(" LIMIT +", Value::Integer(FEW)).push(")");
        }
        sql.bind(") WHERE n < ", Value::Integer(FEW));
        sql.bind(" AND n * n < ", Value::Integer(PER_PAGE * self.limit as i64));
        sql.push(" * (SELECT coalesce(max(rid), 0) + 1 FROM episodes) ORDER BY n LIMIT 1)");
    }

    /// True when a way is one range of values, each in the order of time, with little else to be looked
    /// at in episodes.
    fn is_range(&self, way: &Way<'_>) -> bool {
        way.ranges.len() == 1
            && !way.is_of_values()
            && way.rest.len() <= FEW_TESTS
            && !is_of_columns(&self.query.filter)
            && matches!(self.query.scope, Scope::Project(_))
    }

    /// The values of a range, each found from the one before it, and whether they are few. Those of all
    /// projects, because each is one look into the index then. None when another way was chosen.
    fn spread(&self, sql: &mut Sql, way: &Way<'_>, i: usize) {
        let Some(comparisons) = way.ranges.first() else { return };
        let next = "(SELECT m.value FROM episode_metadata m WHERE TRUE";
        sql.push(", present (n, value) AS MATERIALIZED (SELECT 0, ").push(next);
        ends(sql, comparisons, true);
        sql.push(" ORDER BY m.value LIMIT 1) WHERE NOT EXISTS (SELECT 1 FROM chosen WHERE way <> ");
        sql.bind("", Value::Integer(i as i64)).push(") UNION ALL SELECT n + 1, ").push(next);
        sql.push(" AND m.value > present.value");
        ends(sql, comparisons, false);
        sql.push(" ORDER BY m.value LIMIT 1) FROM present WHERE present.value IS NOT NULL");
        sql.bind(" AND n < ", Value::Integer(FEW_VALUES));
        sql.push("), spread (few) AS MATERIALIZED (SELECT count(value) <= ");
        sql.bind("", Value::Integer(FEW_VALUES)).push(" FROM present)");
    }

    /// The episodes of each of the values side by side: the engine merges them by time and reads no
    /// more of each than the page takes.
    fn by_spread_values(&self, sql: &mut Sql, way: &Way<'_>, i: usize) {
        let Some(comparisons) = way.ranges.first() else { return };
        sql.push("SELECT * FROM (");
        let mark = sql.mark();
        sql.push("SELECT e.rid, m.started_at, e.id, e.text_bytes FROM episode_metadata m ");
        sql.push("CROSS JOIN episodes e ON e.rid = m.episode WHERE TRUE");
        sql.push(" AND m.value = (SELECT value FROM present LIMIT 1 OFFSET 0)");
        range(sql, comparisons);
        self.in_time(sql, &way.rest);
        let end = sql.mark();
        for n in 1..FEW_VALUES {
            sql.push(" UNION ALL ").repeat(mark..end, "OFFSET 0)", &format!("OFFSET {n})"));
        }
        sql.push(" ORDER BY 2 DESC, 3 DESC LIMIT +(SELECT few FROM spread) * ");
        sql.bind("(SELECT count(*) = 0 FROM chosen WHERE way <> ", Value::Integer(i as i64));
        sql.bind(") * ", self.one_more.clone()).push(")");
    }

    /// The rows of the index on a way.
    fn rows(&self, sql: &mut Sql, way: &Way<'_>, union: &'static str) {
        for (i, comparisons) in way.ranges.iter().enumerate() {
            sql.push(if i > 0 { union } else { "" });
            sql.push("SELECT m.episode FROM episode_metadata m WHERE TRUE");
            range(sql, comparisons);
            self.in_project(sql);
        }
    }

    fn by_value(&self, sql: &mut Sql, way: &Way<'_>) {
        sql.push("SELECT e.rid, e.started_at, e.id, e.text_bytes FROM (");
        // An episode may be in several ranges.
        self.rows(sql, way, " UNION ");
        sql.push(") found CROSS JOIN episodes e ON e.rid = found.episode WHERE TRUE");
        self.restrict(sql, &way.rest);
    }

    /// True when the rows of a way are in the order of time already.
    fn is_ordered(&self, way: &Way<'_>) -> bool {
        way.is_of_values() && matches!(self.query.scope, Scope::Project(_))
    }

    /// A page of each value, read in order; the page of them all is among these.
    fn by_value_in_order(&self, sql: &mut Sql, way: &Way<'_>, page: impl Fn(&mut Sql)) {
        if let [one] = way.ranges.as_slice() {
            self.value_in_order(sql, one, way, page);
            return;
        }
        sql.push("SELECT * FROM (");
        for (i, value) in way.ranges.iter().enumerate() {
            // An episode may have several of the values.
            sql.push(if i > 0 { " UNION SELECT * FROM (" } else { "SELECT * FROM (" });
            self.value_in_order(sql, value, way, &page);
            sql.push(")");
        }
        sql.push(") found ORDER BY found.started_at DESC, found.id DESC LIMIT +");
        page(sql);
    }

    fn value_in_order(
        &self,
        sql: &mut Sql,
        value: &[&Condition],
        way: &Way<'_>,
        page: impl Fn(&mut Sql),
    ) {
        sql.push("SELECT e.rid, m.started_at, e.id, e.text_bytes FROM episode_metadata m ");
        sql.push("CROSS JOIN episodes e ON e.rid = m.episode WHERE TRUE");
        range(sql, value);
        self.in_time(sql, &way.rest);
        sql.push(NEWEST_OF_VALUE_FIRST);
        page(sql);
    }

    /// Restricts the metadata `m` to the project and to the time that is asked for, and its episodes to
    /// the rest.
    fn in_time(&self, sql: &mut Sql, rest: &[&Condition]) {
        self.in_project(sql);
        let filter = &self.query.filter;
        if let Some(since) = filter.since {
            sql.bind(" AND m.started_at >= ", Value::Integer(since.0));
        }
        if let Some(until) = filter.until {
            sql.bind(" AND m.started_at < ", Value::Integer(until.0));
        }
        if let Some((at, _)) = &self.after {
            sql.bind(" AND m.started_at <= ", Value::Integer(at.0));
        }
        self.restrict(sql, rest);
    }

    fn by_time(&self, sql: &mut Sql, condition: Option<&Condition>) {
        sql.push(FROM_EPISODES);
        self.restrict(sql, condition.as_slice());
    }

    fn in_project(&self, sql: &mut Sql) {
        if let Scope::Project(project) = &self.query.scope {
            sql.bind(" AND m.project = ", text(project));
        }
    }

    /// To scope, filter, what comes after the cursor, and these conditions.
    fn restrict(&self, sql: &mut Sql, conditions: &[&Condition]) {
        scope(sql, &self.query.scope);
        filter(sql, &self.query.filter);
        if let Some((at, id)) = &self.after {
            sql.bind(" AND (e.started_at, e.id) < (", Value::Integer(at.0));
            sql.bind(", ", Value::Blob(id.clone())).push(")");
        }
        for condition in conditions {
            sql.push(" AND ");
            test(sql, condition);
        }
    }
}

/// The time and the id in a cursor.
fn position(after: &str) -> Result<(Timestamp, Vec<u8>)> {
    let [at, id] = cursor::decode::<2>(after)?;
    let at = at.try_into().map(i64::from_be_bytes).map_err(|_| cursor::unreadable(after))?;
    Ok((Timestamp(at), id))
}

/// The page of a listing from its rows.
pub(crate) fn list_page(rows: Vec<Vec<Value>>, payloads: &Payloads) -> Result<Page> {
    let (mut episodes, more) = page_episodes(rows, payloads)?;
    episodes.sort_unstable_by_key(|e| std::cmp::Reverse((e.started_at, e.id)));
    let next = episodes
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(&[&last.started_at.0.to_be_bytes(), last.id.as_bytes()]));
    Ok(Page { episodes: episodes.into_iter().map(Arc::new).collect(), next })
}
