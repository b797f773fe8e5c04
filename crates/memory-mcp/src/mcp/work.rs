//! A request at work: it ends when nobody waits for it any more, says that it goes on to who asked to
//! be told, and a panic in it is an answer.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use rmcp::model::{ErrorData, ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::time::{Instant, interval_at};

use super::running::Running;

/// How often a client that asked for progress is told of it: well below the time after which clients
/// give up on a silent server.
const TICK: Duration = Duration::from_secs(1);

/// Why there is no result.
pub(super) enum Unfinished {
    /// Nobody waits for it.
    Cancelled,
    /// It failed by an error of this program.
    Panicked,
}

impl From<Unfinished> for ErrorData {
    fn from(unfinished: Unfinished) -> Self {
        let problem = match unfinished {
            Unfinished::Cancelled => "cancelled",
            Unfinished::Panicked => "an internal error; the server's log has details",
        };
        ErrorData::internal_error(problem, None)
    }
}

/// Runs `work`, which is dropped when the request is cancelled: whatever it does for it stops then.
pub(super) async fn attend<T>(
    context: &RequestContext<RoleServer>,
    running: &Running,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<T, Unfinished> {
    let _listed = running.enter(context);
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let mut progress = Progress::of(context);
    progress.tell(format!("{what} began")).await;
    let began = Instant::now();
    let mut ticks = interval_at(began + TICK, TICK);
    loop {
        tokio::select! {
            done = &mut work => {
                return done.map_err(|_| {
                    tracing::error!(what, "a request panicked");
                    Unfinished::Panicked
                });
            }
            () = context.ct.cancelled() => return Err(Unfinished::Cancelled),
            now = ticks.tick(), if progress.is_wanted() => {
                let seconds = now.duration_since(began).as_secs();
                progress.tell(format!("{what} goes on for {seconds} s")).await;
            }
        }
    }
}

/// Tells a client how far its request is, if it asked to be told.
struct Progress<'a> {
    peer: &'a Peer<RoleServer>,
    token: Option<ProgressToken>,
    told: f64,
}

impl<'a> Progress<'a> {
    fn of(context: &'a RequestContext<RoleServer>) -> Self {
        Progress { peer: &context.peer, token: context.meta.get_progress_token(), told: 0.0 }
    }

    fn is_wanted(&self) -> bool {
        self.token.is_some()
    }

    /// How much there is to do is not known, so there is a count that grows and no total.
    async fn tell(&mut self, message: String) {
        let Some(token) = self.token.clone() else { return };
        let progress = ProgressNotificationParam::new(token, self.told).with_message(message);
        self.told += 1.0;
        if let Err(error) = self.peer.notify_progress(progress).await {
            tracing::debug!(%error, "progress could not be told");
        }
    }
}
