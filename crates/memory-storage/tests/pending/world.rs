//! A server, a proxy in front of it, a pending file, and stores between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::memory::{Completion, NewEpisode};
use memory_core::store::Scope;
use memory_core::{Clock, Memory, Outcome, OutcomeKind, Reflection, Step, SystemClock};
use memory_storage::{PendingConfig, PendingStore, RemoteConfig, WhenOffline};
use memory_storage_turso::pending::EntryState;
use memory_storage_turso::{BreakerConfig, TursoStore};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};

/// How long something may take that happens in the background.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const PROJECT: &str = "pending";

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) proxy: FaultProxy,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Option<Self> {
        let server = Server::start(Options::default())?;
        let proxy = FaultProxy::start(server.address()).await;
        let directory = tempfile::tempdir().unwrap();
        Some(World { server, proxy, directory })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("pending.db")
    }

    /// A store behind the proxy that delivers nothing by itself, after its first contact.
    pub(crate) async fn store(&self, when_offline: WhenOffline) -> PendingStore {
        let config = PendingConfig { flush_after: Duration::from_secs(3600), ..self.pending() };
        let store = open(&self.proxy.url(), PendingConfig { when_offline, ..config }).await;
        store.durable().ready().await.unwrap();
        self.quiet().await;
        store
    }

    pub(crate) fn pending(&self) -> PendingConfig {
        PendingConfig { path: self.file(), ..PendingConfig::default() }
    }

    /// Waits until nothing was asked in the background for a while.
    pub(crate) async fn quiet(&self) {
        let mut before = u64::MAX;
        while before != self.proxy.counts().requests {
            before = self.proxy.counts().requests;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// What a store without a pending file sees.
    pub(crate) fn witness(&self) -> TursoStore {
        TursoStore::connect(remote(&self.server.url())).unwrap()
    }
}

/// Gives up soon, so that an outage is noticed within a test, and tries again soon.
pub(crate) fn remote(url: &str) -> RemoteConfig {
    RemoteConfig {
        warm_connections: 0,
        connect_timeout: Duration::from_secs(2),
        deadline: Duration::from_secs(4),
        breaker: BreakerConfig { open_for: Duration::from_millis(200), ..BreakerConfig::default() },
        ..RemoteConfig::at(url)
    }
}

pub(crate) async fn open(url: &str, config: PendingConfig) -> PendingStore {
    open_with(url, config, Arc::new(SystemClock)).await
}

pub(crate) async fn open_with(
    url: &str,
    config: PendingConfig,
    clock: Arc<dyn Clock>,
) -> PendingStore {
    let turso = TursoStore::connect(remote(url)).unwrap();
    // The same name behind every proxy, as it would be in front of one server.
    PendingStore::open(turso, "http://server", config, clock).await.unwrap()
}

pub(crate) fn memory<S: memory_core::EpisodeStore>(store: S) -> Memory<S> {
    Memory::new(store, Arc::new(SystemClock))
}

pub(crate) fn scope() -> Scope {
    Scope::Project(PROJECT.into())
}

pub(crate) fn task(words: &str) -> NewEpisode {
    NewEpisode { project: PROJECT.into(), task: words.into(), ..NewEpisode::default() }
}

/// A step of its own: nothing but its number tells it from the others.
pub(crate) fn step(words: &str) -> Vec<Step> {
    let (tool, action) = ("bash".into(), words.to_owned());
    vec![Step { tool, action, success: Some(true), ..Step::default() }]
}

pub(crate) fn success() -> Completion {
    let outcome = Outcome::new(OutcomeKind::Success, "it works");
    Completion { outcome, reward: None, reflection: Reflection::default() }
}

/// How many entries are in this state.
pub(crate) async fn count(store: &PendingStore, state: EntryState) -> usize {
    let entries = store.pending().unwrap().entries().await.unwrap();
    entries.iter().filter(|entry| entry.state == state).count()
}

/// Waits until everything was delivered or refused.
pub(crate) async fn drained(store: &PendingStore) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counts = store.pending().unwrap().counts().await.unwrap();
        if counts.journaled + counts.queued == 0 {
            return;
        }
        if Instant::now() > deadline {
            panic!("still waiting: {:#?}", store.pending().unwrap().entries().await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What an episode's steps did, in order.
pub(crate) fn actions(episode: &memory_core::Episode) -> Vec<String> {
    episode.steps.iter().map(|step| step.action.clone()).collect()
}

pub(crate) fn words(n: std::ops::Range<usize>) -> Vec<String> {
    n.map(|n| format!("step {n}")).collect()
}

pub(crate) fn config_of(path: &Path) -> PendingConfig {
    PendingConfig { path: path.to_owned(), ..PendingConfig::default() }
}
