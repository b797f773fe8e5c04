//! The engine's own checks, and building anew what it derives from tables.

use memory_core::Result;

use crate::batch::{Access, Batch, Statement, Value};
use crate::transport::Transport;

/// Problems that the engine tells at most.
const CHECK: &str = "PRAGMA integrity_check(100)";

const REINDEX: &str = "REINDEX";

/// Commands to the text index are spelt like writes.
const CHECK_TEXT: &str = "INSERT INTO episode_text (episode_text) VALUES ('integrity-check')";
const EMPTY_TEXT: &str = "INSERT INTO episode_text (episode_text) VALUES ('delete-all')";

/// What the engine finds wrong with its file. `None`: a server that does not answer such questions.
pub(crate) async fn file_problems(transport: &Transport) -> Result<Option<Vec<String>>> {
    let check = Batch { access: Access::Read, statements: vec![Statement::new(CHECK, vec![])] };
    let results = match transport.run(check).await {
        Ok(results) => results,
        Err(e) if e.is_retryable() => return Err(e),
        Err(_) if matches!(transport, Transport::Remote(_)) => return Ok(None),
        Err(e) => return Ok(Some(vec![e.to_string()])),
    };
    let rows = results.into_iter().flat_map(|result| result.rows);
    let lines = rows.filter_map(|row| match row.into_iter().next() {
        Some(Value::Text(line)) => Some(line),
        _ => None,
    });
    // The text index has a check of its own.
    Ok(Some(lines.filter(|line| line != "ok" && !line.contains("episode_text")).collect()))
}

/// Builds every index anew from its table.
pub(super) async fn rebuild_indexes(transport: &Transport) -> Result<()> {
    command(transport, REINDEX).await
}

/// What the engine finds wrong with the text index.
pub(super) async fn text_problem(transport: &Transport) -> Result<Option<String>> {
    match command(transport, CHECK_TEXT).await {
        Ok(()) => Ok(None),
        Err(e) if e.is_retryable() => Err(e),
        Err(e) => Ok(Some(e.to_string())),
    }
}

/// Empties the text index, whatever state it is in.
pub(super) async fn empty_text(transport: &Transport) -> Result<()> {
    command(transport, EMPTY_TEXT).await
}

async fn command(transport: &Transport, sql: &'static str) -> Result<()> {
    let statements = vec![Statement::new(sql, vec![])];
    transport.run(Batch { access: Access::Write, statements }).await.map(drop)
}
