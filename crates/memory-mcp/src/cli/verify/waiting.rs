//! What this machine has not delivered yet.

use memory_storage_turso::pending::{EntryState, PendingFile};
use serde::Serialize;

use super::super::Failure;
use super::super::session::{LocalMemory, Session};

/// What the check of the file found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Waiting {
    /// Writes that wait.
    pub(super) waiting: usize,
    /// Writes that a server refused: no damage, but somebody has to decide.
    pub(super) refused: usize,
    /// What is wrong with the file or with an entry.
    pub(super) problems: Vec<String>,
}

pub(super) async fn check(memory: &LocalMemory, session: &Session) -> Result<Waiting, Failure> {
    if let Some(file) = memory.store().durable().pending() {
        return look(file).await;
    }
    // Of a server that was used before. Opening it would create it.
    let config = session.config().pending_file();
    if !config.path.is_file() {
        return Ok(Waiting::default());
    }
    let file = PendingFile::open(config).await?;
    let found = look(&file).await;
    file.close().await;
    found
}

async fn look(file: &PendingFile) -> Result<Waiting, Failure> {
    let mut found = Waiting { problems: file.problems().await?, ..Waiting::default() };
    for entry in file.entries().await? {
        match entry.state {
            EntryState::Conflict => found.refused += 1,
            EntryState::Journaled | EntryState::Queued => found.waiting += 1,
        }
        if let Err(e) = &entry.write {
            found.problems.push(format!(
                "write {} cannot be read: {e}; `memory-mcp outbox drop {}` gives it up",
                entry.seq, entry.seq
            ));
        }
    }
    Ok(found)
}
