//! Importers: recorded runs of agents become episodes.
//!
//! [`plan()`] finds out what the given files and folders hold, by their content; [`Importer`] reads
//! them record by record, however large they are. A malformed record is reported with its file and
//! line and skipped, the rest goes in. Ids are made from the source's own identity, so that the
//! same run twice is one episode, and a transcript that grew is the same episode with another
//! digest.
//!
//! # Layout
//!
//! - [`plan`](mod@plan): files and folders to what will be read; `detect`: the format by content
//! - [`reader`]: [`Importer`], one stream of items over all planned files
//! - `scan`, `lines`: record borders in JSON of any size, bounded lines of JSONL
//! - `draft`: an episode while it is put together, cut to the limits with notes
//! - `chat`: tool calls of chat messages, and how a call is shown
//! - `lenient`: fields that are null, absent or of another type than meant
//! - one file per format: `tau_bench`, `intercode`, `swe_agent`, `claude_code`, `native`,
//!   `mcp_memory`; `older`, rows of a database in the older layout

pub(crate) mod chat;
pub(crate) mod claude_code;
mod detect;
pub(crate) mod draft;
mod intercode;
pub(crate) mod lenient;
mod lines;
mod mcp_memory;
mod native;
pub(crate) mod older;
pub mod plan;
pub mod reader;
mod scan;
mod swe_agent;
mod tau_bench;

use std::fmt;
use std::path::PathBuf;

use memory_core::record::Record;
use memory_core::{Episode, Timestamp};

pub use plan::{Plan, PlanError, PlannedFile, Skipped, plan};
pub use reader::{Importer, Progress};

/// The formats that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Results of tau-bench.
    TauBench,
    /// Results of InterCode.
    Intercode,
    /// Trajectories of SWE-agent.
    SweAgent,
    /// Session transcripts of Claude Code.
    ClaudeCode,
    /// Our own export, and episodes in its form.
    Native,
    /// The memory file of the official MCP memory server.
    McpMemory,
}

impl Format {
    /// The name in `source.format` and in messages. Part of every imported id: never change one.
    pub fn name(self) -> &'static str {
        match self {
            Format::TauBench => "tau-bench",
            Format::Intercode => "intercode",
            Format::SweAgent => "swe-agent",
            Format::ClaudeCode => "claude-code",
            Format::Native => "native",
            Format::McpMemory => "mcp-memory",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the caller decides about an import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The project of every imported episode that does not name its own.
    pub project: String,
    /// When runs took place that do not say it. Not part of any id or digest.
    pub default_time: Timestamp,
}

/// One thing read from a source.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportItem {
    /// A complete episode with its `source`. When an episode with this id exists, an equal
    /// `source.digest` means that there is nothing to do.
    Episode(Box<Episode>),
    /// A record of our own export, exactly as it was written.
    Record(Record),
}

/// A record that was skipped, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The file.
    pub file: PathBuf,
    /// The line of the problem, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.problem)
    }
}

/// Why a record cannot be an episode.
struct Reject {
    /// Lines below the record's first.
    lines_below: u64,
    problem: String,
}

impl From<serde_json::Error> for Reject {
    fn from(e: serde_json::Error) -> Self {
        let lines_below = (e.line() as u64).saturating_sub(1);
        Reject { lines_below, problem: scan::without_position(&e) }
    }
}

impl From<String> for Reject {
    fn from(problem: String) -> Self {
        Reject { lines_below: 0, problem }
    }
}

impl From<&str> for Reject {
    fn from(problem: &str) -> Self {
        problem.to_owned().into()
    }
}
