//! Whether the server is ready: its database answers, and the connections to be kept warm are open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use memory_core::{EpisodeStore as _, Memory};
use memory_storage::HybridStorage;
use tokio::sync::Mutex;

/// How long an answer holds: anybody may ask, and a question is a request to the database.
const HOLDS: Duration = Duration::from_secs(1);

/// How long the database may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks the database, and remembers the answer for a moment.
pub(super) struct Readiness {
    memory: Arc<Memory<HybridStorage>>,
    last: Mutex<Option<(Instant, Answer)>>,
}

type Answer = Result<(), &'static str>;

impl Readiness {
    pub(super) fn new(memory: Arc<Memory<HybridStorage>>) -> Self {
        Readiness { memory, last: Mutex::default() }
    }

    async fn ask(&self) -> Answer {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = *last
            && at.elapsed() < HOLDS
        {
            return answer;
        }
        let answer = self.look().await;
        *last = Some((Instant::now(), answer));
        answer
    }

    async fn look(&self) -> Answer {
        let store = self.memory.store();
        let remote = store.durable().durable().remote_metrics();
        if remote.is_some_and(|remote| remote.breaker() == "open") {
            return Err("the database did not answer several times and is left alone for a moment");
        }
        match tokio::time::timeout(WITHIN, store.changes(None)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "not ready");
                Err("the database does not answer")
            }
            Err(_) => Err("the database does not answer in time"),
        }
    }
}

/// `GET /readyz`. It says no more than that: nobody had to show a token.
pub(super) async fn ready(State(readiness): State<Arc<Readiness>>) -> (StatusCode, String) {
    match readiness.ask().await {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {problem}\n")),
    }
}
