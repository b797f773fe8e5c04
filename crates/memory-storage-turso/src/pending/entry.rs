//! A waiting write as it is stored.

use memory_core::store::{Write, Written};
use memory_core::{EpisodeId, Error, Result, Timestamp, WriteId};

use super::Target;
use crate::columns::Columns;
use crate::payload;

/// What becomes of an entry next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// Steps of a running episode; delivered within seconds.
    Journaled,
    /// Delivered when the database can be reached.
    Queued,
    /// The database refused it for good; kept until somebody retries or drops it.
    Conflict,
}

impl EntryState {
    /// The name used in the file and in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            EntryState::Journaled => "journaled",
            EntryState::Queued => "queued",
            EntryState::Conflict => "conflict",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [EntryState::Journaled, EntryState::Queued, EntryState::Conflict];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// A write that waits.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the order of all of them.
    pub seq: u64,
    /// The database it is for.
    pub target: Target,
    /// That database's URL, without credentials.
    pub url: String,
    /// The episode it changes; `None` for what changes none.
    pub episode: Option<EpisodeId>,
    /// What becomes of it.
    pub state: EntryState,
    /// The number of its first step when it was journaled; 0 for what brings no steps.
    pub first: u32,
    /// Bytes of the texts of its steps.
    pub text_bytes: u64,
    /// When it was accepted.
    pub at: Timestamp,
    /// How often its delivery failed.
    pub attempts: u32,
    /// Why, the last time.
    pub error: Option<String>,
    /// The write; an [`Error::Corrupt`] when its bytes are damaged.
    pub write: Result<Write>,
}

/// What the delivery of an entry came to.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The entry.
    pub seq: u64,
    /// What is to be done with it.
    pub settlement: Settlement,
}

/// What is to be done with an entry after an attempt to deliver it.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// The database has it.
    Delivered(Written),
    /// It is of no use any more.
    Dropped,
    /// The database refuses it for good, in these words.
    Refused(String),
    /// It is tried again.
    Failed(String),
}

/// The columns [`entry`] reads, of `entries e JOIN targets t`.
pub(super) const COLUMNS: &str = "\
SELECT e.seq, e.target, t.url, e.episode, e.state, e.first, e.text_bytes, e.at, e.attempts, e.error,
    e.payload
FROM entries e JOIN targets t ON t.id = e.target ";

pub(super) fn entry(row: Vec<crate::batch::Value>) -> Result<Entry> {
    let mut row = Columns::new(row);
    let (seq, target, url) = (row.unsigned()?, Target(row.integer()?), row.text()?);
    let episode = row.optional_id()?.map(EpisodeId::from_bytes);
    let state = row.text()?;
    let state = EntryState::parse(&state).ok_or_else(|| Error::Corrupt {
        thing: format!("entry {seq} of pending.db"),
        problem: format!("its state {:?} is not known", memory_core::error::excerpt(&state)),
        hint: "upgrade memory-mcp, or move the file away",
    })?;
    Ok(Entry {
        seq,
        target,
        url,
        episode,
        state,
        first: small(row.unsigned()?),
        text_bytes: row.unsigned()?,
        at: Timestamp(row.integer()?),
        attempts: small(row.unsigned()?),
        error: row.optional_text()?,
        write: payload::decode_plain(&format!("entry {seq} of pending.db"), &row.blob()?),
    })
}

pub(super) fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The stored form of a write: JSON, so that any tool can show what waits.
pub(super) fn encode(write: &Write) -> Result<Vec<u8>> {
    payload::encode_plain(write)
}

/// The episode a write changes, for the order in which writes are delivered.
pub(super) fn episode(write: &Write) -> Option<EpisodeId> {
    match write {
        Write::Save(save) => Some(save.episode.id),
        Write::AppendSteps(append) => Some(append.id),
        Write::Forget(forget) => Some(forget.id),
        Write::PutTombstone(tombstone) => Some(tombstone.id),
        Write::Feedback(_) | Write::Relate(_) | Write::PutLesson(_) => None,
    }
}

/// What names a write: its own id, or for one that is idempotent by what it says, one made of that.
pub(super) fn write_id(write: &Write, payload: &[u8]) -> WriteId {
    match write {
        Write::Save(save) => save.write_id,
        Write::AppendSteps(append) => append.write_id,
        Write::Forget(_)
        | Write::Feedback(_)
        | Write::Relate(_)
        | Write::PutLesson(_)
        | Write::PutTombstone(_) => WriteId::derive(&[payload]),
    }
}
