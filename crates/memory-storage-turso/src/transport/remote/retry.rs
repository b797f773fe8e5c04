//! How long to wait before the next try, and whether there may be one.
//!
//! "Full jitter" after Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015):
//! a random time up to the longest. The crates for it add a random time to the longest instead, or
//! own the loop, which here also asks the budget, the breaker and the deadline.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::config::RetryConfig;

/// Retries that are free before the budget counts, so that a rare failure is always retried.
const FREE_RETRIES: f64 = 10.0;

/// The pause before retry number `attempt`, from 0. `random` gives a number from 0 to 1.
pub(super) fn pause(config: &RetryConfig, attempt: u32, random: impl FnOnce() -> f64) -> Duration {
    let longest = config.base.saturating_mul(2_u32.saturating_pow(attempt)).min(config.cap);
    if config.jitter { longest.mul_f64(random()) } else { longest }
}

/// A token bucket: every request puts in a fraction of a retry, every retry takes one out.
#[derive(Debug)]
pub(super) struct Budget {
    per_request: f64,
    tokens: Mutex<f64>,
}

impl Budget {
    pub(super) fn new(per_request: f64) -> Self {
        let free = if per_request > 0.0 { FREE_RETRIES } else { 0.0 };
        Budget { per_request, tokens: Mutex::new(free) }
    }

    /// A request that is no retry is made.
    pub(super) fn deposit(&self) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        *tokens = (*tokens + self.per_request).min(FREE_RETRIES);
    }

    /// Whether a retry may be made; takes it out.
    pub(super) fn withdraw(&self) -> bool {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = *tokens >= 1.0;
        if allowed {
            *tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_jitter_takes_any_part() {
        let ms = Duration::from_millis;
        let fixed = RetryConfig { jitter: false, ..RetryConfig::default() };
        let pauses = [0, 1, 2, 4, 5, 40].map(|attempt| pause(&fixed, attempt, || 0.5));
        assert_eq!(pauses, [ms(100), ms(200), ms(400), ms(1600), ms(2000), ms(2000)]);
        let full = RetryConfig::default();
        let parts = [0.0, 0.25, 1.0].map(|random| pause(&full, 2, || random));
        assert_eq!(parts, [ms(0), ms(100), ms(400)]);
    }

    #[test]
    fn retries_stay_within_a_fifth_of_the_requests_after_the_free_ones() {
        let budget = Budget::new(0.2);
        let mut retries = 0;
        for _ in 0..1000 {
            budget.deposit();
            retries += u32::from(budget.withdraw());
        }
        assert!((200..=210).contains(&retries), "{retries}");
        let off = Budget::new(0.0);
        off.deposit();
        assert!(!off.withdraw());
    }
}
