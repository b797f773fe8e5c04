//! The memory tier never shows what the database does not, beyond its bound.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_core::store::{
    AppendSteps, EpisodeStore, Filter, Forget, ListQuery, Save, Scope, SearchQuery, Write,
};
use memory_core::{Episode, EpisodeId, Step, Timestamp, WriteId};
use memory_storage::{CacheConfig, DatabaseConfig, HybridConfig, HybridStorage, TursoConfig};

async fn open(dir: &tempfile::TempDir, max_staleness: Duration) -> HybridStorage {
    let database = DatabaseConfig::Local(TursoConfig::at(dir.path().join("memory.db")));
    let cache = CacheConfig { max_staleness, ..CacheConfig::default() };
    HybridStorage::open(HybridConfig { database, cache, embeddings: None }).await.unwrap()
}

fn episode(name: &str) -> Episode {
    Episode::start(EpisodeId::derive(&[name.as_bytes()]), "default", name, Timestamp(1))
}

async fn save(store: &HybridStorage, episode: &Episode, base: u64) {
    let write_id = WriteId::generate(Timestamp(2));
    let episode = Arc::new(Episode { version: base + 1, ..episode.clone() });
    let write = Write::Save(Save { episode, base, write_id, lessons: Vec::new() });
    store.write(vec![write]).await.unwrap().remove(0).unwrap();
}

async fn append(store: &HybridStorage, id: EpisodeId, action: &str) {
    let steps = vec![Step { action: action.into(), ..Step::default() }];
    let write_id = WriteId::generate(Timestamp(3));
    let append =
        AppendSteps { id, scope: Scope::All, steps, first: None, write_id, recalled: vec![] };
    store.write(vec![Write::AppendSteps(append)]).await.unwrap().remove(0).unwrap();
}

async fn get(store: &HybridStorage, scope: &Scope, id: EpisodeId) -> Option<Arc<Episode>> {
    store.get(scope, &[id]).await.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn own_writes_are_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Duration::from_secs(3600)).await;
    let e = episode("a");
    save(&store, &e, 0).await;
    assert_eq!(get(&store, &Scope::All, e.id).await.unwrap().version, 1);
    append(&store, e.id, "ls").await;
    assert_eq!(get(&store, &Scope::All, e.id).await.unwrap().steps[0].action, "ls");
    let forget = Forget { id: e.id, scope: Scope::All, at: Timestamp(9) };
    store.write(vec![Write::Forget(forget)]).await.unwrap().remove(0).unwrap();
    assert!(get(&store, &Scope::All, e.id).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_write_is_read_after_the_bound_and_a_hit_costs_no_query() {
    let dir = tempfile::tempdir().unwrap();
    let reader = open(&dir, Duration::from_millis(40)).await;
    let writer = open(&dir, Duration::from_millis(40)).await;
    let e = episode("a");
    save(&writer, &e, 0).await;
    assert_eq!(get(&reader, &Scope::All, e.id).await.unwrap().steps.len(), 0);
    let misses = reader.metrics().misses.load(Ordering::Relaxed);
    get(&reader, &Scope::All, e.id).await;
    assert_eq!(reader.metrics().misses.load(Ordering::Relaxed), misses);

    append(&writer, e.id, "make").await;
    tokio::time::sleep(Duration::from_millis(41)).await;
    assert_eq!(get(&reader, &Scope::All, e.id).await.unwrap().steps.len(), 1);
    let forget = Forget { id: e.id, scope: Scope::All, at: Timestamp(9) };
    writer.write(vec![Write::Forget(forget)]).await.unwrap().remove(0).unwrap();
    tokio::time::sleep(Duration::from_millis(41)).await;
    assert!(get(&reader, &Scope::All, e.id).await.is_none());
}

/// On a file as on a server: what is asked again is answered from memory, until a write by this store
/// or another that could change it.
#[tokio::test(flavor = "multi_thread")]
async fn repeated_queries_of_a_file_run_nothing_until_something_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Duration::from_secs(3600)).await;
    let named = |n: u64| Episode {
        started_at: Timestamp(i64::try_from(n).unwrap()),
        ..episode(&format!("zebra {n}"))
    };
    for n in 0..20 {
        save(&store, &named(n), 0).await;
    }
    let scope = || Scope::Project("default".into());
    let filter = Filter { since: Some(Timestamp(5)), ..Filter::default() };
    let list = ListQuery { scope: scope(), filter, after: None, limit: 10 };
    let terms = vec!["zebra".to_owned()];
    let search = SearchQuery {
        scope: scope(),
        terms,
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit: 100,
    };
    // The own writes moved the feed: let it be read once.
    tokio::time::sleep(Duration::from_millis(120)).await;
    get(&store, &Scope::All, named(0).id).await;
    let listed = store.list(&list).await.unwrap().episodes;
    let found = store.search(&search).await.unwrap();
    let batches = || store.durable().durable().metrics().batches.get();
    let before = batches();
    for _ in 0..100 {
        assert_eq!(store.list(&list).await.unwrap().episodes, listed);
        assert_eq!(store.search(&search).await.unwrap(), found);
    }
    assert_eq!(batches(), before);

    save(&store, &named(30), 0).await;
    assert_eq!(store.list(&list).await.unwrap().episodes[0].id, named(30).id);
    assert_eq!(store.search(&search).await.unwrap().hits.len(), 21);
    let other = open(&dir, Duration::from_secs(3600)).await;
    save(&other, &named(31), 0).await;
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(store.list(&list).await.unwrap().episodes[0].id, named(31).id);
    assert_eq!(store.search(&search).await.unwrap().hits.len(), 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_checks_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Duration::from_secs(1)).await;
    let e = episode("a");
    save(&store, &e, 0).await;
    assert!(get(&store, &Scope::Project("default".into()), e.id).await.is_some());
    assert!(get(&store, &Scope::Project("other".into()), e.id).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_misses_of_one_id_are_one_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(&dir, Duration::from_secs(1)).await;
    let e = episode("a");
    save(&writer, &e, 0).await;
    let reader = Arc::new(open(&dir, Duration::from_secs(1)).await);
    let reads: Vec<_> = (0..64)
        .map(|_| {
            let reader = reader.clone();
            let id = e.id;
            tokio::spawn(async move { get(&reader, &Scope::All, id).await.is_some() })
        })
        .collect();
    for read in reads {
        assert!(read.await.unwrap());
    }
    assert_eq!(reader.metrics().misses.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_lost_leaves_nothing_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir, Duration::from_secs(3600)).await;
    let e = episode("a");
    save(&store, &e, 0).await;
    let mut other = e.clone();
    other.task_description = "something else".into();
    let write_id = WriteId::generate(Timestamp(4));
    let lost = Save { episode: Arc::new(other), base: 0, write_id, lessons: Vec::new() };
    store.write(vec![Write::Save(lost)]).await.unwrap().remove(0).unwrap_err();
    assert_eq!(get(&store, &Scope::All, e.id).await.unwrap().task_description, "a");
}
