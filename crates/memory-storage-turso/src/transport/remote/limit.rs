//! How many reads may be under way at a time, found out by trying.
//!
//! Additive increase, multiplicative decrease on the latency gradient: while callers wait and the
//! recent latency stays near the long-term one, the limit grows by one a round; when latency grows
//! well past it, or the server shows distress, the limit shrinks by a part. Idle, it returns to its
//! minimum. Work under way is never cut off: a lower limit only lets fewer begin.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_core::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::metrics::RemoteMetrics;

/// Recent latency above this multiple of the long-term one is congestion.
const TOLERANCE: f64 = 2.0;

/// What is left of the limit after congestion, and after a failure.
const DECREASE: f64 = 0.9;
const DECREASE_ON_FAILURE: f64 = 0.5;

/// Weight of the newest latency in the recent and in the long-term average.
const RECENT: f64 = 0.2;
const LONG_TERM: f64 = 0.01;

/// After this long without a read the limit is back at its minimum.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Limit {
    min: usize,
    max: usize,
    queue: usize,
    /// As many permits as may begin now; permits beyond a lowered limit are taken out as they come
    /// back.
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    metrics: Arc<RemoteMetrics>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    /// Permits that exist, in the semaphore or with callers.
    issued: usize,
    in_use: usize,
    waiting: usize,
    recent: f64,
    long_term: f64,
    last_used: Instant,
    last_decrease: Instant,
}

impl Limit {
    pub(super) fn new(min: usize, max: usize, queue: usize, metrics: Arc<RemoteMetrics>) -> Self {
        let now = Instant::now();
        metrics.limit.set(min as u64);
        Limit {
            min,
            max,
            queue,
            permits: Arc::new(Semaphore::new(min)),
            state: Mutex::new(State {
                limit: min as f64,
                issued: min,
                in_use: 0,
                waiting: 0,
                recent: 0.0,
                long_term: 0.0,
                last_used: now,
                last_decrease: now,
            }),
            metrics,
        }
    }

    /// Waits for its turn, at most until `deadline`, unless too many wait already.
    pub(super) async fn acquire(&self, deadline: Instant) -> Result<Permit<'_>> {
        let waiting = self.enter()?;
        let permit = timeout_at(deadline, self.permits.clone().acquire_owned()).await;
        drop(waiting);
        match permit {
            Ok(Ok(permit)) => {
                let mut state = self.lock();
                state.in_use += 1;
                self.metrics.in_use.set(state.in_use as u64);
                drop(state);
                Ok(Permit { limit: self, permit: Some(permit), began: Instant::now() })
            }
            Ok(Err(_)) => Err(Error::Unavailable { reason: "the store is closed".into() }),
            Err(_) => Err(Error::Unavailable {
                reason: "no earlier request to the database ended in time".into(),
            }),
        }
    }

    /// Later calls, and those that wait, are refused.
    pub(super) fn close(&self) {
        self.permits.close();
    }

    /// Back to the minimum after a while without reads. To be called now and then.
    pub(super) fn relax(&self) {
        let mut state = self.lock();
        if state.in_use == 0 && state.last_used.elapsed() > IDLE {
            self.resize(&mut state, self.min as f64);
        }
    }

    fn enter(&self) -> Result<Waiting<'_>> {
        self.relax();
        let mut state = self.lock();
        if self.permits.available_permits() == 0 && state.waiting >= self.queue {
            self.metrics.overloaded.increment();
            return Err(Error::Overloaded { waiting: state.waiting });
        }
        state.waiting += 1;
        self.metrics.waiting.set(state.waiting as u64);
        Ok(Waiting(self))
    }

    /// A read that took `latency` ended well.
    fn ended_well(&self, state: &mut State, latency: Duration) {
        let latency = latency.as_secs_f64();
        let blend = |average: f64, weight: f64| {
            if average == 0.0 { latency } else { average + (latency - average) * weight }
        };
        state.recent = blend(state.recent, RECENT);
        state.long_term = blend(state.long_term, LONG_TERM);
        if state.recent > state.long_term * TOLERANCE {
            self.decrease(state, DECREASE);
        } else if state.waiting > 0 {
            let limit = state.limit + 1.0 / state.limit;
            self.resize(state, limit);
        }
    }

    /// At most once a round trip: one spell of congestion shows in every read that is under way.
    fn decrease(&self, state: &mut State, factor: f64) {
        if state.last_decrease.elapsed().as_secs_f64() > state.recent {
            state.last_decrease = Instant::now();
            let limit = state.limit * factor;
            self.resize(state, limit);
        }
    }

    fn resize(&self, state: &mut State, limit: f64) {
        state.limit = limit.clamp(self.min as f64, self.max as f64);
        let wanted = state.limit as usize;
        if wanted > state.issued {
            self.permits.add_permits(wanted - state.issued);
            state.issued = wanted;
        } else {
            // What is with callers now is taken out when it comes back.
            state.issued -= self.permits.forget_permits(state.issued - wanted);
        }
        self.metrics.limit.set(wanted as u64);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a Limit);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        self.0.metrics.waiting.set(state.waiting as u64);
    }
}

/// The right to have one read under way.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    limit: &'a Limit,
    permit: Option<OwnedSemaphorePermit>,
    began: Instant,
}

impl Permit<'_> {
    /// How the read ended. Not called: nothing is learned from it.
    pub(super) fn report(self, congestion: bool) {
        let mut state = self.limit.lock();
        if congestion {
            self.limit.decrease(&mut state, DECREASE_ON_FAILURE);
        } else {
            self.limit.ended_well(&mut state, self.began.elapsed());
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limit.lock();
        state.in_use -= 1;
        state.last_used = Instant::now();
        self.limit.metrics.in_use.set(state.in_use as u64);
        if state.issued > state.limit as usize
            && let Some(permit) = self.permit.take()
        {
            permit.forget();
            state.issued -= 1;
        }
    }
}
