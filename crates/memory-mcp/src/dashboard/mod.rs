//! What an operator sees in a browser: the pages, and the JSON behind them.
//!
//! The pages are files in `assets`, compiled in and served as they are: no build step, nothing from
//! elsewhere. They hold no data, so anybody may load them; what they show comes from `/api`, which a
//! token or a login opens, for the projects of that token. They never make markup of text: the policy
//! sent with them lets a browser run no script but theirs.
//!
//! - `assets`: the pages
//! - `login`: a token for a cookie, and back
//! - `answer`: what every request of `/api` has in common
//! - `overview`, `episodes`, `recall`, `lessons`, `live`: the pages' data

mod answer;
mod assets;
mod episodes;
mod lessons;
mod live;
mod login;
mod overview;
mod recall;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use crate::http::Guard;
use crate::telemetry::Telemetry;

/// Bytes of a login.
const MAX_LOGIN_BYTES: usize = 4096;

/// Sent with every answer. Scripts and styles are files of this server, nothing else is loaded, and
/// no text can become markup (Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The pages, and what logs in and out.
pub(crate) fn pages(guard: Arc<Guard>) -> Router {
    let login = Router::new()
        .route("/api/login", post(login::log_in))
        .route("/api/logout", post(login::log_out))
        .layer(DefaultBodyLimit::max(MAX_LOGIN_BYTES))
        .with_state(guard);
    Router::new()
        .route("/", get(assets::index))
        .route("/assets/{name}", get(assets::asset))
        .merge(login)
        .layer(middleware::from_fn(secured))
}

/// The data, for who may see it.
pub(crate) fn api(telemetry: Arc<Telemetry>) -> Router {
    Router::new()
        .route("/api/session", get(login::session))
        .route("/api/live", get(live::live))
        .route("/api/overview", get(overview::overview))
        .route("/api/episodes", get(episodes::list))
        .route("/api/episodes/{id}", get(episodes::show))
        .route("/api/episodes/{id}/steps/{number}", get(episodes::step))
        .route("/api/recall", get(recall::recall))
        .route("/api/lessons", get(lessons::lessons))
        .route("/api/task-types", get(lessons::task_types))
        .route("/api/playbook", get(lessons::playbook))
        .route("/api/health", get(live::health))
        .with_state(telemetry)
        .layer(middleware::from_fn(secured))
}

async fn secured(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // Assets say for themselves how long they may be kept.
    let kept = response.headers_mut().entry(header::CACHE_CONTROL);
    kept.or_insert(HeaderValue::from_static("no-store"));
    response
}
