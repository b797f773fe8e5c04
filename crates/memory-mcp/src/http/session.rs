//! What a client of the legacy era needs beside its requests: an id under which it can cancel them.
//!
//! The answer to `initialize` names one; see [`Running`] for what it stands for.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use memchr::memmem;
use rmcp::model::RequestId;
use serde::Deserialize;

use crate::mcp::{Running, SESSION_HEADER};

/// Bytes of a message that is looked into here: the two that matter are small.
const MAX_BYTES: usize = 16 * 1024;

/// What is looked for in a message.
#[derive(Deserialize)]
struct Message {
    method: String,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "requestId")]
    request_id: Option<RequestId>,
}

/// Names a session to who opens one, and cancels what a client asks to have cancelled.
pub(super) async fn attend(
    State(running): State<Running>,
    request: Request,
    next: Next,
) -> Response {
    let size = request.body().size_hint().upper();
    if request.method() != Method::POST || size.is_none_or(|bytes| bytes > MAX_BYTES as u64) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BYTES).await else {
        return (StatusCode::BAD_REQUEST, "the body did not arrive").into_response();
    };
    let message = message_of(&bytes);
    let method = message.as_ref().map(|message| message.method.as_str());
    let session = parts.headers.get(SESSION_HEADER).and_then(|id| id.to_str().ok());
    if method == Some("notifications/cancelled")
        && let (Some(session), Some(id)) =
            (session, message.as_ref().and_then(|m| m.params.as_ref()?.request_id.clone()))
    {
        running.cancel(session, id);
    }
    let opens = method == Some("initialize");
    let mut response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if opens
        && response.status().is_success()
        && let Some(id) = fresh_id()
    {
        response.headers_mut().insert(SESSION_HEADER, id);
    }
    response
}

/// The message, if it may be one of the two.
fn message_of(bytes: &[u8]) -> Option<Message> {
    let names = |method: &str| memmem::find(bytes, method.as_bytes()).is_some();
    let matters = names("\"initialize\"") || names("\"notifications/cancelled\"");
    matters.then(|| serde_json::from_slice(bytes).ok()).flatten()
}

/// 128 random bits: who knows an id may cancel under it, so none can be guessed.
fn fresh_id() -> Option<HeaderValue> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    HeaderValue::try_from(format!("{:032x}", u128::from_le_bytes(bytes))).ok()
}
