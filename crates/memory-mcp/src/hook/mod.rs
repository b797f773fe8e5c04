//! An agent records without being asked: what its client's hooks tell becomes an episode.
//!
//! A hook only ever appends a line to the journal of its session, in `hooks/` of the data directory: no
//! lock, no database and no network between an agent and its next step, whatever those are doing. The
//! journal becomes an episode when the session ends, on a file at once, on a server with the next process
//! on this machine that reaches it. A long transcript takes longer than a hook may, so the journal
//! completes the episode and the transcript, which has more, replaces it later: both have one id.
//!
//! - [`event`]: what a client says on stdin, as an entry of the journal, without secrets
//! - [`journal`]: the files of the sessions
//! - `capture`: a journal as an episode
//! - [`settle`](mod@settle): journals and transcripts into the memory
//! - [`context`]: what a session that begins is told
//! - [`project`]: the project's own word: its root, `.memory-mcp.toml`

mod capture;
pub mod context;
pub mod event;
pub mod journal;
pub mod project;
pub mod settle;

pub use event::{Event, EventKind};
pub use journal::Journal;
pub use project::ProjectFile;
pub use settle::{Settled, settle};

use memory_core::EpisodeId;

use crate::import::Format;

/// The id of a session's episode, the one that its transcript gets as well.
pub fn episode_of(session: &str) -> EpisodeId {
    EpisodeId::derive(&[Format::ClaudeCode.name().as_bytes(), session.as_bytes()])
}
