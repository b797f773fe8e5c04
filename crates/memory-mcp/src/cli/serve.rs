//! `memory-mcp serve`.

use std::sync::Arc;

use super::Failure;
use super::session::{LocalMemory, Session};
use crate::mcp::{ServeDefaults, serve_stdio};

pub(super) async fn run(memory: &Arc<LocalMemory>, session: &Session) -> Result<(), Failure> {
    let defaults = ServeDefaults { project: session.config().write_project().to_owned() };
    serve_stdio(memory.clone(), defaults).await.map_err(|e| {
        Failure::failed(format!("serving on stdin and stdout ended: {e}")).hint(
            "an MCP client starts this command; `memory-mcp quickstart` shows how to connect one",
        )
    })
}
