//! MCP over Streamable HTTP: one endpoint, `/mcp`, for clients of both protocol eras.
//!
//! Whoever calls must show a token, on loopback too, and is kept to the projects of that token.
//!
//! - `tokens`: the tokens on disk, as hashes
//! - `guard`: what is checked before a request is read: `Host`, `Origin`, token, rate
//! - `origin`: which hosts and origins may call
//! - `listen`: connections, their number, their time limits, the end

mod guard;
mod listen;
mod origin;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{any_service, get};
use memory_core::{EpisodeStore, Memory};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

pub use origin::Allowed;
pub use tokens::{Access, Token, TokenFile};

use self::guard::Guard;
use crate::mcp::{self, ServeDefaults};

/// Bytes of one request, as over stdio.
const MAX_BODY_BYTES: usize = mcp::MAX_FRAME_BYTES;

/// What an HTTP server is started with.
#[derive(Debug)]
pub struct HttpConfig {
    /// Which hosts and origins may call.
    pub allowed: Allowed,
    /// The tokens that may call.
    pub tokens: TokenFile,
    /// A token for a first try, good for as long as this process runs.
    pub trial: Option<Token>,
    /// Connections open at a time.
    pub max_connections: usize,
    /// Requests answered at a time; more get 503.
    pub max_requests: usize,
    /// Requests a second of one token, on average; more get 429. 0: no limit.
    pub requests_per_second: u32,
    /// How long a request's headers may take to arrive.
    pub header_timeout: Duration,
    /// How long requests in flight may take once the server was asked to stop.
    pub shutdown_timeout: Duration,
}

/// Serves until `stop` resolves; requests in flight are finished first, within the shutdown timeout.
pub async fn serve<S: EpisodeStore>(
    listener: TcpListener,
    memory: Arc<Memory<S>>,
    defaults: ServeDefaults,
    config: HttpConfig,
    stop: impl Future<Output = ()>,
) {
    let limits = listen::Limits {
        connections: config.max_connections,
        header_timeout: config.header_timeout,
        shutdown_timeout: config.shutdown_timeout,
    };
    listen::run(listener, router(memory, defaults, config), limits, stop).await;
}

fn router<S: EpisodeStore>(
    memory: Arc<Memory<S>>,
    defaults: ServeDefaults,
    config: HttpConfig,
) -> Router {
    let guard = Arc::new(Guard::new(config));
    let server = mcp::Server::new(mcp::Session::new(memory, defaults));
    // No sessions: a legacy client needs none, and none can pile up. `Host` and `Origin` are checked
    // by the guard, for every path alike.
    let transport = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_BODY_BYTES)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        transport,
    );
    let tokened = Router::new()
        .route("/mcp", any_service(service))
        .layer(middleware::from_fn_with_state(guard.clone(), guard::authorize));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .merge(tokened)
        .layer(middleware::from_fn_with_state(guard, guard::admit))
}
