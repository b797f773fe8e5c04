//! What the remote transport did and where it stands, for anybody to read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::latency::Latencies;

use crate::metrics::{Counter, Pool};

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// Counters and gauges of one connection to a server.
#[derive(Debug, Default)]
pub struct RemoteMetrics {
    /// HTTP requests sent: round trips, retries included.
    pub requests: Counter,
    /// Connections opened, TLS handshake included.
    pub connections: Counter,
    /// Requests that were sent because an earlier one failed.
    pub retries: Counter,
    /// Retries not made because the budget was used up.
    pub retries_denied: Counter,
    /// Bytes of request bodies.
    pub bytes_sent: Counter,
    /// Bytes of answers, after decompression.
    pub bytes_received: Counter,
    /// Write requests committed.
    pub commits: Counter,
    /// Write batches committed. More than `commits` when waiting writes share a request.
    pub committed_batches: Counter,
    /// Write requests that failed and were sent again one batch at a time.
    pub split_groups: Counter,
    /// Calls refused early because too much was waiting.
    pub overloaded: Counter,
    /// Calls refused at once because the circuit was open.
    pub rejected: Counter,
    /// Times the circuit opened.
    pub breaker_opened: Counter,
    /// The circuit: 0 closed, 1 half-open, 2 open.
    pub breaker_state: Gauge,
    /// Reads that may be under way at a time now.
    pub limit: Gauge,
    /// Reads under way.
    pub in_use: Gauge,
    /// Reads waiting for their turn.
    pub waiting: Gauge,
    /// What reads waited for their turn.
    pub wait: Latencies<()>,
    /// Write batches waiting for the next request.
    pub waiting_writes: Gauge,
    /// 1 when the connections to be kept warm are open.
    pub warm: Gauge,
}

impl RemoteMetrics {
    /// How the reads that may be under way at a time are used now.
    pub fn pool(&self) -> Pool {
        let (in_use, limit) = (self.in_use.get(), self.limit.get());
        let waiting = self.waiting.get();
        Pool { in_use, idle: limit.saturating_sub(in_use), limit, waiting }
    }

    /// The circuit in a word: `closed`, `half-open` or `open`.
    pub fn breaker(&self) -> &'static str {
        match self.breaker_state.get() {
            0 => "closed",
            1 => "half-open",
            _ => "open",
        }
    }
}
