//! Writes of any kind that wait: adding, delivering, listing, retrying, dropping.

use memory_core::store::Write;
use memory_core::{EpisodeId, Result, Timestamp};

use super::entry::{self, COLUMNS, Entry, Settled, Settlement};
use super::journal::full;
use super::{PendingFile, REMEMBERED_US, Target, at, id, id_list, limit};
use crate::batch::{Statement, Value};
use crate::columns::Columns;

/// How long a completion may be under way before its announcement is void: its process is gone.
const CLOSING_US: i64 = 60 * 1_000_000;

/// How long after its announcement a completion is worth waiting for; and for the next attempt, how long
/// after one that came too late. Less would not do where it has thousands of steps to read.
const WORTH_WAITING_US: i64 = 5 * 1_000_000;

/// How what was announced ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The episode is completed or forgotten.
    Done,
    /// Steps came before it. Those that come now wait for the next attempt, or it may never succeed.
    Overtaken,
    /// It goes on.
    Not,
}

/// How much waits, in all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PendingCounts {
    /// Journaled steps, as calls.
    pub journaled: u64,
    /// Queued writes.
    pub queued: u64,
    /// Writes the database refused for good.
    pub conflicts: u64,
    /// Bytes of all of these.
    pub bytes: u64,
}

const WAITING: &str = "e.state IN ('journaled', 'queued')";

const ENQUEUE: &str = "\
INSERT INTO entries (target, episode, write_id, state, first, steps, text_bytes, bytes, at, payload)
SELECT ?1, ?2, ?3, 'queued', ?4, ?5, 0, length(?6), ?7, ?6
FROM (SELECT count(*) AS n, coalesce(sum(bytes), 0) AS bytes FROM entries
    WHERE state IN ('journaled', 'queued', 'conflict')) f
WHERE f.n < ?8 AND f.bytes + length(?6) <= ?9
ON CONFLICT (target, write_id) DO NOTHING";

const ENQUEUED: &str = "\
SELECT (SELECT seq FROM entries WHERE target = ?1 AND write_id = ?2),
    (SELECT count(*) FROM entries WHERE state IN ('journaled', 'queued', 'conflict')),
    (SELECT coalesce(sum(bytes), 0) FROM entries WHERE state IN ('journaled', 'queued', 'conflict'))";

const CLOSE: &str = "\
INSERT INTO heads (target, episode, version, steps, text_bytes, closed_until, at)
VALUES (?1, ?2, 0, 0, 0, ?3, ?4)
ON CONFLICT (target, episode) DO UPDATE SET closed_until = excluded.closed_until, at = excluded.at";

/// Announced lately, by whichever clock, or held. What is closed for good is so for far longer.
const IS_CLOSING: &str = "\
SELECT 1 FROM heads WHERE target = ?1 AND episode = ?2
    AND (closed_until BETWEEN ?3 AND ?4 OR closed_until BETWEEN ?5 AND ?6)";

const CLOSE_UNTIL: &str = "\
UPDATE heads SET closed_until = ?3 WHERE target = ?1 AND episode = ?2";

const DELIVERED: &str = "\
UPDATE entries SET state = 'delivered', payload = x'', bytes = 0, error = NULL
WHERE seq = ?1 AND state IN ('journaled', 'queued')";

/// Together with the entry: what waits and what is known to be there always add up. Of an entry that
/// somebody else has settled meanwhile, nothing is counted twice.
const ADVANCE_HEAD: &str = "\
UPDATE heads SET version = max(version, ?2), steps = max(steps, ?3), text_bytes = text_bytes +
    (SELECT text_bytes FROM entries WHERE seq = ?1)
WHERE (target, episode) = (SELECT target, episode FROM entries
    WHERE seq = ?1 AND state IN ('journaled', 'queued'))";

const DROP: &str = "DELETE FROM entries WHERE seq = ?1";

const REFUSED: &str = "\
UPDATE entries SET state = 'conflict', error = ?2, attempts = attempts + 1
WHERE seq = ?1 AND state IN ('journaled', 'queued')";

const FAILED: &str = "\
UPDATE entries SET error = ?2, attempts = attempts + 1
WHERE seq = ?1 AND state IN ('journaled', 'queued')";

const TRIM_ENTRIES: &str = "DELETE FROM entries WHERE state = 'delivered' AND at < ?1";

const TRIM_HEADS: &str = "\
DELETE FROM heads WHERE at < ?1 AND closed_until < ?1 AND NOT EXISTS (SELECT 1 FROM entries e
    WHERE e.target = heads.target AND e.episode = heads.episode
        AND e.state IN ('journaled', 'queued'))";

const RETRY: &str = "\
UPDATE entries SET state = 'queued', error = NULL, attempts = 0
WHERE seq = ?1 AND state = 'conflict'";

const DISCARD: &str = "DELETE FROM entries WHERE seq = ?1 AND state <> 'delivered'";

const COUNTS: &str = "SELECT state, count(*), coalesce(sum(bytes), 0) FROM entries GROUP BY state";

impl PendingFile {
    /// Puts writes behind all that waits already; all of them or, in a full file, none.
    pub async fn enqueue(&self, target: Target, writes: &[Write], now: Timestamp) -> Result<()> {
        let mut statements = Vec::with_capacity(writes.len());
        let mut last = None;
        for write in writes {
            let payload = entry::encode(write)?;
            let write_id = Value::Blob(entry::write_id(write, &payload).as_bytes().to_vec());
            let (first, steps) = match write {
                Write::AppendSteps(append) => (append.first.unwrap_or(0), append.steps.len()),
                _ => (0, 0),
            };
            last = Some(write_id.clone());
            let params = vec![
                target.value(),
                entry::episode(write).map_or(Value::Null, id),
                write_id,
                limit(first.into()),
                limit(steps as u64),
                Value::Blob(payload),
                at(now),
                limit(self.max_entries),
                limit(self.max_bytes),
            ];
            statements.push(Statement::new(ENQUEUE, params));
        }
        let Some(last) = last else { return Ok(()) };
        statements.push(Statement::new(ENQUEUED, vec![target.value(), last]));
        let status = self.write(statements).await?.pop();
        let mut row = Columns::first_of(status.into_iter().collect())?;
        if row.optional_integer()?.is_none() {
            return Err(full(row.unsigned()?, row.unsigned()?));
        }
        Ok(())
    }

    /// What waits for these episodes, in order.
    pub async fn waiting(&self, target: Target, ids: &[EpisodeId]) -> Result<Vec<Entry>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "{COLUMNS} WHERE e.target = ?1 AND {WAITING} \
             AND e.episode IN (SELECT unhex(value) FROM json_each(?2)) ORDER BY e.seq"
        );
        self.entries_by(sql, vec![target.value(), id_list(ids)]).await
    }

    /// Queued writes and the steps accepted before `before`, with all that was accepted before these;
    /// the first so many, in order.
    pub async fn due(&self, target: Target, before: Timestamp, most: usize) -> Result<Vec<Entry>> {
        let sql = format!(
            "{COLUMNS} WHERE e.target = ?1 AND {WAITING} AND e.seq <= (SELECT max(seq) FROM entries e \
             WHERE e.target = ?1 AND {WAITING} AND (e.state = 'queued' OR e.at <= ?2)) \
             ORDER BY e.seq LIMIT +?3"
        );
        self.entries_by(sql, vec![target.value(), at(before), limit(most as u64)]).await
    }

    /// When the oldest waiting entry was accepted, and whether any is queued.
    pub async fn oldest(&self, target: Target) -> Result<Option<(Timestamp, bool)>> {
        let sql = format!(
            "SELECT min(e.at), coalesce(max(e.state = 'queued'), 0) FROM entries e \
             WHERE e.target = ?1 AND {WAITING}"
        );
        let statement = Statement { sql: sql.into(), params: vec![target.value()] };
        let Some(row) = self.read(statement).await?.pop() else { return Ok(None) };
        let mut row = Columns::new(row);
        let (at, queued) = (row.optional_integer()?, row.boolean()?);
        Ok(at.map(|at| (Timestamp(at), queued)))
    }

    /// The episodes something waits for.
    pub async fn episodes(&self, target: Target) -> Result<Vec<EpisodeId>> {
        let sql = format!(
            "SELECT DISTINCT e.episode FROM entries e \
             WHERE e.target = ?1 AND {WAITING} AND e.episode IS NOT NULL"
        );
        let statement = Statement { sql: sql.into(), params: vec![target.value()] };
        let rows = self.read(statement).await?;
        rows.into_iter().map(|row| Ok(EpisodeId::from_bytes(Columns::new(row).id()?))).collect()
    }

    /// Announces that an episode is about to be completed or forgotten: steps that come now are not
    /// journaled. What waits for it is as it will be sent once this returns.
    pub async fn announce_closing(
        &self,
        target: Target,
        episode: EpisodeId,
        now: Timestamp,
    ) -> Result<()> {
        let until = Value::Integer(now.0.saturating_add(CLOSING_US));
        let params = vec![target.value(), id(episode), until, at(now)];
        self.write(vec![Statement::new(CLOSE, params)]).await.map(drop)
    }

    /// True while it will soon be known whether an episode is completed or forgotten.
    pub async fn is_closing(
        &self,
        target: Target,
        episode: EpisodeId,
        now: Timestamp,
    ) -> Result<bool> {
        let after = |us: i64| at(Timestamp(now.0.saturating_add(us)));
        let held = [0, WORTH_WAITING_US];
        let announced = [CLOSING_US - WORTH_WAITING_US, 2 * CLOSING_US];
        let mut params = vec![target.value(), id(episode)];
        params.extend([held, announced].concat().into_iter().map(after));
        Ok(!self.read(Statement::new(IS_CLOSING, params)).await?.is_empty())
    }

    /// Ends what [`announce_closing`](Self::announce_closing) began for some episodes, and settles
    /// what was delivered on the way.
    pub async fn settle(
        &self,
        target: Target,
        settled: &[Settled],
        closings: &[(EpisodeId, Closed)],
        now: Timestamp,
    ) -> Result<()> {
        let mut statements: Vec<Statement> = settled.iter().flat_map(settle).collect();
        for (episode, closed) in closings {
            let until = match closed {
                Closed::Done => now.0.saturating_add(REMEMBERED_US),
                Closed::Overtaken => now.0.saturating_add(WORTH_WAITING_US),
                Closed::Not => 0,
            };
            let params = vec![target.value(), id(*episode), Value::Integer(until)];
            statements.push(Statement::new(CLOSE_UNTIL, params));
        }
        if statements.is_empty() {
            return Ok(());
        }
        let before = Value::Integer(now.0.saturating_sub(REMEMBERED_US));
        statements.push(Statement::new(TRIM_ENTRIES, vec![before.clone()]));
        statements.push(Statement::new(TRIM_HEADS, vec![before]));
        self.write(statements).await.map(drop)
    }

    /// Everything that waits or was refused, for every database, in order.
    pub async fn entries(&self) -> Result<Vec<Entry>> {
        let sql = format!("{COLUMNS} WHERE e.state <> 'delivered' ORDER BY e.seq");
        self.entries_by(sql, Vec::new()).await
    }

    /// Lets a refused entry be delivered again, in its old place. False: there is none of that number.
    pub async fn retry(&self, seq: u64) -> Result<bool> {
        self.change(RETRY, seq).await
    }

    /// Removes an entry for good. False: there is none of that number.
    pub async fn discard(&self, seq: u64) -> Result<bool> {
        self.change(DISCARD, seq).await
    }

    /// How much waits.
    pub async fn counts(&self) -> Result<PendingCounts> {
        let mut counts = PendingCounts::default();
        for row in self.read(Statement::new(COUNTS, vec![])).await? {
            let mut row = Columns::new(row);
            let (state, n, bytes) = (row.text()?, row.unsigned()?, row.unsigned()?);
            counts.bytes += bytes;
            match state.as_str() {
                "journaled" => counts.journaled = n,
                "queued" => counts.queued = n,
                "conflict" => counts.conflicts = n,
                _ => {}
            }
        }
        Ok(counts)
    }

    async fn entries_by(&self, sql: String, params: Vec<Value>) -> Result<Vec<Entry>> {
        let rows = self.read(Statement { sql: sql.into(), params }).await?;
        rows.into_iter().map(entry::entry).collect()
    }

    async fn change(&self, sql: &'static str, seq: u64) -> Result<bool> {
        let results = self.write(vec![Statement::new(sql, vec![limit(seq)])]).await?;
        Ok(results.first().is_some_and(|result| result.affected > 0))
    }
}

fn settle(settled: &Settled) -> Vec<Statement> {
    let seq = limit(settled.seq);
    let words = |words: &str| Value::Text(words.replace('\0', " "));
    match &settled.settlement {
        Settlement::Delivered(written) => {
            let steps = limit(written.steps.into());
            vec![
                Statement::new(ADVANCE_HEAD, vec![seq.clone(), limit(written.version), steps]),
                Statement::new(DELIVERED, vec![seq]),
            ]
        }
        Settlement::Dropped => vec![Statement::new(DROP, vec![seq])],
        Settlement::Refused(why) => vec![Statement::new(REFUSED, vec![seq, words(why)])],
        Settlement::Failed(why) => vec![Statement::new(FAILED, vec![seq, words(why)])],
    }
}
