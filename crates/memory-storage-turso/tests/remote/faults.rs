//! Operations under every fault: what is acknowledged is there, nothing is there twice, and every
//! call ends in time with an error that says what to do.

use std::sync::Arc;
use std::time::Duration;

use memory_core::store::ListQuery;
use memory_core::{Episode, EpisodeStore, Error, OutcomeKind};
use memory_storage_turso::batch::{Access, Batch, Statement};
use memory_storage_turso::{BreakerConfig, RemoteConfig, RemoteTransport, TursoStore};
use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::rounds::{Rounds, size};
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story::{self, completed, only, project, save, save_of};

use crate::config;

/// What a call may take beyond its deadline before we call it hanging, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Saves and reads under each fault, half of each.
fn operations() -> usize {
    size(20, 500)
}

fn impatient(url: String) -> RemoteConfig {
    RemoteConfig {
        request_timeout: Duration::from_secs(1),
        deadline: Duration::from_secs(3),
        // The breaker has tests of its own.
        breaker: BreakerConfig { failures: 1000, ..BreakerConfig::default() },
        ..config(url)
    }
}

struct World {
    server: Server,
    project: String,
}

impl World {
    async fn new() -> Option<Self> {
        let server = Server::start(Options::default())?;
        TursoStore::connect(config(server.url())).unwrap().ready().await.unwrap();
        Some(World { server, project: project("faults") })
    }

    async fn proxy(&self) -> FaultProxy {
        FaultProxy::start(self.server.address()).await
    }

    /// A store that knows the server, with the faults still to come.
    async fn store(&self, config: RemoteConfig) -> Arc<TursoStore> {
        let store = Arc::new(TursoStore::connect(config).unwrap());
        let known = async { while store.ready().await.is_err() {} };
        ended("the first connection", known).await;
        store
    }

    fn episode(&self, n: usize) -> Episode {
        completed(&self.project, &format!("task number {n}"), OutcomeKind::Success)
    }

    /// Looks past the proxy: every episode is there as often as it was acknowledged.
    async fn check(&self, acknowledged: &[Episode], unknown: &[Episode]) {
        let store = TursoStore::connect(config(self.server.url())).unwrap();
        let scope = only(&self.project);
        for episode in acknowledged {
            let stored = store.get(&scope, &[episode.id]).await.unwrap().remove(0);
            assert_eq!(stored.as_deref(), Some(episode), "acknowledged, and not there");
        }
        for episode in unknown {
            let stored = store.get(&scope, &[episode.id]).await.unwrap().remove(0);
            assert!(stored.is_none_or(|stored| *stored == *episode), "half of it is there");
        }
        let twice = "SELECT count(*) FROM (SELECT id FROM changes GROUP BY id HAVING count(*) > 1)";
        let statements = vec![Statement::new(twice, vec![])];
        let raw = RemoteTransport::new(config(self.server.url())).unwrap();
        let batch = Batch { access: Access::Read, statements };
        let result = raw.run(batch).await.unwrap().remove(0);
        assert_eq!(result.rows, [[0.into()]], "a write was applied twice");
    }
}

async fn ended<T>(what: &str, call: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, call).await;
    ended.unwrap_or_else(|_| panic!("{what} did not end by its deadline"))
}

/// A read of each kind in turn.
async fn read(store: &TursoStore, known: &Episode, n: usize) -> Result<(), Error> {
    let scope = only(&known.project);
    match n % 3 {
        0 => store.get(&scope, &[known.id]).await.map(|found| assert!(found[0].is_some())),
        1 => {
            let query = ListQuery { scope, filter: Default::default(), after: None, limit: 3 };
            store.list(&query).await.map(|page| assert!(!page.episodes.is_empty()))
        }
        _ => {
            let terms = vec!["task".to_owned()];
            let filter = Default::default();
            let query = memory_core::store::SearchQuery {
                scope,
                terms,
                synonyms: Vec::new(),
                filter,
                limit: 3,
            };
            store.search(&query).await.map(|result| assert!(!result.hits.is_empty()))
        }
    }
}

/// What became of the writes made under one fault.
#[derive(Default)]
struct Writes {
    acknowledged: Vec<Episode>,
    unknown: Vec<Episode>,
}

/// Plays every fault at once, each on a proxy and a client of its own, and checks what is left.
async fn under_each_fault(play: impl AsyncFn(&World, Fault, &mut Writes)) {
    let Some(world) = World::new().await else { return };
    // Eleven of them side by side are too much for the stack of a test.
    let (world, play) = (&world, &play);
    let played = Fault::ALL.map(|fault| {
        Box::pin(async move {
            let mut writes = Writes::default();
            play(world, fault, &mut writes).await;
            writes
        })
    });
    for writes in futures::future::join_all(played).await {
        world.check(&writes.acknowledged, &writes.unknown).await;
    }
}

#[tokio::test]
async fn a_fault_that_passes_costs_a_retry_and_no_error() {
    under_each_fault(async |world, fault, writes| {
        let proxy = world.proxy().await;
        let config = RemoteConfig { deadline: PATIENCE / 2, ..impatient(proxy.url()) };
        let mut store = world.store(config.clone()).await;
        let known = world.episode(0);
        save(&*store, &known, 0).await.unwrap();
        writes.acknowledged.push(known.clone());
        for n in 1..=operations() / 2 {
            // Every request fails once here: a client that saw no end of it would rightly give up.
            if n > 1 && n % 5 == 1 {
                store = world.store(config.clone()).await;
            }
            let episode = world.episode(n);
            proxy.fault_next(fault, 1);
            match ended("save", save(&*store, &episode, 0)).await {
                Ok(_) => writes.acknowledged.push(episode),
                // What an answer too large to read has said, nobody knows.
                Err(Error::Unknown { .. }) if fault == Fault::EndlessBody => {
                    writes.unknown.push(episode);
                }
                Err(e) => panic!("save under {fault:?}: {e}"),
            }
            proxy.fault_next(fault, 1);
            match ended("read", read(&store, &known, n)).await {
                Ok(()) => {}
                Err(Error::Refused { .. }) if fault == Fault::EndlessBody => {}
                Err(e) => panic!("read under {fault:?}: {e}"),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_fault_that_stays_ends_every_call_in_time_with_the_right_error() {
    under_each_fault(async |world, fault, writes| {
        let proxy = world.proxy().await;
        let known = world.episode(0);
        save(&*world.store(config(proxy.url())).await, &known, 0).await.unwrap();
        writes.acknowledged.push(known.clone());
        let mut config = impatient(proxy.url());
        match fault {
            // Slow, and no failure.
            Fault::SlowClose(_) => config.deadline = PATIENCE / 2,
            Fault::EndlessBody => config.max_response_bytes = 1 << 20,
            _ => {
                config.request_timeout = Duration::from_millis(300);
                config.deadline = Duration::from_millis(700);
            }
        }
        let mut store = world.store(config.clone()).await;
        proxy.fault_all(Some(fault));
        for n in 1..=operations() / 2 {
            // A client that saw half of its last requests fail would rightly stop asking.
            if n > 1 && n % 5 == 1 {
                proxy.fault_all(None);
                store = world.store(config.clone()).await;
                proxy.fault_all(Some(fault));
            }
            let episode = world.episode(n);
            let saving = ended("save", save(&*store, &episode, 0));
            let reading = ended("read", read(&store, &known, n));
            let (saved, got) = futures::join!(saving, reading);
            for error in [saved.as_ref().err(), got.as_ref().err()].into_iter().flatten() {
                assert_says_what_to_do(error);
            }
            match (fault, saved, got) {
                (Fault::SlowClose(_), Ok(_), Ok(())) => writes.acknowledged.push(episode),
                // The server cannot have seen it; nobody knows that who waits for a refusal no longer.
                (
                    Fault::Status(_),
                    Err(Error::Unavailable { .. } | Error::Unknown { .. }),
                    Err(Error::Unavailable { .. }),
                ) => {}
                // Too large, or too slow to become so.
                (
                    Fault::EndlessBody,
                    Err(Error::Unknown { .. }),
                    Err(Error::Refused { .. } | Error::Unavailable { .. }),
                )
                | (
                    Fault::ResetBefore
                    | Fault::ResetDuring
                    | Fault::ResetAfter
                    | Fault::Blackhole
                    | Fault::Drip(_)
                    | Fault::Html
                    | Fault::TruncatedJson,
                    Err(Error::Unknown { .. }),
                    Err(Error::Unavailable { .. }),
                ) => writes.unknown.push(episode),
                (fault, saved, got) => panic!("{fault:?}: save {saved:?}, read {got:?}"),
            }
        }
    })
    .await;
}

/// Faults of every kind in no order, some passing, some for several requests: whatever a call says is
/// true, and repeated it succeeds.
#[tokio::test]
async fn faults_in_no_order_lose_nothing_and_double_nothing() {
    let name = "faults_in_no_order_lose_nothing_and_double_nothing";
    let Some(world) = World::new().await else { return };
    let proxy = world.proxy().await;
    let (mut refused, mut acknowledged) = (0, Vec::new());
    for mut round in Rounds::new(name, 4, 100) {
        let config = RemoteConfig { max_response_bytes: 1 << 20, ..impatient(proxy.url()) };
        let store = world.store(config).await;
        let known = world.episode(0);
        save(&*store, &known, 0).await.unwrap();
        for n in 0..size(15, 50) {
            let episode = world.episode(n);
            let write = memory_core::store::Write::Save(save_of(&episode, 0));
            let fault = Fault::ALL[round.random.below(Fault::ALL.len())];
            proxy.fault_next(fault, round.random.below(4));
            if round.random.below(2) == 0
                && let Err(e) = ended("read", read(&store, &known, n)).await
            {
                assert_says_what_to_do(&e);
                refused += 1;
            }
            // The same write until it is acknowledged, as a client does that was told to.
            while let Err(e) = ended("save", story::write(&*store, write.clone())).await {
                assert_says_what_to_do(&e);
                refused += 1;
            }
            acknowledged.push(episode);
        }
        proxy.fault_all(None);
        acknowledged.push(known);
    }
    world.check(&acknowledged, &[]).await;
    println!("{} writes acknowledged, {refused} calls refused in between", acknowledged.len());
}

/// Whether to repeat the call, and whether the write may have happened, is in the words as well as in
/// the type.
fn assert_says_what_to_do(error: &Error) {
    let said = error.to_string();
    let (retryable, words) = match error {
        Error::Unknown { .. } => {
            (true, ["outcome of the write is unknown", "repeat it with the same id"])
        }
        Error::Unavailable { .. } => (true, ["not available", "nothing was written, repeat it"]),
        Error::Refused { .. } => (false, ["bytes", "raise max_response_bytes"]),
        other => panic!("{other}"),
    };
    assert_eq!(error.is_retryable(), retryable, "{said}");
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
}

#[tokio::test]
async fn an_open_circuit_sends_nothing_and_closes_when_the_server_is_back() {
    let Some(world) = World::new().await else { return };
    let breaker = BreakerConfig { failures: 3, open_for: Duration::from_millis(300) };
    let proxy = world.proxy().await;
    let store = world.store(RemoteConfig { breaker, ..impatient(proxy.url()) }).await;
    let known = world.episode(0);
    save(&*store, &known, 0).await.unwrap();
    proxy.fault_all(Some(Fault::ResetBefore));
    let state = || store.remote_metrics().unwrap().breaker_state.get();
    while state() != 2 {
        assert!(read(&store, &known, 0).await.is_err());
    }
    let before = proxy.counts().requests;
    let mut rejected = 0;
    // As many as fit into the open period; all of them, unless the machine stalls.
    for n in 0..50 {
        if state() == 2 && read(&store, &known, n).await.is_err_and(|e| is_rejection(&e)) {
            rejected += 1;
        }
    }
    assert!(rejected > 0);
    let metrics = store.remote_metrics().unwrap();
    assert!(metrics.rejected.get() >= rejected);
    let sent = proxy.counts().requests - before;
    assert!(sent < metrics.breaker_opened.get(), "{sent} requests with the circuit open");
    proxy.fault_all(None);
    while read(&store, &known, 0).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(state(), 0);
    world.check(&[known], &[]).await;
}

fn is_rejection(e: &Error) -> bool {
    matches!(e, Error::Unavailable { reason }
        if reason.contains("next try") && reason.contains("broke"))
}

#[tokio::test]
async fn a_server_that_is_gone_is_reported_in_time_and_used_again_when_it_is_back() {
    let Some(mut world) = World::new().await else { return };
    let store = world.store(impatient(world.server.url())).await;
    let known = world.episode(0);
    save(&*store, &known, 0).await.unwrap();
    world.server.kill();
    let episode = world.episode(1);
    let error = ended("save", save(&*store, &episode, 0)).await.unwrap_err();
    // The first try may have met a connection that was still thought to be open.
    assert!(matches!(error, Error::Unavailable { .. } | Error::Unknown { .. }), "{error}");
    let error = ended("save", save(&*store, &episode, 0)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "nobody was there to write it: {error}");
    assert!(ended("read", read(&store, &known, 0)).await.is_err());
    world.server.restart();
    save(&*store, &episode, 0).await.unwrap();
    world.check(&[known, episode], &[]).await;
}

#[tokio::test]
async fn a_store_can_be_opened_before_its_server_is_up() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    server.stop();
    let store = TursoStore::connect(impatient(server.url())).unwrap();
    let project = project("early");
    let episode = completed(&project, "up early", OutcomeKind::Success);
    let error = ended("save", save(&store, &episode, 0)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    server.restart();
    save(&store, &episode, 0).await.unwrap();
}
