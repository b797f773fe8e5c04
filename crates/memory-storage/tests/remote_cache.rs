//! The cache in front of a real libSQL server: what it saves, and what it serves when the server is
//! gone.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memory_core::store::{
    AppendSteps, EpisodeStore, Filter, Forget, LessonQuery, ListQuery, Save, Scope, SearchQuery,
    Write,
};
use memory_core::{Episode, EpisodeId, Step, Timestamp, WriteId};
use memory_storage::{CacheConfig, HybridStorage, Place, RedbMode, RemoteConfig, Ttl};
use memory_storage_turso::{BreakerConfig, TursoStore};
use memory_testkit::generate::{self, Random};
use memory_testkit::sqld::{Options, Server};
use memory_testkit::trace::synthetic::Zipf;

type Storage = HybridStorage<TursoStore>;

fn remote(url: &str) -> RemoteConfig {
    RemoteConfig {
        warm_connections: 0,
        connect_timeout: Duration::from_secs(2),
        deadline: Duration::from_secs(4),
        breaker: BreakerConfig { open_for: Duration::from_millis(200), ..BreakerConfig::default() },
        ..RemoteConfig::at(url)
    }
}

fn with_file(dir: &Path) -> CacheConfig {
    CacheConfig { dir: Some(dir.join("cache")), ..CacheConfig::default() }
}

fn without_file() -> CacheConfig {
    CacheConfig { redb: RedbMode::Off, ..CacheConfig::default() }
}

async fn open(url: &str, cache: &CacheConfig) -> Storage {
    let turso = TursoStore::connect(remote(url)).unwrap();
    turso.ready().await.unwrap();
    Storage::new(turso, Place::Remote, cache)
}

fn requests(storage: &Storage) -> u64 {
    storage.durable().remote_metrics().unwrap().requests.get()
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn episode(n: u64) -> Arc<Episode> {
    Arc::new(generate::episode(11, n, 1_500))
}

fn save(n: u64) -> Write {
    let episode = episode(n);
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Write::Save(Save { episode, base: 0, write_id, lessons: Vec::new() })
}

async fn save_all(storage: &Storage, upto: u64) {
    for chunk in (0..upto).collect::<Vec<_>>().chunks(1_000) {
        let writes = chunk.iter().map(|n| save(*n)).collect();
        for result in storage.write(writes).await.unwrap() {
            result.unwrap();
        }
    }
}

async fn append(storage: &Storage, id: EpisodeId) {
    let steps = vec![Step { action: "make".into(), ..Step::default() }];
    let write_id = WriteId::generate(Timestamp(3));
    let append =
        AppendSteps { id, scope: Scope::All, steps, first: None, write_id, recalled: vec![] };
    storage.write(vec![Write::AppendSteps(append)]).await.unwrap().remove(0).unwrap();
}

async fn get(storage: &Storage, id: EpisodeId) -> Option<Arc<Episode>> {
    storage.get(&Scope::All, &[id]).await.unwrap().remove(0)
}

/// Waits until the background work of the start is over.
async fn settled(storage: &Storage) {
    let mut before = u64::MAX;
    while before != requests(storage) {
        before = requests(storage);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_cost_a_small_part_of_the_requests_and_hits_none() {
    const EPISODES: u64 = 10_000;
    let Some(server) = Server::start(Options::default()) else { return };
    let writer = open(&server.url(), &without_file()).await;
    save_all(&writer, EPISODES).await;

    let bytes: u64 =
        (0..EPISODES).map(|n| memory_storage_redb::weight::in_memory(&episode(n))).sum();
    // A tenth of the data, in memory alone.
    let cache = CacheConfig { memory_bytes: bytes / 10, ..without_file() };
    let reader = open(&server.url(), &cache).await;
    settled(&reader).await;
    let (zipf, mut random) = (Zipf::new(EPISODES as usize, 1.2), Random::new(5));
    let (warm_up, reads) = (10_000, 100_000);
    let ids: Vec<EpisodeId> = (0..EPISODES).map(|n| episode(n).id).collect();
    let mut before = 0;
    for n in 0..warm_up + reads {
        if n == warm_up {
            before = requests(&reader);
        }
        let wanted = *ids.get(zipf.draw(&mut random)).unwrap();
        assert_eq!(get(&reader, wanted).await.unwrap().id, wanted);
    }
    let asked = requests(&reader) - before;
    println!("{reads} reads, zipf 1.2, a cache of a tenth: {asked} requests instead of {reads}");
    assert!(asked * 100 <= reads * 15, "{asked} requests");

    let id = episode(0).id;
    get(&reader, id).await;
    let before = requests(&reader);
    for _ in 0..1_000 {
        get(&reader, id).await;
    }
    assert_eq!(requests(&reader), before, "a hit costs no request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_cache_and_fetches_what_changed_with_one_request() {
    let Some(server) = Server::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let storage = open(&server.url(), &with_file(dir.path())).await;
    settled(&storage).await;
    save_all(&storage, 200).await;
    for n in 0..50 {
        for _ in 0..3 {
            get(&storage, episode(n).id).await;
        }
    }
    storage.close().await.unwrap();
    let other = open(&server.url(), &without_file()).await;
    let forget = Forget { id: episode(1).id, scope: Scope::All, at: Timestamp(9) };
    other.write(vec![Write::Forget(forget)]).await.unwrap().remove(0).unwrap();
    let mut changed = (*episode(2)).clone();
    changed.version = 2;
    changed.task_description = "another".into();
    let write_id = WriteId::generate(Timestamp(4));
    let save = Save { episode: Arc::new(changed), base: 1, write_id, lessons: Vec::new() };
    other.write(vec![Write::Save(save)]).await.unwrap().remove(0).unwrap();

    let storage = open(&server.url(), &with_file(dir.path())).await;
    let at_start = requests(&storage);
    settled(&storage).await;
    let warm_up = requests(&storage) - at_start;
    assert!(warm_up <= 2, "{warm_up} requests: one for the feed, one for what is missing");
    assert!(count(&storage.metrics().warmed_from_file) >= 48);
    assert_eq!(count(&storage.metrics().warmed_from_database), 1);
    let before = requests(&storage);
    for n in (0..50).filter(|n| ![1, 2].contains(n)) {
        assert_eq!(get(&storage, episode(n).id).await.unwrap(), episode(n));
    }
    assert_eq!(get(&storage, episode(2).id).await.unwrap().task_description, "another");
    assert_eq!(requests(&storage), before);
    assert!(get(&storage, episode(1).id).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_without_the_server_and_say_so() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheConfig { max_staleness: Duration::from_millis(50), ..with_file(dir.path()) };
    let storage = open(&server.url(), &cache).await;
    settled(&storage).await;
    save_all(&storage, 20).await;
    assert!(!storage.freshness().stale_possible);
    server.stop();
    tokio::time::sleep(Duration::from_millis(60)).await;
    for n in 0..20 {
        assert_eq!(get(&storage, episode(n).id).await.unwrap(), episode(n));
    }
    let freshness = storage.freshness();
    assert!(freshness.stale_possible && freshness.stale_serves >= 20, "{freshness:?}");
    assert!(storage.get(&Scope::All, &[episode(99).id]).await.is_err());
    assert!(storage.write(vec![save(30)]).await.is_err());
    storage.close().await.unwrap();

    // A process that starts while the server is away has the file.
    let turso = TursoStore::connect(remote(&server.url())).unwrap();
    let storage = Storage::new(turso, Place::Remote, &cache);
    for n in 0..20 {
        assert_eq!(get(&storage, episode(n).id).await.unwrap(), episode(n));
    }
    assert!(storage.freshness().stale_possible);
    server.restart();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while storage.freshness().stale_possible {
        assert!(std::time::Instant::now() < deadline, "it never noticed that the server is back");
        tokio::time::sleep(Duration::from_millis(100)).await;
        get(&storage, episode(1).id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_queries_cost_nothing_until_something_changes() {
    let Some(server) = Server::start(Options::default()) else { return };
    let cache = CacheConfig { max_staleness: Duration::from_millis(300), ..without_file() };
    let storage = open(&server.url(), &cache).await;
    settled(&storage).await;
    save_all(&storage, 30).await;
    // The own writes moved the feed: let it be read once.
    tokio::time::sleep(Duration::from_millis(310)).await;
    get(&storage, episode(0).id).await;

    let all = || Scope::Project("default".into());
    let list = ListQuery { scope: all(), filter: Filter::default(), after: None, limit: 10 };
    let terms = vec!["cursor".to_owned(), "schema".to_owned()];
    let search = SearchQuery {
        scope: all(),
        terms,
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit: 5,
    };
    let ids: Vec<EpisodeId> = (0..5).map(|n| episode(n).id).collect();
    let lessons = LessonQuery { scope: all(), episodes: ids.clone(), kinds: Vec::new(), limit: 10 };
    let listed = storage.list(&list).await.unwrap();
    let found = storage.search(&search).await.unwrap();
    storage.recollect(&ids, &lessons).await.unwrap();
    let before = requests(&storage) - count(&storage.metrics().feed_reads);
    for _ in 0..50 {
        assert_eq!(storage.list(&list).await.unwrap().episodes, listed.episodes);
        assert_eq!(storage.search(&search).await.unwrap(), found);
        storage.recollect(&ids, &lessons).await.unwrap();
        storage.lessons(&lessons).await.unwrap();
    }
    assert_eq!(requests(&storage) - count(&storage.metrics().feed_reads), before);

    // An own write is seen at once, another's within the bound.
    storage.write(vec![save(31)]).await.unwrap().remove(0).unwrap();
    assert_eq!(storage.list(&list).await.unwrap().episodes.first(), Some(&episode(31)));
    let other = open(&server.url(), &without_file()).await;
    other.write(vec![save(32)]).await.unwrap().remove(0).unwrap();
    tokio::time::sleep(Duration::from_millis(310)).await;
    assert_eq!(storage.list(&list).await.unwrap().episodes.first(), Some(&episode(32)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_remembered_until_it_does() {
    let Some(server) = Server::start(Options::default()) else { return };
    let cache = CacheConfig { max_staleness: Duration::from_millis(200), ..without_file() };
    let storage = open(&server.url(), &cache).await;
    settled(&storage).await;
    let id = episode(1).id;
    assert!(get(&storage, id).await.is_none());
    let before = requests(&storage) - count(&storage.metrics().feed_reads);
    for _ in 0..20 {
        assert!(get(&storage, id).await.is_none());
    }
    assert_eq!(requests(&storage) - count(&storage.metrics().feed_reads), before);
    let other = open(&server.url(), &without_file()).await;
    other.write(vec![save(1)]).await.unwrap().remove(0).unwrap();
    tokio::time::sleep(Duration::from_millis(210)).await;
    assert_eq!(get(&storage, id).await.unwrap(), episode(1));
    storage.write(vec![save(2)]).await.unwrap().remove(0).unwrap();
    assert!(get(&storage, episode(2).id).await.is_some());
}

/// Two storages write and read the same running episodes. Whoever reads, at a time `t`, must see at
/// least what the other had been told was stored at `t` minus the bound.
#[tokio::test(flavor = "multi_thread")]
async fn no_read_is_older_than_the_bound() {
    const EPISODES: u64 = 8;
    let bound = Duration::from_millis(150);
    let Some(server) = Server::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheConfig { max_staleness: bound, ..with_file(dir.path()) };
    let storages = [open(&server.url(), &cache).await, open(&server.url(), &cache).await];
    let start =
        |n| Episode { outcome: None, ended_at: None, steps: Vec::new(), ..(*episode(n)).clone() };
    for n in 0..EPISODES {
        let write_id = WriteId::generate(Timestamp(1));
        let save = Save { episode: Arc::new(start(n)), base: 0, write_id, lessons: Vec::new() };
        storages[0].write(vec![Write::Save(save)]).await.unwrap().remove(0).unwrap();
    }
    let stored: Arc<Vec<AtomicU64>> = Arc::new((0..EPISODES).map(|_| AtomicU64::new(0)).collect());
    let began = std::time::Instant::now();
    let mut tasks = Vec::new();
    for (seed, storage) in storages.into_iter().enumerate() {
        let (storage, stored) = (Arc::new(storage), stored.clone());
        for reader in 0..4u64 {
            let (storage, stored) = (storage.clone(), stored.clone());
            tasks.push(tokio::spawn(async move {
                let mut random = Random::new(seed as u64 * 10 + reader);
                let mut reads = 0u64;
                while began.elapsed() < Duration::from_secs(6) {
                    let n = random.below(EPISODES as usize);
                    let counter = stored.get(n).unwrap();
                    let id = episode(n as u64).id;
                    if reader == 0 && random.below(4) == 0 {
                        append(&storage, id).await;
                        counter.fetch_add(1, Ordering::SeqCst);
                        continue;
                    }
                    let before = counter.load(Ordering::SeqCst);
                    tokio::time::sleep(bound + Duration::from_millis(1)).await;
                    for _ in 0..20 {
                        let steps = get(&storage, id).await.unwrap().steps.len() as u64;
                        assert!(steps >= before, "{steps} steps seen, {before} were stored");
                        reads += 1;
                    }
                }
                reads
            }));
        }
    }
    let mut reads = 0;
    for task in tasks {
        reads += task.await.unwrap();
    }
    println!("{reads} reads, none older than {bound:?}");
    assert!(reads > 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_comes_along_with_other_requests() {
    const BOUND: Duration = Duration::from_secs(2);
    let Some(server) = Server::start(Options::default()) else { return };
    let writer = open(&server.url(), &without_file()).await;
    let ids: Vec<EpisodeId> = ["changed", "same", "passing by"]
        .iter()
        .map(|name| EpisodeId::derive(&[name.as_bytes()]))
        .collect();
    for id in &ids {
        let episode = Arc::new(Episode::start(*id, "default", "deploy", Timestamp(1)));
        let write_id = WriteId::derive(&[id.as_bytes()]);
        let save = Save { episode, base: 0, write_id, lessons: Vec::new() };
        writer.write(vec![Write::Save(save)]).await.unwrap().remove(0).unwrap();
    }
    let [changed, same, passing_by] = *ids.as_slice() else { unreachable!() };
    let cache = CacheConfig { max_staleness: BOUND, ttl: Ttl::Fixed(BOUND), ..without_file() };
    let reader = open(&server.url(), &cache).await;
    settled(&reader).await;
    get(&reader, changed).await;
    get(&reader, same).await;

    append(&writer, changed).await;
    tokio::time::sleep(BOUND).await;
    let before = requests(&reader);
    get(&reader, passing_by).await;
    assert_eq!(requests(&reader) - before, 1, "a miss");
    // Both entries are past their bound, and the feed was not asked since.
    assert_eq!(get(&reader, same).await.unwrap().steps.len(), 0);
    assert_eq!(requests(&reader) - before, 1, "an entry that did not change costs nothing");
    assert_eq!(get(&reader, changed).await.unwrap().steps.len(), 1);
    assert_eq!(requests(&reader) - before, 2, "an entry that changed costs its own read alone");
}
