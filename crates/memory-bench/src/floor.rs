//! A save on a server against the least it could take: the very same requests, recorded beforehand and
//! sent by hand over one connection, to a server of its own at the same distance. Nothing is encoded,
//! decided or waited for there but the answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use memory_core::WriteId;
use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_storage_turso::{RemoteConfig, TursoStore};
use memory_testkit::generate;
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::ratio::Ratio;

const ROUND_TRIP: Duration = Duration::from_millis(20);
const ROUNDS: u64 = 6;
/// In a round, on each side. All rounds stay below the number that makes a dictionary in the background.
const SAVES: u64 = 25;
const SEED: u64 = 0xF100;
const BYTES: usize = 4_000;

/// How many times as long the store takes; `None` where there is no server.
pub(crate) async fn remote_save() -> Result<Option<Ratio>> {
    let start = || tokio::task::block_in_place(|| Server::start(Options::default()));
    let (Some(recorded), Some(ours), Some(bare)) = (start(), start(), start()) else {
        return Ok(None);
    };
    let requests = record(&recorded).await?;
    // For the schema alone.
    let by_hand = connect(&bare.url()).await?;
    let (proxy, bare_proxy) =
        (FaultProxy::start(ours.address()).await, FaultProxy::start(bare.address()).await);
    proxy.set_round_trip(ROUND_TRIP);
    bare_proxy.set_round_trip(ROUND_TRIP);
    let store = connect(&proxy.url()).await?;
    let address = bare_proxy.url().trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(address).await?;
    connection.set_nodelay(true)?;
    let mut rounds = Vec::new();
    for n in 0..ROUNDS {
        let numbers = n * SAVES..(n + 1) * SAVES;
        let saves: Vec<Write> = numbers.clone().map(save).collect();
        let began = Instant::now();
        for save in saves {
            store.write(vec![save]).await?.pop().context("no result")??;
        }
        let own = began.elapsed().as_secs_f64();
        let began = Instant::now();
        for request in requests.iter().skip((n * SAVES) as usize).take(SAVES as usize) {
            exchange(&mut connection, request).await?;
        }
        rounds.push((began.elapsed().as_secs_f64(), own));
    }
    let [saved, repeated] =
        [store.counts(&Scope::All).await?, by_hand.counts(&Scope::All).await?].map(|c| c.episodes);
    ensure!(saved == repeated, "{saved:?} episodes by the store, {repeated:?} by hand");
    Ok(Ratio::of(&rounds))
}

async fn connect(url: &str) -> Result<TursoStore> {
    let config = RemoteConfig { warm_connections: 0, ..RemoteConfig::at(url.to_owned()) };
    let store = TursoStore::connect(config)?;
    store.ready().await?;
    Ok(store)
}

fn save(n: u64) -> Write {
    let episode = Arc::new(generate::episode(SEED, n, BYTES));
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Write::Save(Save { episode, base: 0, write_id, lessons: Vec::new() })
}

type Recording = Arc<Mutex<Vec<u8>>>;

/// The bytes of the request of each save.
async fn record(server: &Server) -> Result<Vec<Vec<u8>>> {
    let recording = Recording::default();
    let take = || std::mem::take(&mut *recording.lock().unwrap_or_else(PoisonError::into_inner));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let accepting = tokio::spawn(relay(listener, server.address(), recording.clone()));
    let store = connect(&url).await?;
    let mut requests = Vec::new();
    for n in 0..ROUNDS * SAVES {
        take();
        store.write(vec![save(n)]).await?.pop().context("no result")??;
        requests.push(take());
    }
    store.close().await;
    accepting.abort();
    Ok(requests)
}

async fn relay(listener: TcpListener, upstream: std::net::SocketAddr, recording: Recording) {
    while let Ok((client, _)) = listener.accept().await {
        let recording = recording.clone();
        tokio::spawn(async move {
            let server = TcpStream::connect(upstream).await?;
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let down =
                tokio::spawn(
                    async move { tokio::io::copy(&mut from_server, &mut to_client).await },
                );
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let n = from_client.read(&mut buffer).await?;
                let part = buffer.get(..n).unwrap_or_default();
                if part.is_empty() {
                    down.abort();
                    return Ok::<_, std::io::Error>(());
                }
                recording.lock().unwrap_or_else(PoisonError::into_inner).extend(part);
                to_server.write_all(part).await?;
            }
        });
    }
}

/// Sends a request and reads its answer to the end.
async fn exchange(connection: &mut TcpStream, request: &[u8]) -> Result<()> {
    connection.write_all(request).await?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while !is_whole(&answer) {
        let n = connection.read(&mut buffer).await?;
        ensure!(n > 0, "the server closed the connection");
        answer.extend(buffer.get(..n).unwrap_or_default());
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// By its length, or by the last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, rest) = answer.split_at(at);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match length.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => rest.len() >= 4 + length,
        None => answer.ends_with(b"\r\n0\r\n\r\n"),
    }
}
