//! Steps of running episodes: accepted here in one local commit, at no round trip.

use memory_core::episode::limits::{MAX_EPISODE_BYTES, MAX_STEPS};
use memory_core::store::{AppendSteps, Write};
use memory_core::{Episode, Error, Result, Step, Timestamp};

use super::entry::{encode, small};
use super::{PendingFile, Target, at, id, limit};
use crate::batch::{Statement, Value};
use crate::columns::Columns;

/// What the database is known to hold of a running episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its version there.
    pub version: u64,
    /// Its steps there.
    pub steps: u32,
    /// Bytes of its texts there, as the limit counts them.
    pub text_bytes: u64,
}

impl Head {
    /// Of a copy read from the database.
    pub fn of(episode: &Episode) -> Self {
        let steps: usize = episode.steps.iter().map(Step::size_bytes).sum();
        Head {
            version: episode.version,
            steps: u32::try_from(episode.steps.len()).unwrap_or(u32::MAX),
            text_bytes: (episode.task_description.len() + steps) as u64,
        }
    }
}

/// What became of steps that were to be journaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journaling {
    /// They are safe here, now or from an earlier call with the same write id.
    Kept {
        /// The version the database will have after all that waits.
        version: u64,
        /// The steps it will have.
        steps: u32,
    },
    /// They must go to the database: its answer is needed, or something else has to go first.
    NotHere,
}

/// Another process may know a later state.
const NOTE_HEAD: &str = "\
INSERT INTO heads (target, episode, version, steps, text_bytes, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (target, episode) DO UPDATE SET version = excluded.version, steps = excluded.steps,
    text_bytes = excluded.text_bytes, at = excluded.at
WHERE excluded.version >= heads.version";

/// All that the database would check, checked here: the number, the limits. Plus our own: no
/// completion under way, nothing but steps waiting for the episode, room in the file.
const PUT: &str = "\
INSERT INTO entries (target, episode, write_id, state, first, steps, text_bytes, bytes, at, payload)
SELECT ?1, ?2, ?3, 'journaled', h.steps + w.steps + 1, ?4, ?5, length(?6), ?7, ?6
FROM heads h, (SELECT coalesce(sum(steps), 0) AS steps, coalesce(sum(text_bytes), 0) AS bytes,
        count(*) FILTER (WHERE state = 'queued') AS queued
    FROM entries WHERE target = ?1 AND episode = ?2 AND state IN ('journaled', 'queued')) w,
    (SELECT count(*) AS n, coalesce(sum(bytes), 0) AS bytes FROM entries
    WHERE state IN ('journaled', 'queued', 'conflict')) f
WHERE h.target = ?1 AND h.episode = ?2 AND h.closed_until < ?7 AND w.queued = 0
    AND (?8 IS NULL OR h.steps + w.steps + 1 = ?8)
    AND h.steps + w.steps + ?4 <= ?9 AND h.text_bytes + w.bytes + ?5 <= ?10
    AND f.n < ?11 AND f.bytes + length(?6) <= ?12
ON CONFLICT (target, write_id) DO NOTHING";

const STATUS: &str = "\
SELECT (SELECT state FROM entries WHERE target = ?1 AND write_id = ?3),
    h.version + (SELECT count(*) FROM entries
        WHERE target = ?1 AND episode = ?2 AND state IN ('journaled', 'queued')),
    h.steps + (SELECT coalesce(sum(steps), 0) FROM entries
        WHERE target = ?1 AND episode = ?2 AND state IN ('journaled', 'queued'))
FROM heads h WHERE h.target = ?1 AND h.episode = ?2";

const WAS_ACCEPTED: &str = "\
SELECT 1 FROM entries WHERE target = ?1 AND write_id = ?2 AND state <> 'conflict'";

impl PendingFile {
    /// Journals steps of a running episode that the database holds as `head` says.
    ///
    /// # Errors
    ///
    /// As of any write to a file; nothing was kept then.
    pub async fn journal(
        &self,
        target: Target,
        head: Head,
        append: &AppendSteps,
        now: Timestamp,
    ) -> Result<Journaling> {
        // The caller's number was checked when it was accepted. Should another machine be quicker,
        // the steps are still wanted, with the numbers that come next.
        let accepted = AppendSteps { first: None, ..append.clone() };
        let payload = encode(&Write::AppendSteps(accepted))?;
        let (target, episode) = (target.value(), id(append.id));
        let write_id = Value::Blob(append.write_id.as_bytes().to_vec());
        let text_bytes = append.steps.iter().map(Step::size_bytes).sum::<usize>() as u64;
        let note = vec![
            target.clone(),
            episode.clone(),
            limit(head.version),
            limit(head.steps.into()),
            limit(head.text_bytes),
            at(now),
        ];
        let put = vec![
            target.clone(),
            episode.clone(),
            write_id.clone(),
            limit(append.steps.len() as u64),
            limit(text_bytes),
            Value::Blob(payload),
            at(now),
            append.first.map_or(Value::Null, |first| Value::Integer(first.into())),
            limit(MAX_STEPS as u64),
            limit(MAX_EPISODE_BYTES as u64),
            limit(self.max_entries),
            limit(self.max_bytes),
        ];
        let statements = vec![
            Statement::new(NOTE_HEAD, note),
            Statement::new(PUT, put),
            Statement::new(STATUS, vec![target, episode, write_id]),
        ];
        let status = self.write(statements).await?.pop();
        let mut row = Columns::first_of(status.into_iter().collect())?;
        let state = row.optional_text()?;
        let (version, steps) = (row.unsigned()?, small(row.unsigned()?));
        Ok(match state.as_deref() {
            None | Some("conflict") => Journaling::NotHere,
            Some(_) => Journaling::Kept { version, steps },
        })
    }

    /// True when a write was accepted here before, whether it still waits or was delivered since.
    pub async fn was_accepted(&self, target: Target, append: &AppendSteps) -> Result<bool> {
        let write_id = Value::Blob(append.write_id.as_bytes().to_vec());
        let params = vec![target.value(), write_id];
        let rows = self.read(Statement::new(WAS_ACCEPTED, params)).await?;
        Ok(!rows.is_empty())
    }
}

/// The refusal of a file that is full.
pub(super) fn full(n: u64, bytes: u64) -> Error {
    Error::Refused {
        problem: format!("{n} writes with {bytes} bytes wait for the database, more may not"),
        hint: "wait until it can be reached, or drop some with `memory-mcp outbox`".into(),
    }
}
