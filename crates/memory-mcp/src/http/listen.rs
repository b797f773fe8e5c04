//! Connections: how many, for how long, and how they end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tower::ServiceExt as _;

/// Bounds on connections.
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) header_timeout: Duration,
    pub(super) shutdown_timeout: Duration,
}

/// One connection, as its requests see it.
#[derive(Clone)]
pub(super) struct Connection {
    trusted: Arc<AtomicBool>,
}

impl Connection {
    /// A request on it showed a token that is known.
    pub(super) fn trust(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }
}

/// Connections that have not shown a token yet, the oldest first: when there are too many
/// connections, these make room, so that idle strangers cannot keep clients out.
#[derive(Default)]
struct Strangers {
    waiting: Mutex<VecDeque<(Connection, AbortHandle)>>,
}

impl Strangers {
    fn push(&self, connection: Connection, handle: AbortHandle) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(c, handle)| !handle.is_finished() && !c.trusted.load(Ordering::Relaxed));
        waiting.push_back((connection, handle));
    }

    /// Ends the oldest.
    fn evict(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((connection, handle)) = waiting.pop_front() {
            if !handle.is_finished() && !connection.trusted.load(Ordering::Relaxed) {
                handle.abort();
                return;
            }
        }
    }
}

/// Accepts until `stop`, then lets what is in flight end.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (strangers, graceful) = (Strangers::default(), GracefulShutdown::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    let accept = async {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, for instance: some will be free in a moment.
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let slot = slot(&slots, &strangers).await;
            let connection = Connection { trusted: Arc::default() };
            let served = serve(stream, &router, &http, connection.clone(), &graceful, slot);
            strangers.push(connection, served);
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop => {}
    }
    drop(listener);
    if tokio::time::timeout(limits.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests in flight did not end in time and were cut off");
    }
}

/// A slot for one more connection, taken from a stranger if there is none left.
async fn slot(slots: &Arc<Semaphore>, strangers: &Strangers) -> Option<OwnedSemaphorePermit> {
    if let Ok(slot) = slots.clone().try_acquire_owned() {
        return Some(slot);
    }
    strangers.evict();
    slots.clone().acquire_owned().await.ok()
}

fn serve(
    stream: TcpStream,
    router: &Router,
    http: &http1::Builder,
    connection: Connection,
    graceful: &GracefulShutdown,
    slot: Option<OwnedSemaphorePermit>,
) -> AbortHandle {
    // Answers are small and should not wait for one another.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let service = router.clone().map_request(move |mut request: hyper::Request<_>| {
        request.extensions_mut().insert(connection.clone());
        request
    });
    let served = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let served = graceful.watch(served);
    let task = tokio::spawn(async move {
        let _slot = slot;
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
    task.abort_handle()
}
