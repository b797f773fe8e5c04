//! MCP over Streamable HTTP: one endpoint, `/mcp`, for clients of both protocol eras. Beside it the
//! [dashboard], and what monitoring asks for: `/metrics`, `/healthz`, `/readyz`.
//!
//! Whoever calls must show a token, on loopback too, and is kept to the projects of that token.
//!
//! - `tokens`: the tokens on disk, as hashes
//! - `sessions`: who is logged in to the dashboard
//! - `health`: whether the server is up, and ready
//! - `guard`: what is checked before a request is read: `Host`, `Origin`, token, rate
//! - `origin`: which hosts and origins may call
//! - `session`: what clients of the legacy era cancel their requests by
//! - `listen`: connections, their number, their time limits, the end

mod guard;
mod health;
mod listen;
mod origin;
mod session;
mod sessions;
mod tokens;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any_service, get};
use memory_core::Memory;
use memory_storage::HybridStorage;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

pub use origin::Allowed;
pub use tokens::{Access, Token, TokenFile};

pub(crate) use self::guard::Guard;
use self::health::Readiness;
use crate::dashboard;
use crate::mcp::{self, ServeDefaults};
use crate::telemetry::{self, Telemetry};

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
    /// Whether `/metrics` needs a token.
    pub metrics_need_token: bool,
    /// How long a request's headers may take to arrive.
    pub header_timeout: Duration,
    /// How long requests in flight may take once the server was asked to stop.
    pub shutdown_timeout: Duration,
}

/// Serves until `stop` resolves; requests in flight are finished first, within the shutdown timeout.
pub async fn serve(
    listener: TcpListener,
    memory: Arc<Memory<HybridStorage>>,
    defaults: ServeDefaults,
    telemetry: Arc<Telemetry>,
    config: HttpConfig,
    stop: impl Future<Output = ()>,
) {
    let limits = listen::Limits {
        connections: config.max_connections,
        header_timeout: config.header_timeout,
        shutdown_timeout: config.shutdown_timeout,
    };
    let port = listener.local_addr().map_or(0, |address| address.port());
    let router = router(memory, defaults, telemetry, config, port);
    listen::run(listener, router, limits, stop).await;
}

fn router(
    memory: Arc<Memory<HybridStorage>>,
    defaults: ServeDefaults,
    telemetry: Arc<Telemetry>,
    config: HttpConfig,
    port: u16,
) -> Router {
    let metrics_need_token = config.metrics_need_token;
    let guard = Arc::new(Guard::new(config, port));
    let server = mcp::Server::new(mcp::Session::new(memory.clone(), defaults));
    let running = server.running();
    // No sessions of the library's, which could pile up; see `session`. `Host` and `Origin` are checked
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
        .layer(middleware::from_fn_with_state(running, session::attend))
        .layer(middleware::from_fn_with_state(guard.clone(), guard::authorize));
    let metrics = Router::new().route("/metrics", get(metrics)).with_state(telemetry.clone());
    let page = middleware::from_fn_with_state(guard.clone(), guard::authorize_page);
    let metrics = if metrics_need_token { metrics.layer(page.clone()) } else { metrics };
    let ready = Router::new()
        .route("/readyz", get(health::ready))
        .with_state(Arc::new(Readiness::new(memory.clone())));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .merge(ready)
        .merge(metrics)
        .merge(tokened)
        .merge(dashboard::api(telemetry).layer(page))
        .merge(dashboard::pages(guard.clone()))
        .layer(middleware::from_fn_with_state(guard, guard::admit))
        .layer(middleware::from_fn(measure))
}

async fn metrics(State(telemetry): State<Arc<Telemetry>>) -> impl IntoResponse {
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (format, telemetry.prometheus().await)
}

/// Counts a request under its route.
async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // Whatever a client makes up must not become a label.
    let method = match request.method().as_str() {
        known @ ("GET" | "POST" | "DELETE" | "HEAD" | "OPTIONS") => known.to_owned(),
        _ => "_OTHER".to_owned(),
    };
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let route = route.unwrap_or_else(|| "unknown".to_owned());
    let exchange = telemetry::Exchange { method, route, status };
    telemetry::EXCHANGES.record(exchange, began.elapsed());
    response
}
