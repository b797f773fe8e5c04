//! The MCP server: episodes are recorded and recalled over JSON-RPC, here on stdin and stdout, and
//! over HTTP in [`http`](crate::http).
//!
//! Both protocol eras are served on one connection: clients that begin with `initialize` (up to
//! revision 2025-11-25), and clients that put the revision into every request (2026-07-28).
//!
//! - `frame`, `message`, `transport`: from bytes to messages and back, bounded in memory
//! - `server`: what the protocol library asks of a server
//! - `work`, `running`: a request at work: cancelling it, telling its progress
//! - `session`: what the calls of one process share
//! - `tools`: one type per tool
//! - `resources`, `prompts`, `completion`: what a user picks, rather than the model
//! - `cursor`: the cursors of pages
//! - `arguments`, `schema`: how arguments are read and described

mod arguments;
mod completion;
mod cursor;
mod frame;
mod message;
mod prompts;
mod resources;
mod running;
mod schema;
mod server;
mod session;
mod tools;
mod transport;
mod work;

use std::sync::Arc;

use memory_core::{EpisodeStore, Memory};
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::frame::MAX_FRAME_BYTES;
pub(crate) use self::running::{Running, SESSION_HEADER};
pub(crate) use self::server::Server;
pub(crate) use self::session::{Projects, Session};
use self::transport::LineTransport;

/// What holds for calls that do not say otherwise.
#[derive(Debug, Clone)]
pub struct ServeDefaults {
    /// The project that calls without one are about.
    pub project: String,
}

/// Speaks MCP on standard input and output until the input ends or the process is asked to stop;
/// calls in flight are finished first, for 5 seconds at most.
///
/// Nothing else may write to standard output meanwhile. A client that goes away is no error. Must be
/// called within a tokio runtime; where standard input is no pipe, a read of it may outlive the
/// call, so shut that runtime down without waiting for it.
pub async fn serve_stdio<S: EpisodeStore>(
    memory: Arc<Memory<S>>,
    defaults: ServeDefaults,
) -> anyhow::Result<()> {
    let (input, output) = rmcp::transport::stdio_pipes();
    serve(Session::new(memory, defaults), input, output, stop_signal()).await
}

async fn serve<S: EpisodeStore>(
    session: Session<S>,
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let server = Server::new(session);
    let transport = LineTransport::open(input, output, stop);
    loop {
        match rmcp::serve_server(server.clone(), transport.clone()).await {
            Ok(running) => {
                running.waiting().await?;
                return Ok(());
            }
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            // The client began with something else than it should. Nothing was agreed upon, so it
            // may begin again.
            Err(
                ServerInitializeError::ExpectedInitializeRequest(_)
                | ServerInitializeError::InitializeFailed(_),
            ) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Resolves when the process is asked to end.
pub(crate) async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
