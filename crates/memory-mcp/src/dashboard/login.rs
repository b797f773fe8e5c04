//! A token for a cookie, and back.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Problem};
use crate::http::{Access, Guard};
use crate::telemetry::Telemetry;

#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

/// `POST /api/login`. JSON, so that no form of another page can send it.
pub(super) async fn log_in(
    State(guard): State<Arc<Guard>>,
    headers: HeaderMap,
    login: Result<Json<Login>, JsonRejection>,
) -> Answer {
    let Json(Login { token }) =
        login.map_err(|rejection| Problem(rejection.status(), rejection.body_text()))?;
    let refused = |(status, problem): (StatusCode, &str)| Problem(status, problem.to_owned());
    let (access, cookie) = guard.log_in(&token, &headers).map_err(refused)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(caller(&access))).into_response())
}

/// `POST /api/logout`.
pub(super) async fn log_out(State(guard): State<Arc<Guard>>, headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = guard.log_out(&headers) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// `GET /api/session`: who asks, and what the server is.
pub(super) async fn session(
    State(telemetry): State<Arc<Telemetry>>,
    Extension(access): Extension<Access>,
) -> Json<Value> {
    let mut document = caller(&access);
    let remote = telemetry.memory().store().durable().durable().remote_metrics().is_some();
    if let Some(document) = document.as_object_mut() {
        document.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        document.insert("database".into(), if remote { "server" } else { "file" }.into());
    }
    Json(document)
}

fn caller(access: &Access) -> Value {
    json!({ "name": access.name, "projects": access.projects })
}
