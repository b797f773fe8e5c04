//! The requests at work that a client may cancel by a message of its own.
//!
//! On stdio the protocol library knows them. Over HTTP a client of the modern era closes the
//! connection; one of the legacy era sends a notification, in a request of its own that shares
//! nothing with the first but the id of the session. So sessions are that: a name under which a
//! client's requests are found. They hold nothing else, and take no memory between requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::request::Parts;
use rmcp::model::RequestId;
use rmcp::service::{RequestContext, RoleServer};
use tokio_util::sync::CancellationToken;

/// The header that carries the id of a session.
pub(crate) const SESSION_HEADER: &str = "mcp-session-id";

/// Bytes of the id of a session; longer ones are none of ours.
const MAX_SESSION_BYTES: usize = 64;

type Key = (String, RequestId);

/// Requests by session and id. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<Key, CancellationToken>>>);

impl Running {
    /// Stops a request, if it is at work.
    pub(crate) fn cancel(&self, session: &str, id: RequestId) {
        if let Some(token) = self.requests().get(&(session.to_owned(), id)) {
            token.cancel();
        }
    }

    /// Lists a request of a session until the result is dropped.
    pub(super) fn enter(&self, context: &RequestContext<RoleServer>) -> Option<Listed> {
        let parts = context.extensions.get::<Parts>()?;
        let session = parts.headers.get(SESSION_HEADER)?.to_str().ok()?;
        if session.len() > MAX_SESSION_BYTES {
            return None;
        }
        let key = (session.to_owned(), context.id.clone());
        self.requests().insert(key.clone(), context.ct.clone());
        Some(Listed { running: self.clone(), key })
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<Key, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that can be cancelled by its id.
pub(super) struct Listed {
    running: Running,
    key: Key,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.running.requests().remove(&self.key);
    }
}
