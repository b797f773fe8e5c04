//! How long operations take, by whatever tells them apart.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Two significant digits: a quantile is off by 1% at most, and a histogram takes some kilobytes.
const SIGNIFICANT_DIGITS: u8 = 2;

/// What takes longer is counted as this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// Durations since the start, by label. Labels must be few: each has a histogram.
pub struct Latencies<L>(Mutex<BTreeMap<L, Latency>>);

impl<L> Latencies<L> {
    /// Nothing measured yet.
    pub const fn new() -> Self {
        Latencies(Mutex::new(BTreeMap::new()))
    }
}

impl<L> Default for Latencies<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> fmt::Debug for Latencies<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies").finish_non_exhaustive()
    }
}

impl<L: Ord + Clone> Latencies<L> {
    /// Counts one operation.
    pub fn record(&self, label: L, took: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latency) = all.get_mut(&label) {
            latency.record(took);
        } else if let Some(mut latency) = Latency::new() {
            latency.record(took);
            all.insert(label, latency);
        }
    }

    /// What was measured so far, in the order of the labels.
    pub fn snapshot(&self) -> Vec<(L, Latency)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(label, latency)| (label.clone(), latency.clone())).collect()
    }
}

/// Durations of one kind of operation.
#[derive(Debug, Clone)]
pub struct Latency {
    /// Microseconds.
    histogram: Histogram<u64>,
    sum: Duration,
}

impl Latency {
    /// `None` would be a number of digits that the library does not take.
    fn new() -> Option<Self> {
        let histogram = Histogram::new(SIGNIFICANT_DIGITS).ok()?;
        Some(Latency { histogram, sum: Duration::ZERO })
    }

    fn record(&mut self, took: Duration) {
        let took = took.min(LONGEST);
        self.sum += took;
        // It grows to whatever comes, so that nothing is refused.
        let _ = self.histogram.record(microseconds(took));
    }

    /// Adds what another measured.
    pub fn add(&mut self, other: &Latency) {
        self.sum += other.sum;
        let _ = self.histogram.add(&other.histogram);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// How long all of them took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The duration that this share (0 to 1) of them did not exceed; zero without any.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.histogram.value_at_quantile(share))
    }

    /// How many took this long at most, to the histogram's precision.
    pub fn at_most(&self, bound: Duration) -> u64 {
        self.histogram.count_between(0, microseconds(bound))
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_buckets_are_those_of_what_was_measured() {
        let latencies = Latencies::new();
        for ms in 1..=1000 {
            latencies.record("read", Duration::from_millis(ms));
        }
        latencies.record("write", Duration::from_secs(1_000_000));
        let measured = latencies.snapshot();
        let [("read", read), ("write", write)] = measured.as_slice() else { panic!() };
        assert_eq!((read.count(), write.count()), (1000, 1));
        assert_eq!(read.sum(), Duration::from_millis(500_500));
        for (share, ms) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let found = read.quantile(share).as_secs_f64() * 1000.0;
            assert!((found / ms - 1.0).abs() < 0.01, "{share}: {found}");
        }
        let half = read.at_most(Duration::from_millis(500));
        assert!((495..=505).contains(&half), "{half}");
        assert_eq!(read.at_most(LONGEST), 1000);
        assert!(write.quantile(0.5) >= LONGEST);
        let mut both = read.clone();
        both.add(write);
        assert_eq!(both.count(), 1001);
    }
}
