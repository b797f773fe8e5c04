//! What is checked before the body of a request is read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::listen::Connection;
use super::sessions::Sessions;
use super::tokens::{Access, Digested, digest};
use super::{Allowed, HttpConfig, TokenFile};
use crate::mcp::Projects;

/// What may call, and how often.
pub(crate) struct Guard {
    allowed: Allowed,
    tokens: TokenFile,
    trial: Option<Digested>,
    requests: Semaphore,
    rate: Rate,
    sessions: Sessions,
}

/// Why nobody is let in.
type Refusal = (StatusCode, &'static str);

impl Guard {
    /// Of a server that listens on `port`.
    pub(super) fn new(config: HttpConfig, port: u16) -> Self {
        Guard {
            sessions: Sessions::new(port),
            allowed: config.allowed,
            tokens: config.tokens,
            trial: config.trial.map(|token| token.digest()),
            requests: Semaphore::new(config.max_requests),
            rate: Rate::new(config.requests_per_second),
        }
    }

    /// Whose token the request carries. The error is why it is refused.
    fn access(&self, headers: &HeaderMap) -> Result<Access, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (first, second) = (values.next(), values.next());
        let token = first.filter(|_| second.is_none()).and_then(bearer);
        match token {
            Some(token) => self.access_of(&digest(token)),
            None => {
                let problem = "send one header `Authorization: Bearer TOKEN`";
                Err((StatusCode::UNAUTHORIZED, problem))
            }
        }
    }

    /// The same for a page: its cookie does too.
    fn access_of_page(&self, headers: &HeaderMap) -> Result<Access, Refusal> {
        // Another page of this machine may make the browser ask, but is not to be answered.
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if !matches!(site, None | Some(b"same-origin" | b"none")) {
            return Err((StatusCode::FORBIDDEN, "another page asked for this"));
        }
        if headers.contains_key(header::AUTHORIZATION) {
            return self.access(headers);
        }
        match self.sessions.token(headers) {
            Some(token) => self.access_of(&token),
            None => {
                Err((StatusCode::UNAUTHORIZED, "log in, or send `Authorization: Bearer TOKEN`"))
            }
        }
    }

    fn access_of(&self, digest: &Digested) -> Result<Access, Refusal> {
        if self.trial.as_ref() == Some(digest) {
            return Ok(Access::trial());
        }
        match self.tokens.access(digest) {
            Ok(Some(access)) => Ok(access),
            Ok(None) => {
                let problem = "unknown token; `memory-mcp token create NAME` makes one";
                Err((StatusCode::UNAUTHORIZED, problem))
            }
            Err(error) => {
                tracing::error!(%error, path = %self.tokens.path().display(), "tokens");
                let problem = "the file of tokens cannot be read; the server's log says why";
                Err((StatusCode::INTERNAL_SERVER_ERROR, problem))
            }
        }
    }

    /// Begins a login with a token; the cookie of it.
    pub(crate) fn log_in(
        &self,
        token: &str,
        headers: &HeaderMap,
    ) -> Result<(Access, HeaderValue), Refusal> {
        let token = digest(token.trim());
        let access = self.access_of(&token)?;
        // Browsers say in `Origin` how they see this server, also behind a proxy with TLS.
        let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
        let cookie = self.sessions.begin(token, origin.starts_with(b"https://"));
        let cookie = cookie.map_err(|error| {
            tracing::error!(%error, "a login could not begin");
            (StatusCode::INTERNAL_SERVER_ERROR, "the system gave no random numbers; try again")
        })?;
        Ok((access, cookie))
    }

    /// Ends the login of a request; what takes the cookie back.
    pub(crate) fn log_out(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.sessions.end(headers)
    }

    /// Lets a request through with what its caller may see, or refuses it.
    async fn let_in(
        &self,
        access: Result<Access, Refusal>,
        mut request: Request,
        next: Next,
    ) -> Response {
        let access = match access {
            Ok(access) => access,
            Err((status, problem)) => {
                let ask = [(header::WWW_AUTHENTICATE, "Bearer realm=\"memory-mcp\"")];
                return (status, ask, problem).into_response();
            }
        };
        if let Some(connection) = request.extensions().get::<Connection>() {
            connection.trust();
        }
        if !self.rate.take(&access.name, Instant::now()) {
            let after = [(header::RETRY_AFTER, "1")];
            let problem = "too many requests a second with this token; try again in a second";
            return (StatusCode::TOO_MANY_REQUESTS, after, problem).into_response();
        }
        request.extensions_mut().insert(Projects(access.projects.clone().into()));
        request.extensions_mut().insert(access);
        next.run(request).await
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// For every path: who may talk to this server at all, and how many at a time.
pub(super) async fn admit(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = guard.allowed.check(request.headers()) {
        return (StatusCode::FORBIDDEN, problem).into_response();
    }
    let Ok(_permit) = guard.requests.try_acquire() else {
        let after = [(header::RETRY_AFTER, "1")];
        let problem = "too many requests at a time; try again in a second";
        return (StatusCode::SERVICE_UNAVAILABLE, after, problem).into_response();
    };
    next.run(request).await
}

/// For what only a token opens.
pub(super) async fn authorize(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().query().is_some_and(names_a_token) {
        let problem = "a token does not belong into a URL, where logs keep it: revoke it, make \
                       another one, and send it as `Authorization: Bearer TOKEN`";
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    let access = guard.access(request.headers());
    guard.let_in(access, request, next).await
}

/// For what a token or a login opens.
pub(super) async fn authorize_page(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let access = guard.access_of_page(request.headers());
    guard.let_in(access, request, next).await
}

fn names_a_token(query: &str) -> bool {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    query.split('&').map(name).any(|name| {
        ["token", "access_token", "auth_token", "authorization", "bearer", "key", "api_key"]
            .contains(&name.as_str())
    })
}

/// A token bucket for each name: a second's worth of requests at most at once.
struct Rate {
    per_second: f64,
    buckets: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Rate { per_second: f64::from(per_second), buckets: Mutex::default() }
    }

    /// Whether one more request may go on. There are as many buckets as there are tokens.
    fn take(&self, name: &str, now: Instant) -> bool {
        if self.per_second == 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = buckets.entry(name.to_owned()).or_insert((self.per_second, now));
        let gained = now.saturating_duration_since(*at).as_secs_f64() * self.per_second;
        *left = (*left + gained).min(self.per_second);
        *at = now;
        let free = *left >= 1.0;
        if free {
            *left -= 1.0;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_gets_its_rate_and_no_other_pays_for_it() {
        let (rate, start) = (Rate::new(3), Instant::now());
        let taken = |name, at| (0..5).filter(|_| rate.take(name, at)).count();
        assert_eq!(taken("a", start), 3);
        assert_eq!(taken("b", start), 3);
        assert_eq!(taken("a", start + Duration::from_millis(700)), 2);
        assert_eq!(taken("a", start + Duration::from_secs(3600)), 3);
        assert!(Rate::new(0).take("a", start));
    }

    #[test]
    fn only_one_bearer_token_counts() {
        let value = |text: &'static str| HeaderValue::from_static(text);
        assert_eq!(bearer(&value("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&value("bearer  abc")), Some("abc"));
        assert_eq!(bearer(&value("Basic abc")), None);
        assert_eq!(bearer(&value("Bearer")), None);
        assert!(names_a_token("a=1&Access_Token=x") && !names_a_token("a=token"));
    }
}
