//! What every request of `/api` has in common: whose data it may see, and how errors are told.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use memory_core::store::Scope;
use memory_core::{Condition, Error, OutcomeKind, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use crate::mcp::Projects;

/// What a handler returns.
pub(super) type Answer = Result<Response, Problem>;

/// An error as JSON, with the status that says whose it is.
pub(super) struct Problem(pub(super) StatusCode, pub(super) String);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Invalid { .. } => StatusCode::BAD_REQUEST,
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            e if e.is_retryable() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem(status, problem) = self;
        let mut response = (status, Json(json!({ "error": problem }))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let after = header::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, after);
        }
        response
    }
}

/// A result, marked when it may be out of date.
pub(super) fn answer(stale: bool, data: impl serde::Serialize) -> Answer {
    Ok(Json(json!({ "stale": stale, "data": data })).into_response())
}

/// What a request may see: the project it names, if that is open to its caller; else everything that is,
/// or, of a caller who is kept to several projects, the first.
pub(super) fn scope(open: &Projects, project: Option<String>) -> Result<Scope, Problem> {
    let open = &open.0;
    match project.filter(|project| !project.is_empty()) {
        Some(project) if open.is_empty() || open.contains(&project) => Ok(Scope::Project(project)),
        Some(_) => {
            let problem = format!("this project is not open to you; yours: {}", open.join(", "));
            Err(Problem(StatusCode::FORBIDDEN, problem))
        }
        None => Ok(open.first().map_or(Scope::All, |first| Scope::Project(first.clone()))),
    }
}

/// Which project a request names.
#[derive(Deserialize)]
pub(super) struct OfProject {
    pub(super) project: Option<String>,
}

/// An empty field of a form is none.
pub(super) fn none_if_empty<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.filter(|text| !text.trim().is_empty()))
}

/// States with commas between them.
pub(super) fn states(text: Option<&str>) -> Result<Vec<String>, Error> {
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| match name {
            "running" => Ok(name.to_owned()),
            name => name.parse::<OutcomeKind>().map(|kind| kind.as_str().to_owned()),
        })
        .collect()
}

/// A condition on metadata.
pub(super) fn condition(text: Option<&str>) -> Result<Option<Condition>, Error> {
    text.map(str::parse::<Condition>).transpose()
}

/// A day (its beginning in UTC) or a time.
pub(super) fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    let Some(text) = text else { return Ok(None) };
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    text.parse().map(Some).map_err(|problem| Error::invalid(field, problem))
}
