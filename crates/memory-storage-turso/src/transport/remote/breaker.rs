//! The circuit breaker: after enough failures, calls fail at once until a probe succeeds.
//!
//! Closed: all requests pass. Open: none does, for a while. Half-open: one does, the probe; its end
//! closes the circuit or opens it for twice as long. Outcomes of requests from before the last
//! change of state say nothing about the present and are ignored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::BreakerConfig;
use super::metrics::RemoteMetrics;

/// Outcomes remembered for the failure rate.
const WINDOW: u32 = 32;

/// An open period grows to this many times the first.
const MAX_OPEN_FACTOR: u32 = 32;

#[derive(Debug)]
pub(super) struct Breaker {
    config: BreakerConfig,
    circuit: Mutex<Circuit>,
    metrics: Arc<RemoteMetrics>,
}

#[derive(Debug)]
struct Circuit {
    state: State,
    /// Counts the changes of state.
    generation: u64,
    /// How long the next open period lasts.
    open_for: Duration,
    /// The failure that opened it last.
    cause: String,
}

/// No request may pass now.
#[derive(Debug)]
pub(super) struct Rejection {
    /// For about this long.
    pub(super) wait: Duration,
    /// What the last request that was sent failed of.
    pub(super) cause: String,
}

#[derive(Debug)]
enum State {
    Closed {
        in_a_row: u32,
        /// One bit per outcome, the newest lowest, set for a failure.
        history: u32,
        seen: u32,
    },
    Open {
        until: Instant,
    },
    /// The probe is under way.
    HalfOpen,
}

const CLOSED: State = State::Closed { in_a_row: 0, history: 0, seen: 0 };

impl Breaker {
    pub(super) fn new(config: BreakerConfig, metrics: Arc<RemoteMetrics>) -> Self {
        let open_for = config.open_for;
        let circuit = Circuit { state: CLOSED, generation: 0, open_for, cause: String::new() };
        Breaker { config, circuit: Mutex::new(circuit), metrics }
    }

    /// Lets a request pass; its outcome is to be reported to the pass.
    pub(super) fn admit(&self) -> Result<Pass<'_>, Rejection> {
        let mut circuit = self.lock();
        circuit.rejection()?;
        if matches!(circuit.state, State::Open { .. }) {
            self.change(&mut circuit, State::HalfOpen);
        }
        Ok(Pass { breaker: self, generation: circuit.generation, reported: false })
    }

    /// Like [`admit`](Self::admit), without taking the place of a probe.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        self.lock().rejection()
    }

    fn report(&self, generation: u64, outcome: Outcome, cause: &str) {
        let mut circuit = self.lock();
        if circuit.generation != generation {
            return;
        }
        if outcome == Outcome::Failure {
            cause.clone_into(&mut circuit.cause);
        }
        match (&mut circuit.state, outcome) {
            (State::Closed { .. }, Outcome::Cancelled) | (State::Open { .. }, _) => {}
            (State::Closed { in_a_row, history, seen }, outcome) => {
                let failed = outcome == Outcome::Failure;
                *in_a_row = if failed { *in_a_row + 1 } else { 0 };
                *history = (*history << 1) | u32::from(failed);
                *seen = (*seen + 1).min(WINDOW);
                let often = *seen == WINDOW && history.count_ones() >= WINDOW / 2;
                if failed && (*in_a_row >= self.config.failures || often) {
                    self.open(&mut circuit);
                }
            }
            (State::HalfOpen, Outcome::Success) => {
                circuit.open_for = self.config.open_for;
                self.change(&mut circuit, CLOSED);
            }
            (State::HalfOpen, Outcome::Failure) => self.open(&mut circuit),
            // The next call is the probe.
            (State::HalfOpen, Outcome::Cancelled) => {
                self.change(&mut circuit, State::Open { until: Instant::now() });
            }
        }
    }

    fn open(&self, circuit: &mut Circuit) {
        let until = Instant::now() + circuit.open_for;
        circuit.open_for =
            (circuit.open_for * 2).min(self.config.open_for.saturating_mul(MAX_OPEN_FACTOR));
        self.metrics.breaker_opened.increment();
        self.change(circuit, State::Open { until });
    }

    fn change(&self, circuit: &mut Circuit, state: State) {
        let (name, number) = match &state {
            State::Closed { .. } => ("closed", 0),
            State::HalfOpen => ("half-open", 1),
            State::Open { .. } => ("open", 2),
        };
        tracing::info!(state = name, "the circuit to the database changed");
        self.metrics.breaker_state.set(number);
        circuit.generation += 1;
        circuit.state = state;
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Circuit {
    fn rejection(&self) -> Result<(), Rejection> {
        let wait = match self.state {
            State::Closed { .. } => return Ok(()),
            State::HalfOpen => Duration::ZERO,
            State::Open { until } => match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return Ok(()),
                left => left,
            },
        };
        Err(Rejection { wait, cause: self.cause.clone() })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    /// Nobody waited for the end.
    Cancelled,
}

/// The right to send one request. Dropped without a report, it counts as cancelled.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    generation: u64,
    reported: bool,
}

impl Pass<'_> {
    /// A working server answered, whatever it said.
    pub(super) fn healthy(mut self) {
        self.reported = true;
        self.breaker.report(self.generation, Outcome::Success, "");
    }

    /// No working server answered; `cause` is for whoever is rejected because of it.
    pub(super) fn failed(mut self, cause: &str) {
        self.reported = true;
        self.breaker.report(self.generation, Outcome::Failure, cause);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.breaker.report(self.generation, Outcome::Cancelled, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        let config = BreakerConfig { failures: 3, open_for: OPEN };
        Breaker::new(config, Arc::default())
    }

    fn state(breaker: &Breaker) -> u64 {
        breaker.metrics.breaker_state.get()
    }

    fn request(breaker: &Breaker, healthy: bool) {
        let pass = breaker.admit().unwrap();
        if healthy { pass.healthy() } else { pass.failed("refused") }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_on_failures_in_a_row_and_closes_after_one_good_probe() {
        let breaker = breaker();
        for healthy in [false, false, true, false, false] {
            request(&breaker, healthy);
        }
        assert_eq!(state(&breaker), 0);
        request(&breaker, false);
        assert_eq!(state(&breaker), 2);
        assert_eq!(breaker.admit().unwrap_err().wait, OPEN);
        tokio::time::advance(OPEN - Duration::from_millis(1)).await;
        let rejection = breaker.admit().unwrap_err();
        assert_eq!((rejection.wait, rejection.cause), (Duration::from_millis(1), "refused".into()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(breaker.check().is_ok());
        let probe = breaker.admit().unwrap();
        assert_eq!(state(&breaker), 1);
        assert!(breaker.admit().is_err() && breaker.check().is_err(), "one probe at a time");
        probe.healthy();
        assert_eq!(state(&breaker), 0);
        // Counting began anew.
        request(&breaker, false);
        request(&breaker, false);
        assert_eq!(state(&breaker), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn stays_open_twice_as_long_after_each_failed_probe_up_to_a_bound() {
        let breaker = breaker();
        (0..3).for_each(|_| request(&breaker, false));
        let mut periods = Vec::new();
        for _ in 0..8 {
            let left = breaker.admit().unwrap_err().wait;
            periods.push(left.as_secs());
            tokio::time::advance(left).await;
            request(&breaker, false);
        }
        assert_eq!(periods, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(breaker.metrics.breaker_opened.get(), 9);
        tokio::time::advance(32 * OPEN).await;
        request(&breaker, true);
        (0..3).for_each(|_| request(&breaker, false));
        assert_eq!(breaker.admit().unwrap_err().wait, OPEN, "a recovery forgets the long periods");
    }

    #[tokio::test(start_paused = true)]
    async fn opens_when_half_of_the_last_requests_failed() {
        let breaker = breaker();
        for i in 0..WINDOW - 1 {
            request(&breaker, i % 2 == 0);
        }
        assert_eq!(state(&breaker), 0, "too few requests to tell a rate");
        // 16 of 32, but this one went well.
        request(&breaker, true);
        assert_eq!(state(&breaker), 0, "a success opens nothing");
        // The first one, which failed, is forgotten: 16 of 32 again.
        request(&breaker, false);
        assert_eq!(state(&breaker), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nobody_waited_for_neither_counts_nor_breaks_a_row() {
        let breaker = breaker();
        request(&breaker, false);
        request(&breaker, false);
        drop(breaker.admit().unwrap());
        assert_eq!(state(&breaker), 0);
        request(&breaker, false);
        assert_eq!(state(&breaker), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_from_before_says_nothing_to_a_probe_and_nothing_after_it() {
        let breaker = breaker();
        let [good, bad, later] = [(); 3].map(|()| breaker.admit().unwrap());
        (0..3).for_each(|_| request(&breaker, false));
        tokio::time::advance(OPEN).await;
        let probe = breaker.admit().unwrap();
        good.healthy();
        assert_eq!(state(&breaker), 1, "only the probe closes it");
        bad.failed("long ago");
        assert_eq!(state(&breaker), 1, "only the probe opens it");
        probe.healthy();
        request(&breaker, false);
        request(&breaker, false);
        later.failed("long ago");
        assert_eq!(state(&breaker), 0, "two in a row, and one from before");
    }

    #[tokio::test(start_paused = true)]
    async fn late_outcomes_and_cancelled_probes_change_nothing() {
        let breaker = breaker();
        let late: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
        (0..3).for_each(|_| request(&breaker, false));
        late.into_iter().for_each(Pass::healthy);
        assert_eq!(state(&breaker), 2);
        tokio::time::advance(OPEN).await;
        drop(breaker.admit().unwrap());
        let probe = breaker.admit().expect("the next call is the probe");
        probe.healthy();
        assert_eq!(state(&breaker), 0);
    }
}
