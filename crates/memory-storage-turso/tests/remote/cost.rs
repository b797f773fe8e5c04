//! Round trips, counted where they happen: at a proxy 20 ms away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::learning::{Evidence, Lesson, LessonKind};
use memory_core::recall::RecallQuery;
use memory_core::store::{Filter, LessonQuery, ListQuery, Save, Scope, Write};
use memory_core::{Condition, Episode, EpisodeStore, Memory, OutcomeKind, SystemClock};
use memory_storage_turso::{RemoteConfig, TursoStore};
use memory_testkit::generate;
use memory_testkit::proxy::{Counts, FaultProxy};
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story::{self, completed, only, save, save_of};

use crate::config;

struct World {
    server: Server,
    proxy: FaultProxy,
    store: Arc<TursoStore>,
}

impl World {
    async fn new() -> Option<Self> {
        Some(Self::of(Server::start(Options::default())?).await)
    }

    /// By a proxy that has counted nothing yet.
    async fn of(server: Server) -> Self {
        let proxy = FaultProxy::start(server.address()).await;
        proxy.set_round_trip(Duration::from_millis(20));
        let store = Arc::new(TursoStore::connect(config(proxy.url())).unwrap());
        store.ready().await.unwrap();
        World { server, proxy, store }
    }

    /// What `work` cost.
    async fn cost<T>(&self, work: impl Future<Output = T>) -> (Counts, T) {
        let before = self.proxy.counts();
        let started = Instant::now();
        let result = work.await;
        let after = self.proxy.counts();
        println!(
            "{} requests, {} KB up, {} KB down, {:?}",
            after.requests - before.requests,
            (after.bytes_up - before.bytes_up) / 1024,
            (after.bytes_down - before.bytes_down) / 1024,
            started.elapsed(),
        );
        let spent = Counts {
            connections: after.connections - before.connections,
            handshakes: after.handshakes - before.handshakes,
            requests: after.requests - before.requests,
            active_requests: after.active_requests,
            peak_requests: after.peak_requests,
            bytes_up: after.bytes_up - before.bytes_up,
            bytes_down: after.bytes_down - before.bytes_down,
        };
        (spent, result)
    }

    async fn requests<T>(&self, work: impl Future<Output = T>) -> (u64, T) {
        let (spent, result) = self.cost(work).await;
        (spent.requests, result)
    }
}

fn of_project(mut episode: Episode, project: &str) -> Episode {
    episode.project = project.to_owned();
    episode
}

/// An episode with 20 metadata keys, and the lessons learned from it.
fn rich(project: &str) -> Save {
    let mut episode = completed(project, "migrate the ledger", OutcomeKind::Success);
    for n in 0..20_i64 {
        episode.metadata.insert(format!("key-{n}"), n.into());
    }
    let lesson = |n: usize| {
        let action = format!("run step {n}");
        Lesson::new(project, LessonKind::ToolSequence, "migration", "before a release", action)
    };
    let at = episode.started_at;
    let evidence = Evidence { episode: episode.id, success: true, at };
    Save {
        lessons: (0..5).map(|n| (lesson(n), evidence.clone())).collect(),
        ..save_of(&episode, 0)
    }
}

#[tokio::test]
async fn every_operation_is_one_round_trip() {
    let Some(world) = World::new().await else { return };
    let store = &*world.store;
    let project = story::project("cost");
    let scope = only(&project);
    let episode = completed(&project, "repair the login", OutcomeKind::Success);
    let (requests, saved) = world.requests(save(store, &episode, 0)).await;
    assert_eq!((requests, saved.unwrap().version), (1, episode.version));

    let rich = rich(&project);
    let (requests, saved) = world.requests(store.write(vec![Write::Save(rich.clone())])).await;
    assert!(saved.unwrap()[0].is_ok());
    assert_eq!(requests, 1, "a save with metadata and lessons");

    let (requests, got) = world.requests(store.get(&scope, &[episode.id])).await;
    assert!(got.unwrap()[0].is_some());
    assert_eq!(requests, 1, "get one");

    let many: Vec<Episode> =
        (0..100).map(|n| of_project(generate::episode(7, n, 4096), &project)).collect();
    let writes = many.iter().map(|episode| Write::Save(save_of(episode, 0))).collect();
    let (requests, saved) = world.requests(store.write(writes)).await;
    assert!(saved.unwrap().iter().all(Result::is_ok));
    assert_eq!(requests, 1, "save 100");
    let ids: Vec<_> = many.iter().map(|episode| episode.id).collect();
    let (requests, got) = world.requests(store.get(&scope, &ids)).await;
    assert!(got.unwrap().iter().all(Option::is_some));
    assert_eq!(requests, 1, "get 100");

    let metadata = Some(Condition::equals("key-7", 7));
    let filter = Filter { metadata, ..Filter::default() };
    let query = ListQuery { scope: scope.clone(), filter, after: None, limit: 20 };
    let (requests, page) = world.requests(store.list(&query)).await;
    assert_eq!((requests, page.unwrap().episodes.len()), (1, 1), "metadata query");

    let (requests, found) = world.requests(story::found(store, &project, "repair login")).await;
    assert_eq!((requests, found.first()), (1, Some(&episode.id)), "search");

    let query = LessonQuery { scope, episodes: vec![], kinds: vec![], limit: 20 };
    let (requests, lessons) = world.requests(store.lessons(&query)).await;
    assert_eq!((requests, lessons.unwrap().len()), (1, 5), "lessons");

    let (requests, changes) = world.requests(store.changes(None)).await;
    assert!(changes.is_ok());
    assert_eq!(requests, 1, "the change feed");
}

#[tokio::test]
async fn recall_is_two_round_trips_at_most() {
    let Some(world) = World::new().await else { return };
    let project = story::project("recall");
    let writes = (0..50)
        .map(|n| of_project(generate::episode(19, n, 2048), &project))
        .map(|episode| Write::Save(save_of(&episode, 0)))
        .collect();
    world.store.write(writes).await.unwrap();
    let episode = completed(&project, "repair the login", OutcomeKind::Success);
    save(&*world.store, &episode, 0).await.unwrap();
    let before = world.proxy.counts().requests;
    let Ok(store) = Arc::try_unwrap(world.store) else { panic!("nobody else holds it") };
    let memory = Memory::new(store, Arc::new(SystemClock));
    let recalled = memory.recall(&RecallQuery::new("repair the login", only(&project))).await;
    assert_eq!(recalled.unwrap().items[0].id, episode.id);
    assert_eq!(world.proxy.counts().requests - before, 2);
}

#[tokio::test]
async fn a_thousand_episodes_are_saved_in_two_requests_and_read_in_chunks_side_by_side() {
    let Some(world) = World::new().await else { return };
    let episodes: Vec<Episode> = (0..1000).map(|n| generate::episode(11, n, 4096)).collect();
    let writes = episodes.iter().map(|episode| Write::Save(save_of(episode, 0))).collect();
    let (requests, saved) = world.requests(world.store.write(writes)).await;
    assert!(saved.unwrap().iter().all(Result::is_ok));
    assert!(requests <= 2, "{requests} requests");
    let counts = world.store.counts(&Scope::All).await.unwrap();
    assert_eq!(counts.episodes.values().sum::<u64>(), 1000);

    let mut ids: Vec<_> = episodes.iter().rev().map(|episode| episode.id).collect();
    ids.insert(333, generate::episode(12, 0, 1).id);
    // The peak is since a proxy's start, and that of the saves is no matter here.
    let world = World::of(world.server).await;
    assert_eq!(world.proxy.counts().peak_requests, 1, "nothing was side by side before");
    let (requests, read) = world.requests(world.store.get(&Scope::All, &ids)).await;
    assert_eq!(requests, 5, "250 in each");
    let peak = world.proxy.counts().peak_requests;
    assert!(peak >= 2, "{peak} requests at a time");
    let mut read = read.unwrap();
    assert!(read.remove(333).is_none(), "nobody saved it");
    assert!(read.into_iter().flatten().map(Arc::unwrap_or_clone).eq(episodes.into_iter().rev()));
}

/// A statement that rides along would be a request of its own there.
#[tokio::test]
async fn without_a_pipeline_nothing_rides_along() {
    let Some(world) = World::new().await else { return };
    let config = RemoteConfig { pipeline: false, ..config(world.proxy.url()) };
    let plain = TursoStore::connect(config).unwrap();
    plain.ready().await.unwrap();
    let episode = completed(&story::project("plain"), "t", OutcomeKind::Success);
    save(&plain, &episode, 0).await.unwrap();
    plain.changes(None).await.unwrap();
    let (requests, read) = world.requests(plain.get(&Scope::All, &[episode.id])).await;
    assert_eq!(read.unwrap()[0].as_deref(), Some(&episode));
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn sixty_four_concurrent_saves_share_four_requests_at_most() {
    let Some(world) = World::new().await else { return };
    let project = story::project("together");
    let work = async {
        let mut saves = tokio::task::JoinSet::new();
        for n in 0..64 {
            let (store, project) = (world.store.clone(), project.clone());
            saves.spawn(async move {
                let episode = of_project(generate::episode(13, n, 4096), &project);
                save(&*store, &episode, 0).await
            });
        }
        saves.join_all().await
    };
    let (requests, saved) = world.requests(work).await;
    assert!(saved.iter().all(Result::is_ok));
    assert!(requests <= 4, "{requests} requests");
}

#[tokio::test]
async fn a_thousand_operations_open_no_connection() {
    let Some(world) = World::new().await else { return };
    world.proxy.set_round_trip(Duration::ZERO);
    let project = story::project("sequence");
    let work = async {
        for n in 0..500 {
            let episode = of_project(generate::episode(17, n, 1024), &project);
            save(&*world.store, &episode, 0).await.unwrap();
            assert!(story::get(&*world.store, &episode).await.is_some());
        }
    };
    let (spent, ()) = world.cost(work).await;
    assert_eq!((spent.requests, spent.connections), (1000, 0));
}
