//! How many reads may be under way at a time, found out by trying.
//!
//! Additive increase, multiplicative decrease on the latency gradient: while callers wait and latency
//! stays near what it is without company, the limit grows: it doubles a round until the first
//! congestion, then by one a round; when latency grows well past that, or the server shows distress,
//! the limit shrinks by a part. Idle, it returns to its minimum. Work under way is never cut off: a lower limit only lets fewer begin.
//!
//! "Without company" is learned from reads that began with no more than the minimum under way. A
//! long-term average would take lasting congestion for the norm; this one only ever learns at the
//! minimum, where the limit falls to by itself when the network or the kind of reads has changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memory_core::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::metrics::RemoteMetrics;

/// Recent latency above this multiple of that without company is congestion.
const TOLERANCE: f64 = 2.0;

/// What is left of the limit after congestion, and after a failure.
const DECREASE: f64 = 0.9;
const DECREASE_ON_FAILURE: f64 = 0.5;

/// Weight of the newest latency in the averages.
const WEIGHT: f64 = 0.1;

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
    /// There was congestion since the limit was last at rest.
    congested: bool,
    /// Permits that exist, in the semaphore or with callers.
    issued: usize,
    in_use: usize,
    waiting: usize,
    /// Average latency in seconds, of late and without company; 0 before the first.
    recent: f64,
    alone: f64,
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
                congested: false,
                issued: min,
                in_use: 0,
                waiting: 0,
                recent: 0.0,
                alone: 0.0,
                last_used: now,
                last_decrease: now,
            }),
            metrics,
        }
    }

    /// Waits for its turn, at most until `deadline`, unless too many wait already.
    pub(super) async fn acquire(&self, deadline: Instant) -> Result<Permit<'_>> {
        let (waiting, asked) = (self.enter()?, Instant::now());
        let permit = timeout_at(deadline, self.permits.clone().acquire_owned()).await;
        drop(waiting);
        self.metrics.wait.record((), asked.elapsed());
        match permit {
            Ok(Ok(permit)) => {
                let mut state = self.lock();
                state.in_use += 1;
                self.metrics.in_use.set(state.in_use as u64);
                let alone = state.in_use <= self.min;
                drop(state);
                Ok(Permit { limit: self, permit: Some(permit), began: Instant::now(), alone })
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
            state.congested = false;
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
    fn ended_well(&self, state: &mut State, latency: Duration, alone: bool) {
        let latency = latency.as_secs_f64();
        let blend = |average: &mut f64| match *average {
            0.0 => *average = latency,
            _ => *average += (latency - *average) * WEIGHT,
        };
        blend(&mut state.recent);
        if alone {
            blend(&mut state.alone);
        }
        if state.recent > state.alone * TOLERANCE {
            self.decrease(state, DECREASE);
        } else if state.waiting > 0 {
            let step = if state.congested { 1.0 / state.limit } else { 1.0 };
            let limit = state.limit + step;
            self.resize(state, limit);
        }
    }

    /// At most once a round trip: one spell of congestion shows in every read that is under way.
    fn decrease(&self, state: &mut State, factor: f64) {
        if state.last_decrease.elapsed().as_secs_f64() > state.recent {
            state.last_decrease = Instant::now();
            state.congested = true;
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
    alone: bool,
}

impl Permit<'_> {
    /// How the read ended. Not called: nothing is learned from it.
    pub(super) fn report(self, congestion: bool) {
        let mut state = self.limit.lock();
        if congestion {
            self.limit.decrease(&mut state, DECREASE_ON_FAILURE);
        } else {
            self.limit.ended_well(&mut state, self.began.elapsed(), self.alone);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::sleep;

    use super::*;

    /// Serves eight requests at a time in 10 ms each; more than that share its time.
    #[derive(Default)]
    struct Server {
        in_flight: AtomicUsize,
        served: AtomicUsize,
    }

    const CAPACITY: usize = 8;
    const SERVICE: Duration = Duration::from_millis(10);

    impl Server {
        async fn request(&self) {
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(SERVICE.mul_f64(now.max(CAPACITY) as f64 / CAPACITY as f64)).await;
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            self.served.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn limit(min: usize, max: usize) -> Arc<Limit> {
        Arc::new(Limit::new(min, max, 1000, Arc::default()))
    }

    /// `callers` ask one after the other for `time`; returns the limit after each 100 ms.
    async fn load(
        limit: &Arc<Limit>,
        server: &Arc<Server>,
        callers: usize,
        time: Duration,
    ) -> Vec<u64> {
        let end = Instant::now() + time;
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let (limit, server) = (limit.clone(), server.clone());
                tokio::spawn(async move {
                    while Instant::now() < end {
                        let permit = limit.acquire(end + time).await.unwrap();
                        server.request().await;
                        permit.report(false);
                    }
                })
            })
            .collect();
        let mut plot = Vec::new();
        while Instant::now() < end {
            sleep(Duration::from_millis(100)).await;
            plot.push(limit.metrics.limit.get());
        }
        for task in tasks {
            task.await.unwrap();
        }
        plot
    }

    #[tokio::test(start_paused = true)]
    async fn finds_what_the_server_can_do_and_returns_to_the_minimum_when_idle() {
        let (limit, server) = (limit(2, 1000), Arc::<Server>::default());
        let plot = load(&limit, &server, 64, Duration::from_secs(20)).await;
        println!("64 callers, limit every 100 ms: {plot:?}");
        let settled = &plot[plot.len() / 2..];
        let range = CAPACITY as u64..=2 * CAPACITY as u64 + 1;
        assert!(settled.iter().all(|limit| range.contains(limit)), "{settled:?}");
        // 800 a second are possible; finding the limit costs a little.
        let served = server.served.load(Ordering::SeqCst);
        assert!(served > 20 * 750, "{served}");
        sleep(IDLE + Duration::from_millis(1)).await;
        limit.relax();
        assert_eq!(limit.metrics.limit.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn stays_small_while_nobody_waits_and_halves_on_distress() {
        let (limit, server) = (limit(2, 1000), Arc::<Server>::default());
        let plot = load(&limit, &server, 2, Duration::from_secs(5)).await;
        assert!(plot.iter().all(|&limit| limit == 2), "{plot:?}");
        load(&limit, &server, 64, Duration::from_secs(5)).await;
        sleep(Duration::from_secs(1)).await;
        let before = limit.metrics.limit.get();
        let far = Instant::now() + IDLE;
        let permits = futures::future::join_all((0..4).map(|_| limit.acquire(far))).await;
        permits.into_iter().for_each(|permit| permit.unwrap().report(true));
        assert_eq!(limit.metrics.limit.get(), before / 2, "four failures at once are one spell");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_limit_lets_what_is_under_way_finish() {
        let limit = limit(1, 8);
        let far = Instant::now() + IDLE;
        limit.resize(&mut limit.lock(), 8.0);
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(limit.acquire(far).await.unwrap());
        }
        limit.resize(&mut limit.lock(), 3.0);
        assert_eq!(limit.metrics.in_use.get(), 8);
        for left in (3..8).rev() {
            drop(permits.pop());
            assert_eq!(limit.metrics.in_use.get(), left);
            let next = limit.acquire(Instant::now()).await;
            assert!(next.is_err(), "a ninth with {left} under way and a limit of 3");
        }
        drop(permits.pop());
        assert!(limit.acquire(far).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_no_trace() {
        let limit = limit(1, 1);
        let far = Instant::now() + IDLE;
        let held = limit.acquire(far).await.unwrap();
        for _ in 0..5 {
            let soon = Instant::now() + Duration::from_millis(1);
            assert!(matches!(limit.acquire(soon).await, Err(Error::Unavailable { .. })));
        }
        assert_eq!((limit.metrics.waiting.get(), limit.metrics.in_use.get()), (0, 1));
        drop(held);
        assert!(limit.acquire(far).await.is_ok());
    }
}
