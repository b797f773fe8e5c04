//! A change feed that jumps: the database behind the URL becomes an older one or another one, or so
//! much changes at once that nobody tells it one by one. Whatever is cached, what is read and not
//! marked is what the database says.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{Episode, EpisodeId, Timestamp, WriteId};
use memory_storage::{
    BreakerConfig, CacheConfig, DatabaseConfig, HybridConfig, HybridStorage, PendingConfig,
    RedbMode, RemoteConfig,
};
use memory_storage_turso::TursoStore;
use memory_testkit::sqld::{Options, Server};

/// How old an answer may be that is not marked.
const BOUND: Duration = Duration::from_millis(200);

/// Episodes that are cached before the jump.
const CACHED: u64 = 60;

/// Changes of somebody else at once.
const FOREIGN: u64 = 10_000;

fn remote(url: &str) -> RemoteConfig {
    RemoteConfig {
        warm_connections: 0,
        connect_timeout: Duration::from_secs(2),
        breaker: BreakerConfig { open_for: Duration::from_millis(200), ..BreakerConfig::default() },
        ..RemoteConfig::at(url)
    }
}

async fn direct(server: &Server) -> TursoStore {
    let store = TursoStore::connect(remote(&server.url())).unwrap();
    store.ready().await.unwrap();
    store
}

/// The storage as the program opens it, with all of its files in `dir`.
async fn open(server: &Server, dir: &Path) -> HybridStorage {
    let cache = CacheConfig {
        dir: Some(dir.join("cache")),
        redb: RedbMode::On,
        max_staleness: BOUND,
        ..CacheConfig::default()
    };
    let pending = PendingConfig { path: dir.join("pending.db"), ..PendingConfig::default() };
    let database = DatabaseConfig::Remote { remote: remote(&server.url()), pending };
    HybridStorage::open(HybridConfig { database, cache, embeddings: None }).await.unwrap()
}

fn id(n: u64) -> EpisodeId {
    EpisodeId::derive(&[&n.to_le_bytes()])
}

fn ids() -> Vec<EpisodeId> {
    (0..CACHED).map(id).collect()
}

/// Version `version` of episode `n`, as `author` would have it.
fn save(n: u64, version: u64, author: &str) -> Write {
    let mut episode = Episode::start(id(n), "jumps", format!("{author} {version}"), Timestamp(1));
    episode.version = version;
    let write_id = WriteId::derive(&[author.as_bytes(), &n.to_le_bytes(), &version.to_le_bytes()]);
    let base = version - 1;
    Write::Save(Save { episode: Arc::new(episode), base, write_id, lessons: Vec::new() })
}

async fn write(store: &impl EpisodeStore, writes: Vec<Write>) {
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
}

async fn tasks(store: &impl EpisodeStore) -> Vec<Option<String>> {
    let found = store.get(&Scope::All, &ids()).await.unwrap();
    found.into_iter().map(|episode| Some(episode?.task_description.clone())).collect()
}

/// What is read and not marked is what the database holds, from the first read past the bound on.
async fn assert_current(storage: &HybridStorage, server: &Server, what: &str) {
    tokio::time::sleep(BOUND).await;
    let truth = tasks(&direct(server).await).await;
    let mut unmarked = 0;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while unmarked < 5 {
        assert!(tokio::time::Instant::now() < deadline, "{what}: it never found its way back");
        let stale_before = storage.freshness().stale_serves;
        let read = tasks(storage).await;
        let freshness = storage.freshness();
        if freshness.stale_possible || freshness.stale_serves > stale_before {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        assert_eq!(read, truth, "{what}: a stale entry was served as current");
        unmarked += 1;
    }
}

/// Caches everything in a storage that goes on and in the file of one that has ended, lets `jump`
/// happen, and reads with both.
async fn across(server: &mut Server, what: &str, jump: impl AsyncFnOnce(&mut Server)) {
    let (running, resting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage = open(server, running.path()).await;
    let ended = open(server, resting.path()).await;
    for storage in [&storage, &ended] {
        for _ in 0..3 {
            assert_current(storage, server, "before").await;
        }
    }
    ended.close().await.unwrap();
    jump(server).await;
    assert_current(&storage, server, what).await;
    let restarted = open(server, resting.path()).await;
    assert_current(&restarted, server, &format!("{what}, from the cache file")).await;
    // Its own writes go on top of what is there now.
    let here = tasks(&storage).await;
    if here.first().is_some_and(Option::is_some) {
        let current = storage.get(&Scope::All, &[id(0)]).await.unwrap().remove(0).unwrap();
        write(&storage, vec![save(0, current.version + 1, "the survivor")]).await;
        assert_current(&restarted, server, &format!("{what}, and written to")).await;
    }
    storage.close().await.unwrap();
    restarted.close().await.unwrap();
}

async fn fill(server: &Server, author: &str) {
    write(&direct(server).await, (0..CACHED).map(|n| save(n, 1, author)).collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_leaves_no_stale_entry() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    fill(&server, "before the backup").await;
    let backup = tokio::task::block_in_place(|| server.snapshot());
    let later: Vec<Write> = (0..CACHED / 2).map(|n| save(n, 2, "after the backup")).collect();
    write(&direct(&server).await, later).await;
    across(&mut server, "an older backup", async |server| {
        tokio::task::block_in_place(|| server.restore(&backup));
    })
    .await;

    // The same again, and the restored database has gone further than the one that is remembered.
    tokio::task::block_in_place(|| server.restore(&backup));
    across(&mut server, "an older backup that went on", async |server| {
        tokio::task::block_in_place(|| server.restore(&backup));
        let store = direct(server).await;
        for version in 2..5 {
            let writes = (0..CACHED).map(|n| save(n, version, "another branch")).collect();
            write(&store, writes).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_behind_the_same_url_leaves_no_stale_entry() {
    let (Some(mut server), Some(mut other)) =
        (Server::start(Options::default()), Server::start(Options::default()))
    else {
        return;
    };
    fill(&server, "the first").await;
    fill(&other, "the other").await;
    let theirs = tokio::task::block_in_place(|| other.snapshot());
    across(&mut server, "another database", async |server| {
        tokio::task::block_in_place(|| server.restore(&theirs));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_foreign_changes_at_once_leave_no_stale_entry() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    fill(&server, "the first").await;
    across(&mut server, "ten thousand changes", async |server| {
        let store = direct(server).await;
        let others = (CACHED..FOREIGN).map(|n| save(n, 1, "somebody else"));
        // Last, so that no first part of the feed tells of them.
        let writes = others.chain((0..CACHED).map(|n| save(n, 2, "somebody else")));
        write(&store, writes.collect()).await;
    })
    .await;
}
