//! A proxy between a client and a real server that counts, delays and breaks things.
//!
//! It speaks enough HTTP/1.1 to tell one request from the next, so that a fault can be aimed at
//! "the next two requests". Delays are applied to the client's raw bytes, outside of TLS, so that
//! handshakes cost what they would cost over a distance; throughput is not limited.

mod fault;
mod http;
mod session;
#[cfg(feature = "full")]
mod tls;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use fault::Fault;

/// A running proxy. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    ca_pem: Option<String>,
    accepting: JoinHandle<()>,
}

/// What went through so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// TCP connections accepted.
    pub connections: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// HTTP requests whose head has arrived.
    pub requests: u64,
    /// Requests under way now.
    pub active_requests: u64,
    /// The most requests that were under way at once.
    pub peak_requests: u64,
    /// Raw bytes from client to server.
    pub bytes_up: u64,
    /// Raw bytes from server to client.
    pub bytes_down: u64,
}

impl FaultProxy {
    /// Listens on a free port of the loopback interface, in front of `upstream`.
    pub async fn start(upstream: SocketAddr) -> Self {
        Self::listen(upstream, None, None).await
    }

    /// The same with TLS, which the server behind it does not speak, for the name `localhost`.
    #[cfg(feature = "full")]
    pub async fn start_tls(upstream: SocketAddr) -> Self {
        let tls::Authority { ca_pem, acceptor } = tls::Authority::generate();
        Self::listen(upstream, Some(ca_pem), Some(acceptor)).await
    }

    async fn listen(
        upstream: SocketAddr,
        ca_pem: Option<String>,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("the listener's address");
        let (cut, _) = watch::channel(0);
        let shared = Arc::new(Shared {
            upstream,
            cut,
            counters: Counters::default(),
            script: Mutex::new(Script::default()),
        });
        let accepting = tokio::spawn(session::accept(listener, shared.clone(), acceptor));
        FaultProxy { address, shared, ca_pem, accepting }
    }

    /// What a client connects to.
    pub fn url(&self) -> String {
        match self.ca_pem {
            Some(_) => format!("https://localhost:{}", self.address.port()),
            None => format!("http://{}", self.address),
        }
    }

    /// The certificate authority a client must trust, when there is TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Delays bytes by half of `round_trip` in each direction from now on, and new connections by
    /// the one round trip that TCP takes to open one.
    pub fn set_round_trip(&self, round_trip: Duration) {
        self.shared.script().round_trip = round_trip;
    }

    /// Lets `fault` befall the next `requests` requests, after those of earlier calls.
    pub fn fault_next(&self, fault: Fault, requests: usize) {
        self.shared.script().next.extend(std::iter::repeat_n(fault, requests));
    }

    /// Lets `fault` befall every request that no [`fault_next`](Self::fault_next) claims; `None`
    /// ends all faults.
    pub fn fault_all(&self, fault: Option<Fault>) {
        let mut script = self.shared.script();
        if fault.is_none() {
            script.next.clear();
        }
        script.always = fault;
    }

    /// Resets every open connection, as a middlebox does that has forgotten them.
    pub fn cut_connections(&self) {
        self.shared.cut.send_modify(|generation| *generation += 1);
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut_connections();
    }
}

/// What the proxy's tasks share.
#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    /// Changes when all connections are to be cut.
    cut: watch::Sender<u64>,
    counters: Counters,
    script: Mutex<Script>,
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("no holder panics")
    }

    fn round_trip(&self) -> Duration {
        self.script().round_trip
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut script = self.script();
        script.next.pop_front().or(script.always)
    }
}

/// What is to happen.
#[derive(Debug, Default)]
struct Script {
    round_trip: Duration,
    next: VecDeque<Fault>,
    always: Option<Fault>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    handshakes: AtomicU64,
    requests: AtomicU64,
    current_requests: AtomicU64,
    peak_requests: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl Counters {
    fn request_began(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let now = self.current_requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak_requests.fetch_max(now, Ordering::Relaxed);
    }

    fn request_ended(&self) {
        self.current_requests.fetch_sub(1, Ordering::Relaxed);
    }

    fn read(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: get(&self.connections),
            handshakes: get(&self.handshakes),
            requests: get(&self.requests),
            active_requests: get(&self.current_requests),
            peak_requests: get(&self.peak_requests),
            bytes_up: get(&self.bytes_up),
            bytes_down: get(&self.bytes_down),
        }
    }
}
