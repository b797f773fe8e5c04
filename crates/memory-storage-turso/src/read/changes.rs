//! The change feed.

use memory_core::store::{Change, Changes, Watermark};
use memory_core::{EpisodeId, Result, WriteId};

use super::read;
use crate::batch::{Batch, Statement, StatementResult, Value};
use crate::columns::Columns;

/// Changes that are told one by one. With more it is cheaper to look at everything anew.
const MAX_CHANGES: usize = 1000;

/// The database, the newest change, the oldest one kept, and the write at the caller's watermark.
const POSITION: &str = "\
SELECT (SELECT value FROM meta WHERE key = 'database'),
    (SELECT max(seq) FROM changes),
    (SELECT write_id FROM changes WHERE seq = (SELECT max(seq) FROM changes)),
    (SELECT min(seq) FROM changes),
    (SELECT write_id FROM changes WHERE seq = ?1)";

const AFTER: &str = "\
SELECT kind, seq, id, version FROM changes WHERE seq > ?1 ORDER BY seq LIMIT +?2";

pub(crate) fn changes(since: Option<&Watermark>) -> Batch {
    let seq = since.map_or(0, |since| i64::try_from(since.seq).unwrap_or(i64::MAX));
    let mut statements = vec![Statement::new(POSITION, vec![Value::Integer(seq)])];
    if since.is_some() {
        let limit = Value::Integer(MAX_CHANGES as i64 + 1);
        statements.push(Statement::new(AFTER, vec![Value::Integer(seq), limit]));
    }
    read(statements)
}

pub(crate) fn result(
    since: Option<&Watermark>,
    mut results: Vec<StatementResult>,
) -> Result<Changes> {
    let after = if results.len() > 1 { results.pop() } else { None };
    let mut row = Columns::first_of(results)?;
    let database = row.id()?;
    let newest = row.optional_integer()?.map_or(0, |n| u64::try_from(n).unwrap_or(0));
    let write_id = row.optional_id()?.map(WriteId::from_bytes);
    let oldest = row.optional_integer()?.map_or(1, |n| u64::try_from(n).unwrap_or(0));
    let seen = row.optional_id()?.map(WriteId::from_bytes);

    let watermark = Watermark { database, seq: newest, write_id };
    let rows = after.map(|result| result.rows).unwrap_or_default();
    // The same database, still with the change last seen there, and nothing in between trimmed away.
    let continues = since.is_none_or(|since| {
        since.database == database
            && if since.seq == 0 { oldest <= 1 } else { seen.is_some() && since.write_id == seen }
    });
    let jumped = !continues || rows.len() > MAX_CHANGES;
    let mut entries = Vec::new();
    if !jumped {
        for row in rows {
            entries.extend(change(Columns::new(row))?);
        }
    }
    Ok(Changes { entries, watermark, jumped })
}

/// Changes of lessons, feedback and relations move the watermark and are no entries.
fn change(mut row: Columns) -> Result<Option<Change>> {
    let (kind, seq, id) = (row.text()?, row.unsigned()?, row.id()?);
    let version = row.optional_integer()?.and_then(|n| u64::try_from(n).ok());
    let id = EpisodeId::from_bytes(id);
    Ok((kind == "episode").then_some(Change { seq, id, version }))
}
