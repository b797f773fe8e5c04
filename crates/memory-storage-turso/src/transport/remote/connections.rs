//! No connection is opened while one is on its way back.
//!
//! The HTTP client has a connection back a moment after its answer was read to the end: the task that
//! drives it must have run once more. A call made within that moment would open another connection,
//! for the price of two round trips or more. Here the opening waits for the moment to pass, and the
//! client takes what comes back first. How many connections are alive is known well enough: one that
//! died unseen costs one short wait.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use reqwest::header::CONNECTION;
use reqwest::{Response, Version};
use tokio::task::try_id;
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::metrics::RemoteMetrics;

/// Far longer than a connection takes to come back, so that a loaded machine opens none either; short
/// enough for the rare call that waits for nothing.
const COMES_BACK_WITHIN: Duration = Duration::from_millis(50);

/// The connections of one client.
#[derive(Debug)]
pub(super) struct Connections {
    state: Mutex<State>,
    metrics: Arc<RemoteMetrics>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections that are alive, as far as we have seen.
    alive: usize,
    /// Calls that have one or want one.
    calls: usize,
    /// When a call last let go of one that is still good.
    returned: Option<Instant>,
}

/// The call for which a connection was to be opened has got one that came back.
#[derive(Debug)]
struct NotNeeded;

impl fmt::Display for NotNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another connection has become free")
    }
}

impl std::error::Error for NotNeeded {}

impl Connections {
    pub(super) fn new(metrics: Arc<RemoteMetrics>) -> Self {
        Connections { state: Mutex::default(), metrics }
    }

    /// A call begins. Unless it says otherwise, its connection is of no use afterwards.
    pub(super) fn call(&self) -> Call<'_> {
        self.lock().calls += 1;
        Call { connections: self, reusable: false }
    }

    /// The client has opened one.
    pub(super) fn opened(&self) {
        self.metrics.connections.increment();
        self.lock().alive += 1;
    }

    /// Awaited by the client before it opens a connection, while it looks out for one to come back.
    pub(super) async fn may_open(&self) -> Result<(), BoxError> {
        if let Some(until) = self.comes_back_until() {
            let mut moment = pin!(sleep_until(until));
            // An opening that the client has no use for any more it leaves to a task of its own.
            let asked_by = try_id();
            poll_fn(|cx| match try_id() == asked_by {
                true => moment.as_mut().poll(cx).map(Ok),
                false => Poll::Ready(Err(NotNeeded)),
            })
            .await?;
        }
        // Beyond the others' connections there is none, or it would have been used.
        let mut state = self.lock();
        state.alive = state.alive.min(state.calls.saturating_sub(1));
        Ok(())
    }

    /// Until when one may come back that nobody else waits for.
    fn comes_back_until(&self) -> Option<Instant> {
        let state = self.lock();
        let until = state.returned? + COMES_BACK_WITHIN;
        (state.calls <= state.alive && until > Instant::now()).then_some(until)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way.
pub(super) struct Call<'a> {
    connections: &'a Connections,
    reusable: bool,
}

impl Call<'_> {
    /// The answer was read to its end: its connection is free again, if the server `keeps` it.
    pub(super) fn ended(mut self, keeps: bool) {
        self.reusable = keeps;
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut state = self.connections.lock();
        state.calls -= 1;
        if self.reusable {
            state.returned = Some(Instant::now());
        } else {
            state.alive = state.alive.saturating_sub(1);
        }
    }
}

/// The server leaves the connection open after this answer.
pub(super) fn keeps(answer: &Response) -> bool {
    let closes = answer.headers().get(CONNECTION).is_some_and(|value| {
        value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains("close"))
    });
    answer.version() >= Version::HTTP_11 && !closes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a call made now waits before a connection is opened for it.
    async fn wait(connections: &Connections) -> Duration {
        let asked = Instant::now();
        connections.may_open().await.unwrap();
        asked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_call_that_follows_another_at_once_waits_for_its_connection() {
        let connections = Connections::new(Arc::default());
        let first = connections.call();
        assert_eq!(wait(&connections).await, Duration::ZERO, "there is none yet");
        connections.opened();
        first.ended(true);

        let second = connections.call();
        assert!(connections.comes_back_until().is_some());
        let third = connections.call();
        assert_eq!(wait(&connections).await, Duration::ZERO, "one is not enough for two");
        connections.opened();
        third.ended(true);
        second.ended(true);

        tokio::time::advance(COMES_BACK_WITHIN).await;
        let late = connections.call();
        assert_eq!(wait(&connections).await, Duration::ZERO, "what is not back by now is dead");
        connections.opened();
        late.ended(false);
        let _next = connections.call();
        assert_eq!(wait(&connections).await, Duration::ZERO, "a broken one does not come back");
    }

    #[tokio::test(start_paused = true)]
    async fn dead_connections_cost_one_short_wait() {
        let connections = Connections::new(Arc::default());
        let calls: Vec<_> = (0..3).map(|_| connections.call()).collect();
        for call in calls {
            connections.opened();
            call.ended(true);
        }
        let first = connections.call();
        assert!(wait(&connections).await.abs_diff(COMES_BACK_WITHIN) < Duration::from_millis(2));
        connections.opened();
        first.ended(true);
        let _calls = [connections.call(), connections.call()];
        assert_eq!(wait(&connections).await, Duration::ZERO, "all three are known to be dead");
    }

    #[tokio::test(start_paused = true)]
    async fn an_opening_that_nobody_waits_for_any_more_ends_at_once() {
        let connections = Arc::new(Connections::new(Arc::default()));
        let first = connections.call();
        connections.opened();
        first.ended(true);
        let _second = connections.call();
        let asked = connections.clone();
        let mut opening = Box::pin(async move { asked.may_open().await });
        assert!(futures::poll!(&mut opening).is_pending());
        let began = Instant::now();
        let ended = tokio::spawn(opening).await.unwrap();
        assert!(ended.unwrap_err().is::<NotNeeded>());
        assert!(began.elapsed() < COMES_BACK_WITHIN);
    }
}
