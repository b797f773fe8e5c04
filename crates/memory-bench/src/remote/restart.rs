//! Many clients when the server dies and comes back, with and without jitter.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use memory_core::EpisodeId;
use memory_core::store::Scope;
use memory_storage_turso::{RemoteConfig, RetryConfig, TursoStore};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, interval, sleep};

use super::world::{World, episode, get, save_of, write};

/// How long a client waits between its calls.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the server is up before it is killed, and down before it is started again.
const UP: Duration = Duration::from_secs(3);
const DOWN: Duration = Duration::from_secs(2);

/// Requests are counted in times of this length: shorter than the waves that clients in step make.
pub(super) const BIN: Duration = Duration::from_millis(10);

/// How many of them a second has.
const BINS_PER_S: usize = 100;

/// How long a restart may show afterwards, in such times: 3 s.
const AFTERMATH_BINS: usize = 3 * BINS_PER_S;

/// How much of it.
pub(crate) struct Effort {
    /// Runs of each kind.
    pub(super) repeats: usize,
    /// Clients, each with connections, breaker and retries of its own.
    pub(super) clients: usize,
    /// How long it is watched after the server is back.
    pub(super) after: Duration,
}

/// One restart.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(super) jitter: bool,
    /// All clients noticed at the same moment that the server was gone; else within 100 ms.
    pub(super) together: bool,
    pub(super) clients: usize,
    /// Requests at the proxy in each 10 ms.
    pub(super) requests: Vec<u64>,
    pub(super) killed_at_s: f64,
    pub(super) back_at_s: f64,
    /// Requests per second before the server was killed.
    pub(super) usual_rate: f64,
    /// The most in any 10 ms, from 0.25 s after the kill, when the first retries are over, until the server was back, as requests per second.
    pub(super) peak_while_down: f64,
    /// The most in the 3 s after that: what the server has to bear.
    pub(super) peak_once_back: f64,
    /// Calls that ended in an error.
    pub(super) failed_calls: u64,
    /// From when the server was back until every client had been answered again.
    pub(super) recovered_after_s: f64,
}

/// Restarts with and without jitter, in turns.
pub(super) async fn measure(effort: &Effort) -> Result<Vec<Run>> {
    let mut world = World::start().await?;
    let store = world.store(world.on()).await?;
    let one = episode("restart", 0);
    let id = one.id;
    write(&store, vec![save_of(one)]).await?;
    store.close().await;
    let mut runs = Vec::new();
    for _ in 0..effort.repeats {
        for (together, jitter) in [(false, false), (false, true), (true, false), (true, true)] {
            runs.push(run(&mut world, effort, together, jitter, id).await?);
        }
    }
    Ok(runs)
}

async fn run(
    world: &mut World,
    effort: &Effort,
    together: bool,
    jitter: bool,
    id: EpisodeId,
) -> Result<Run> {
    let retry = RetryConfig { jitter, ..RetryConfig::default() };
    let config = RemoteConfig { retry, warm_connections: 0, ..world.on() };
    let began = Instant::now();
    let until = began + UP + DOWN + effort.after;
    let mut clients = JoinSet::new();
    let alarm = Arc::new(Notify::new());
    for n in 0..effort.clients {
        let store = TursoStore::connect(config.clone())?;
        // Not in step with each other, until something makes them.
        let delay = PAUSE.mul_f64(n as f64 / effort.clients as f64);
        let alarm = alarm.clone();
        clients.spawn(async move {
            sleep(delay).await;
            client(store, id, until, &alarm).await
        });
    }
    let mut requests = Vec::new();
    count(world, began + UP, &mut requests).await;
    // In the first second the clients connect.
    let usual: Vec<u64> = requests.iter().copied().skip(BINS_PER_S).collect();
    let (bins_up, killed_at) = (requests.len(), began.elapsed());
    block_in_place(|| world.server.kill());
    if together {
        alarm.notify_waiters();
    }
    count(world, began + UP + DOWN, &mut requests).await;
    block_in_place(|| world.server.restart());
    let (bins_down, back) = (requests.len(), Instant::now());
    count(world, until, &mut requests).await;
    let (mut failed_calls, mut recovered) = (0, back);
    while let Some(ended) = clients.join_next().await {
        let Client { failed, answers } = ended?;
        failed_calls += failed;
        let answered = answers.into_iter().find(|at| *at > back).unwrap_or(until);
        recovered = recovered.max(answered);
    }
    let per_second = 1.0 / BIN.as_secs_f64();
    let peak = |bins: &[u64]| bins.iter().max().copied().unwrap_or(0) as f64 * per_second;
    let (before, after) = requests.split_at(bins_down);
    Ok(Run {
        jitter,
        together,
        clients: effort.clients,
        killed_at_s: killed_at.as_secs_f64(),
        back_at_s: back.duration_since(began).as_secs_f64(),
        usual_rate: usual.iter().sum::<u64>() as f64 * per_second / usual.len().max(1) as f64,
        peak_while_down: peak(before.get(bins_up + BINS_PER_S / 4..).unwrap_or_default()),
        peak_once_back: peak(after.get(..AFTERMATH_BINS).unwrap_or(after)),
        failed_calls,
        recovered_after_s: recovered.duration_since(back).as_secs_f64(),
        requests,
    })
}

struct Client {
    failed: u64,
    /// When each call ended that was answered.
    answers: Vec<Instant>,
}

/// Reads again and again after a pause, or at once on the alarm.
async fn client(store: TursoStore, id: EpisodeId, until: Instant, alarm: &Notify) -> Client {
    let scope = Scope::Project("restart".into());
    let mut client = Client { failed: 0, answers: Vec::new() };
    while Instant::now() < until {
        match get(&store, &scope, &[id]).await {
            Ok(()) => client.answers.push(Instant::now()),
            Err(_) => client.failed += 1,
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = alarm.notified() => {}
        }
    }
    client
}

/// Counts the requests of each bin until then.
async fn count(world: &World, until: Instant, requests: &mut Vec<u64>) {
    let mut ticks = interval(BIN);
    ticks.tick().await;
    let mut last = world.proxy.counts().requests;
    while Instant::now() < until {
        ticks.tick().await;
        let now = world.proxy.counts().requests;
        requests.push(now - last);
        last = now;
    }
}
