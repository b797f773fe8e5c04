//! Episodes in the order of their rows, each with all that hangs on it, from one snapshot.

use std::collections::HashMap;

use memory_core::{Error, Result};

use super::report::{Part, Problem};
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::database::Database;
use crate::read::{self, MAX_PAGE_BYTES};

/// Episodes of a page.
const PAGE: i64 = 200;

/// `?1` the row before the page, `?2` episodes and `?3` bytes at most, but one in any case.
macro_rules! page {
    ($select:literal) => {
        concat!(
            "WITH candidates AS MATERIALIZED (SELECT e.rid, length(e.payload) + coalesce(\
               (SELECT sum(length(s.payload)) FROM steps s WHERE s.episode = e.rid), 0) AS bytes \
               FROM episodes e WHERE e.rid > ?1 ORDER BY e.rid LIMIT +?2), \
             page AS MATERIALIZED (SELECT rid FROM (SELECT rid, \
               sum(bytes) OVER (ORDER BY rid) - bytes AS before FROM candidates) \
               WHERE before <= ?3) ",
            $select
        )
    };
}

const EPISODES: &str = page!(
    "SELECT e.rid, e.id, e.version, e.write_id, e.payload, \
       EXISTS (SELECT 1 FROM episode_text_docsize t WHERE t.id = e.rid), \
       (SELECT c.version FROM changes c WHERE c.id = e.id AND c.kind = 'episode' \
          ORDER BY c.seq DESC LIMIT 1), \
       EXISTS (SELECT 1 FROM changes c WHERE c.id = e.id AND c.kind = 'episode'), \
       e.project, e.task_type, e.domain, e.language, e.started_at, e.ended_at, e.outcome, \
       e.reward, e.archived_at, e.step_count, e.text_bytes \
     FROM page CROSS JOIN episodes e ON e.rid = page.rid ORDER BY e.rid"
);

const METADATA: &str = page!(
    "SELECT m.episode, m.key, m.value, m.project, m.started_at \
     FROM page CROSS JOIN episode_metadata m ON m.episode = page.rid ORDER BY m.episode, m.key"
);

const STEPS: &str = page!(
    "SELECT s.episode, s.n, s.count, s.payload \
     FROM page CROSS JOIN steps s ON s.episode = page.rid ORDER BY s.episode, s.n"
);

/// The oldest change is the first one: nothing was trimmed away.
const FEED_BEGINS: &str = "SELECT coalesce((SELECT min(seq) FROM changes), 1)";

const NEXT: &str = "SELECT min(rid) FROM episodes WHERE rid > ?1";

/// An episode as the tables hold it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) rid: i64,
    pub(super) id: [u8; 16],
    pub(super) version: i64,
    pub(super) write_id: [u8; 16],
    pub(super) payload: Vec<u8>,
    pub(super) has_text: bool,
    /// The last change that the feed tells of: its version, `None` where there is no change.
    pub(super) last_change: Option<Option<i64>>,
    /// In the order of [`drawn`](crate::write::save::drawn).
    pub(super) columns: Vec<Value>,
    /// Key, value, project, time.
    pub(super) metadata: Vec<[Value; 4]>,
    /// Number of the first step, how many, and their payload.
    pub(super) steps: Vec<(u64, u64, Vec<u8>)>,
}

/// Some episodes.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    /// The feed still tells of every episode.
    pub(super) complete_feed: bool,
    pub(super) unreadable: Vec<Problem>,
}

/// A walk over all episodes. Where a page cannot be read, its episodes are read one by one.
#[derive(Debug)]
pub(super) struct Walk {
    after: i64,
    limit: i64,
    ended: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Walk { after: i64::MIN, limit: PAGE, ended: false }
    }
}

impl Walk {
    pub(super) async fn next(&mut self, database: &Database) -> Result<Option<Page>> {
        while !self.ended {
            match read_page(database, self.after, self.limit).await {
                Ok(page) => {
                    let Some(last) = page.rows.last() else { break };
                    (self.after, self.limit) = (last.rid, PAGE);
                    return Ok(Some(page));
                }
                Err(e) if e.is_retryable() => return Err(e),
                Err(_) if self.limit > 1 => self.limit = 1,
                Err(e) => return Ok(Some(self.skip(database, &e).await)),
            }
        }
        Ok(None)
    }

    /// Goes on behind an episode that cannot be read at all.
    async fn skip(&mut self, database: &Database, e: &Error) -> Page {
        let next = vec![Statement::new(NEXT, vec![Value::Integer(self.after)])];
        let row = database.run(read::read(next)).await.and_then(Columns::first_of);
        let thing = match row.and_then(|mut row| row.optional_integer()) {
            Ok(Some(rid)) => {
                self.after = rid;
                format!("the episode of row {rid}")
            }
            _ => {
                self.ended = true;
                format!("all episodes behind row {}", self.after)
            }
        };
        let unreadable = vec![Problem::lost(Part::Payload, thing, e.to_string())];
        Page { unreadable, ..Page::default() }
    }
}

async fn read_page(database: &Database, after: i64, limit: i64) -> Result<Page> {
    let bounds = [after, limit, MAX_PAGE_BYTES].map(Value::Integer).to_vec();
    let mut statements: Vec<_> =
        [EPISODES, METADATA, STEPS].iter().map(|sql| Statement::new(sql, bounds.clone())).collect();
    statements.push(Statement::new(FEED_BEGINS, vec![]));
    let mut results = database.run(read::read(statements)).await?.into_iter();
    let mut rows = || results.next().map(|result| result.rows).unwrap_or_default();

    let mut page = Page::default();
    let mut places = HashMap::new();
    for row in rows() {
        let row = episode(row)?;
        places.insert(row.rid, page.rows.len());
        page.rows.push(row);
    }
    let place = |row: &mut Columns| Ok::<_, Error>(places.get(&row.integer()?).copied());
    for row in rows() {
        let mut row = row.into_iter();
        let place = place(&mut Columns::new(row.by_ref().take(1).collect()))?;
        let owner = place.and_then(|place| page.rows.get_mut(place));
        if let (Some(owner), Ok(entry)) = (owner, row.collect::<Vec<_>>().try_into()) {
            owner.metadata.push(entry);
        }
    }
    for row in rows() {
        let mut row = Columns::new(row);
        let place = place(&mut row)?;
        let entry = (row.unsigned()?, row.unsigned()?, row.blob()?);
        if let Some(owner) = place.and_then(|place| page.rows.get_mut(place)) {
            owner.steps.push(entry);
        }
    }
    let first = rows().into_iter().next().map(Columns::new);
    page.complete_feed = first.map(|mut row| row.integer()).transpose()? == Some(1);
    Ok(page)
}

fn episode(mut row: Vec<Value>) -> Result<Row> {
    let columns = row.split_off(8.min(row.len()));
    let mut row = Columns::new(row);
    let (rid, id, version, write_id) = (row.integer()?, row.id()?, row.integer()?, row.id()?);
    let (payload, has_text) = (row.blob()?, row.boolean()?);
    let (change, is_told) = (row.optional_integer()?, row.boolean()?);
    Ok(Row {
        rid,
        id,
        version,
        write_id,
        payload,
        has_text,
        last_change: is_told.then_some(change),
        columns,
        metadata: Vec::new(),
        steps: Vec::new(),
    })
}
