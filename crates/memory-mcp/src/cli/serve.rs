//! `memory-mcp serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::args::ServeArgs;
use super::output::say;
use super::session::{LocalMemory, Session};
use super::{Failure, consolidate, embed};
use crate::config::{Config, Otel};
use crate::http::{self, HttpConfig, Token, TokenFile};
use crate::mcp::{ServeDefaults, serve_stdio, stop_signal};
use crate::telemetry::{Exporter, OtelConfig, Telemetry};

/// How long a client may take to send the headers of a request, and may keep a connection idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long requests in flight may take once the server was asked to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(
    args: &ServeArgs,
    memory: &Arc<LocalMemory>,
    session: &Session,
) -> Result<(), Failure> {
    tokio::spawn(embed::keep_up(Arc::downgrade(memory)));
    let (config, scope) = (session.config().clone(), session.scope());
    tokio::spawn(consolidate::when_idle(Arc::downgrade(memory), config, scope));
    let defaults = ServeDefaults { project: session.config().write_project().to_owned() };
    let telemetry =
        Arc::new(Telemetry::new(memory.clone(), session.config().files(&session.place()?)));
    // Exports for as long as it is there.
    let _exporter = exporter(session.config(), &telemetry)?;
    if let Some(address) = args.http {
        return over_http(address, memory.clone(), defaults, telemetry, session).await;
    }
    serve_stdio(memory.clone(), defaults).await.map_err(|e| {
        Failure::failed(format!("serving on stdin and stdout ended: {e}")).hint(
            "an MCP client starts this command; `memory-mcp quickstart` shows how to connect one",
        )
    })
}

fn exporter(config: &Config, telemetry: &Arc<Telemetry>) -> Result<Option<Exporter>, Failure> {
    let Otel { endpoint, interval_ms } = &config.otel;
    if endpoint.is_empty() {
        return Ok(None);
    }
    let otel =
        OtelConfig { endpoint: endpoint.clone(), interval: Duration::from_millis(*interval_ms) };
    let ca_file = &config.remote.ca_file;
    let ca_file = (ca_file != Path::new("")).then_some(ca_file.as_path());
    Ok(Some(Exporter::start(otel, ca_file, telemetry.clone())?))
}

async fn over_http(
    address: SocketAddr,
    memory: Arc<LocalMemory>,
    defaults: ServeDefaults,
    telemetry: Arc<Telemetry>,
    session: &Session,
) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await.map_err(|e| {
        Failure::failed(format!("cannot listen on {address}: {e}"))
            .hint("choose another address with --http ADDRESS:PORT; port 0 takes any that is free")
    })?;
    let address = listener.local_addr().unwrap_or(address);
    let config = session.config();
    let tokens = TokenFile::at(config.token_file());
    let unreadable = |e| Failure::failed(format!("{}: {e}", tokens.path().display()));
    let trial = match tokens.list().map_err(unreadable)? {
        known if known.is_empty() => Some(Token::generate().map_err(unreadable)?),
        _ => None,
    };
    say(format_args!("Serving MCP at http://{address}/mcp"));
    if let Some(token) = &trial {
        say(format_args!("For a first try, until this process ends: {}", token.reveal()));
        say("`memory-mcp token create NAME` makes a token to keep.");
    }
    say(format_args!("The dashboard is at http://{address}/"));
    let config = HttpConfig {
        // Checked when the settings were read.
        allowed: config.http.allowed().map_err(Failure::usage)?,
        tokens,
        trial,
        max_connections: config.http.max_connections,
        max_requests: config.http.max_requests,
        requests_per_second: config.http.requests_per_second,
        metrics_need_token: config.http.metrics_need_token,
        header_timeout: HEADER_TIMEOUT,
        shutdown_timeout: SHUTDOWN_TIMEOUT,
    };
    http::serve(listener, memory, defaults, telemetry, config, stop_signal()).await;
    Ok(())
}
