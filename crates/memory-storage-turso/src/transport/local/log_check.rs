//! Whether the log beside a file ends where its writer ended it.
//!
//! The engine reads the log up to the first record that does not verify, and goes on as if nothing had
//! been behind it. That is right after a crash: what it leaves behind was never committed. When records
//! that end a transaction lie behind it, of the same run of the log, then the log was damaged and commits
//! are missing: somebody should know. A log that was cut off looks like a shorter one, and damage to the
//! last transaction like one that was never finished; both pass in silence.
//!
//! The format: <https://sqlite.org/fileformat2.html#walformat>.

use std::io;
use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The two values of the format's magic number: checksums over words in this byte order.
const LITTLE: u32 = 0x377f_0682;
const BIG: u32 = 0x377f_0683;

/// Where a log was damaged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Bytes before the first record that does not verify.
    at: usize,
    /// Transactions that end behind it.
    lost: usize,
}

/// Logs a warning when the log beside `database` is damaged. Its own file handle is of the log alone:
/// the engine's locks are on the other two files.
pub(super) fn warn_of_damage(database: &Path) {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let log = PathBuf::from(name);
    match damage_in(&log) {
        Ok(None) => {}
        Ok(Some(Damage { at, lost })) => tracing::warn!(
            "{} is damaged at byte {at}: {lost} commits behind it cannot be read and are missing, all \
             that came before is there; compare with a backup or an export",
            log.display()
        ),
        Err(error) => tracing::debug!(%error, "the log could not be looked at"),
    }
}

fn damage_in(log: &Path) -> io::Result<Option<Damage>> {
    let read = || match std::fs::read(log) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    };
    let found = damage(&read()?);
    if found.is_none() {
        return Ok(None);
    }
    // Another process may have been writing to it just then.
    Ok(if damage(&read()?) == found { found } else { None })
}

/// Reads a log as the engine does.
fn damage(log: &[u8]) -> Option<Damage> {
    let header = log.get(..HEADER)?;
    let magic = word(header, 0, u32::from_be_bytes)?;
    let order: Order = match magic {
        LITTLE => u32::from_le_bytes,
        BIG => u32::from_be_bytes,
        _ => return damaged_header(log),
    };
    let page = usize::try_from(word(header, 8, u32::from_be_bytes)?).ok()?;
    let page = if page == 1 { 65_536 } else { page };
    if !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        return damaged_header(log);
    }
    let mut sum = checksum((0, 0), header.get(..24)?, order);
    if Some(sum) != stored_sum(header, 24) {
        return damaged_header(log);
    }
    let salt = header.get(16..24)?;
    let mut frames = log.get(HEADER..)?.chunks_exact(FRAME_HEADER + page);
    let mut at = HEADER;
    for frame in frames.by_ref() {
        let (head, content) = frame.split_at(FRAME_HEADER);
        sum = checksum(checksum(sum, head.get(..8)?, order), content, order);
        let whole = head.get(8..16) == Some(salt) && Some(sum) == stored_sum(head, 16);
        if !whole {
            // What an earlier run left has another salt; what a crash left ends no transaction.
            let ends = |frame: &[u8]| word(frame, 4, u32::from_be_bytes).is_some_and(|n| n > 0);
            let lost = frames.filter(|f| f.get(8..16) == Some(salt) && ends(f)).count();
            return (lost > 0).then_some(Damage { at, lost });
        }
        at += frame.len();
    }
    None
}

/// The header is written and synced before the records: a log that has records has a good one. How many
/// commits it held cannot be told without it; at most one a record of the usual size.
fn damaged_header(log: &[u8]) -> Option<Damage> {
    let lost = log.len().saturating_sub(HEADER) / (FRAME_HEADER + 4096);
    (lost > 0).then_some(Damage { at: 0, lost })
}

type Order = fn([u8; 4]) -> u32;

fn word(bytes: &[u8], at: usize, order: Order) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(order)
}

fn stored_sum(bytes: &[u8], at: usize) -> Option<(u32, u32)> {
    Some((word(bytes, at, u32::from_be_bytes)?, word(bytes, at + 4, u32::from_be_bytes)?))
}

/// The format's running checksum over pairs of words.
fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], order: Order) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let (Some(x), Some(y)) = (word(pair, 0, order), word(pair, 4, order)) else { break };
        a = a.wrapping_add(x).wrapping_add(b);
        b = b.wrapping_add(y).wrapping_add(a);
    }
    (a, b)
}
