//! Measurements, to be run one at a time and read:
//! `cargo test -p memory-storage-turso --test remote -- --ignored --nocapture --test-threads 1`

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::EpisodeStore;
use memory_core::store::Write;
use memory_storage_turso::batch::{Access, Batch, Statement, Value};
use memory_storage_turso::{RemoteConfig, RemoteTransport, RetryConfig, TursoStore};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};
use memory_testkit::{generate, story};
use tokio::task::JoinSet;

use crate::config;

fn statement(sql: &'static str, params: Vec<Value>) -> Vec<Statement> {
    vec![Statement::new(sql, params)]
}

/// A server with 1,000 rows of 4 KB behind a proxy 20 ms away.
async fn world() -> Option<(Server, FaultProxy)> {
    let server = Server::start(Options::default())?;
    let db = RemoteTransport::new(config(server.url())).unwrap();
    let fill = "INSERT INTO t SELECT value, hex(randomblob(2048)) FROM (WITH RECURSIVE n(value) AS \
                (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 1000) SELECT value FROM n)";
    let mut statements = statement("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)", vec![]);
    statements.extend(statement(fill, vec![]));
    db.run(Batch { access: Access::Write, statements }).await.unwrap();
    let proxy = FaultProxy::start(server.address()).await;
    proxy.set_round_trip(Duration::from_millis(20));
    Some((server, proxy))
}

async fn get(db: &RemoteTransport, k: i64) -> bool {
    let statements = statement("SELECT v FROM t WHERE k = ?1", vec![Value::Integer(k % 1000)]);
    db.run(Batch { access: Access::Read, statements }).await.is_ok()
}

/// `callers` ask without pause; requests per second and the 99th percentile.
async fn load(db: &Arc<RemoteTransport>, callers: usize, time: Duration) -> (f64, Duration) {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let db = db.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                assert!(get(&db, (caller + latencies.len()) as i64).await);
                latencies.push(began.elapsed());
            }
            latencies
        });
    }
    let mut latencies = tasks.join_all().await.concat();
    latencies.sort();
    let p99 = latencies[latencies.len() * 99 / 100];
    (latencies.len() as f64 / time.as_secs_f64(), p99)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn bursts_with_the_adaptive_limit_and_with_fixed_ones() {
    let Some((_server, proxy)) = world().await else { return };
    for (min, max) in [(10, 10), (2, 32), (10, 10), (2, 32), (2, 64)] {
        let config =
            RemoteConfig { min_concurrency: min, max_concurrency: max, ..config(proxy.url()) };
        let db = Arc::new(RemoteTransport::new(config).unwrap());
        println!("limit {min} to {max}");
        for callers in [1, 8, 1, 64] {
            let watched = db.clone();
            let plot = tokio::spawn(async move {
                let mut plot = Vec::new();
                loop {
                    plot.push(watched.metrics().limit.get());
                    if plot.len() == 30 {
                        return plot;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
            let (rate, p99) = load(&db, callers, Duration::from_secs(3)).await;
            println!(
                "  {callers:>2} callers: {rate:>6.0}/s, p99 {p99:?}, limit {:?}",
                plot.await.unwrap()
            );
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        get(&db, 1).await;
        println!("  after 6 s of idleness: {}", db.metrics().limit.get());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_hundred_clients_through_a_restart_with_and_without_jitter() {
    let Some((mut server, proxy)) = world().await else { return };
    for jitter in [false, true, false, true] {
        let retry = RetryConfig { jitter, ..RetryConfig::default() };
        let mut clients = JoinSet::new();
        let end = Instant::now() + Duration::from_secs(12);
        for n in 0..100 {
            let config = RemoteConfig { retry, ..config(proxy.url()) };
            clients.spawn(async move {
                let db = RemoteTransport::new(config).unwrap();
                let (mut failed, mut last_failure) = (0, None);
                while Instant::now() < end {
                    if !get(&db, n).await {
                        failed += 1;
                        last_failure = Some(Instant::now());
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                (failed, last_failure)
            });
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.kill();
        let mut rates = Vec::new();
        let mut last = proxy.counts().requests;
        let mut tick = |rates: &mut Vec<u64>| {
            let now = proxy.counts().requests;
            rates.push(now - last);
            last = now;
        };
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            tick(&mut rates);
        }
        server.restart();
        let back = Instant::now();
        for _ in 0..120 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            tick(&mut rates);
        }
        let ended = clients.join_all().await;
        let failed: u32 = ended.iter().map(|(failed, _)| failed).sum();
        let recovered = ended.iter().filter_map(|(_, at)| *at).max();
        let recovered = recovered.map(|at| at.saturating_duration_since(back));
        println!(
            "jitter {jitter}: peak {} requests in 50 ms, {failed} calls failed, last failure \
             {recovered:?} after the server was back\n  {rates:?}",
            rates.iter().max().unwrap()
        );
    }
}

/// Statements of a save with metadata and lessons; without this crate each is a request.
const STATEMENTS_OF_A_SAVE: usize = 7;

/// A connection for every operation, a request for every statement, nothing gathered.
struct Off(RemoteTransport);

impl Off {
    async fn save(&self, n: i64, payload: &str) {
        for part in 0..STATEMENTS_OF_A_SAVE as i64 {
            let text = if part == 0 { payload } else { "" };
            let params = vec![Value::Integer(10_000 + n * 10 + part), Value::Text(text.to_owned())];
            let statements = statement("INSERT INTO t VALUES (?1, ?2)", params);
            self.0.run(Batch { access: Access::Write, statements }).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn saves_and_loads_with_everything_on_and_everything_off() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    proxy.set_round_trip(Duration::from_millis(20));
    let store = TursoStore::connect(config(proxy.url())).unwrap();
    let off = RemoteConfig { idle_timeout: Duration::ZERO, max_group: 1, ..config(proxy.url()) };
    let off = Off(RemoteTransport::new(off).unwrap());
    store.ready().await.unwrap();
    let table = statement("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)", vec![]);
    off.0.run(Batch { access: Access::Write, statements: table }).await.unwrap();
    let payload = "x".repeat(4096);
    let project = story::project("measure");
    for round in 0..3 {
        let of = |n: u64| {
            let mut episode = generate::episode(round, n, 2048);
            episode.project = project.clone();
            episode
        };
        let began = Instant::now();
        for n in 0..50 {
            let episode = of(n);
            story::save(&store, &episode, 0).await.unwrap();
            assert!(story::get(&store, &episode).await.is_some());
        }
        let one_on = began.elapsed() / 50;
        let bulk: Vec<_> = (1000..2000).map(|n| Write::Save(story::save_of(&of(n), 0))).collect();
        let began = Instant::now();
        assert!(store.write(bulk).await.unwrap().iter().all(Result::is_ok));
        let bulk_on = began.elapsed() / 1000;

        let base = round as i64 * 1000;
        let began = Instant::now();
        for n in 0..20 {
            off.save(base + n, &payload).await;
            assert!(get(&off.0, n).await);
        }
        let one_off = began.elapsed() / 20;
        let began = Instant::now();
        for n in 20..220 {
            off.save(base + n, &payload).await;
        }
        let bulk_off = began.elapsed() / 200;
        let ratio = |off: Duration, on: Duration| off.as_secs_f64() / on.as_secs_f64();
        println!(
            "save and load: on {one_on:?}, off {one_off:?}, {:.1} times; bulk, each of 1,000: on \
             {bulk_on:?} ({:.0}/s), off {bulk_off:?}, {:.0} times",
            ratio(one_off, one_on),
            1.0 / bulk_on.as_secs_f64(),
            ratio(bulk_off, bulk_on),
        );
    }
}
