//! The schema and how a database gets to it.
//!
//! Migrations are append-only: a released file is never edited, its checksum is on record in every
//! database. All that is pending runs as one atomic batch, on any transport: a database is at the old
//! schema or at the new one, whenever it is looked at, and of several processes that find it old one
//! changes it. A file is backed up before its first change.
//!
//! A step must leave the statements of the build before it working, or that build's processes, which
//! may still have the database open, would fail until they are started anew.
//!
//! - `ledger`: which steps a database has seen, and whether it is ours at all
//! - `migrate`: from there to this build's schema, or to another one

mod ledger;
mod migrate;
#[cfg(test)]
mod plan_guard;
#[cfg(test)]
mod tests;

pub(crate) use ledger::{Kind, applied as applied_of, kind, steps, tables};
pub use migrate::Upgrade;
pub(crate) use migrate::{applied, bring_up, build, go, upgrade_copy};

use sha2::{Digest, Sha256};

/// One numbered step of a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) down: Down,
}

/// The way back from a step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Down {
    /// Statements that undo it. Nothing that was stored gets lost by them, unless the query, which
    /// asks for one number, gives another one than 0: then there is no way back, for the reason.
    Lossless { sql: &'static str, blocked_by: Option<(&'static str, &'static str)> },
    /// Why there is none.
    None(&'static str),
}

/// Every step of the durable store, in order.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "episodes",
        sql: include_str!("migrations/0001_episodes.sql"),
        down: Down::None("it makes the tables of which all the rest is made"),
    },
    Migration {
        number: 2,
        name: "dictionaries",
        sql: include_str!("migrations/0002_dictionaries.sql"),
        down: Down::Lossless {
            sql: include_str!("migrations/0002_dictionaries.down.sql"),
            blocked_by: Some((
                COMPRESSED,
                "there are compressed episodes, which the build before cannot read; \
                `memory-mcp migrate --reencode --set payload.compression=none` first",
            )),
        },
    },
    Migration {
        number: 3,
        name: "vectors",
        sql: include_str!("migrations/0003_vectors.sql"),
        // Whatever is in it can be made again.
        down: Down::Lossless {
            sql: include_str!("migrations/0003_vectors.down.sql"),
            blocked_by: None,
        },
    },
];

/// Payloads whose header says that they are compressed, and dictionaries.
const COMPRESSED: &str = "\
SELECT (SELECT count(*) FROM dictionaries)
    + (SELECT count(*) FROM episodes WHERE hex(substr(payload, 1, 1)) = 'C1' AND hex(substr(payload, 4, 1)) <> '00')
    + (SELECT count(*) FROM steps WHERE hex(substr(payload, 1, 1)) = 'C1' AND hex(substr(payload, 4, 1)) <> '00')";

/// What is on record of a step's text.
fn fingerprint(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The statements of a file: each ends with a semicolon at the end of a line.
fn split(sql: &'static str) -> impl Iterator<Item = &'static str> {
    sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}
