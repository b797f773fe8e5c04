//! One client connection's raw bytes: counted, delayed, and cut when told to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::Shared;

const CHUNK: usize = 64 * 1024;
/// Chunks under way in one direction; more than a fast link holds, and still a bound.
const CHUNKS_IN_FLIGHT: usize = 64;

/// Carries bytes between `client` and `far` until either ends, or until `reset` or the shared cut
/// says that the client is to see a reset.
pub(super) async fn carry(
    mut client: TcpStream,
    far: DuplexStream,
    shared: Arc<Shared>,
    reset: oneshot::Receiver<()>,
) {
    let mut cut = shared.cut.subscribe();
    sleep(shared.round_trip()).await;
    let (from_client, to_client) = client.split();
    let (from_far, to_far) = tokio::io::split(far);
    let counters = &shared.counters;
    let both = async {
        tokio::join!(
            pump(from_client, to_far, &counters.bytes_up, &shared),
            pump(from_far, to_client, &counters.bytes_down, &shared),
        )
    };
    let is_reset = tokio::select! {
        _ = both => false,
        told = reset => told.is_ok(),
        _ = cut.changed() => true,
    };
    if is_reset {
        // Fails only on a socket that is gone already.
        let _ = client.set_zero_linger();
    }
}

/// Hands each chunk on half a round trip after it came in.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    counter: &AtomicU64,
    shared: &Shared,
) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_IN_FLIGHT);
    let reading = async move {
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = from.read(&mut chunk).await?;
            counter.fetch_add(n as u64, Ordering::Relaxed);
            let due = Instant::now() + shared.round_trip() / 2;
            let bytes = chunk.get(..n).unwrap_or_default().to_vec();
            if n == 0 || sender.send((due, bytes)).await.is_err() {
                return Ok::<_, io::Error>(());
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            if due > Instant::now() {
                sleep_until(due).await;
            }
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}
