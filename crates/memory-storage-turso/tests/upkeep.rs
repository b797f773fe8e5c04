//! Dictionaries that come and go, and payloads written anew, on a file and on a real server, between
//! stores that know nothing of each other.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::envelope::{Codec, Compression, dictionary_of};
use memory_core::record::{Record, RecordKind};
use memory_core::store::{EpisodeStore, ScanQuery, Scope, Write};
use memory_core::{Episode, EpisodeId};
use memory_storage_turso::batch::{Access, Batch, Statement, Value};
use memory_storage_turso::payload::Dictionary;
use memory_storage_turso::{PayloadConfig, RemoteConfig, RemoteTransport, TursoConfig, TursoStore};
use memory_testkit::generate;
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story::{get, only, running, save, save_of, steps_of, write};

const PLAIN: PayloadConfig = PayloadConfig { codec: Codec::Json, compression: Compression::None };

/// Enough for a dictionary.
const ENOUGH: u64 = 260;

/// A database and the ways to open it.
enum World {
    File(tempfile::TempDir),
    Server(Box<Server>),
}

impl World {
    async fn open(&self, payload: PayloadConfig) -> TursoStore {
        match self {
            World::File(directory) => {
                let path = directory.path().join("memory.db");
                TursoStore::open(TursoConfig { payload, ..TursoConfig::at(path) }).await.unwrap()
            }
            World::Server(server) => {
                let config = RemoteConfig { payload, ..RemoteConfig::at(server.url()) };
                TursoStore::connect(config).unwrap()
            }
        }
    }

    async fn fresh(&self) -> TursoStore {
        self.open(PayloadConfig::default()).await
    }

    /// The bytes that a query for something of a project gives, past the store.
    async fn bytes(&self, sql: &'static str, project: &str) -> Vec<Vec<u8>> {
        let params = vec![Value::Text(project.into())];
        let values: Vec<Value> = match self {
            World::File(directory) => {
                let path = directory.path().join("memory.db");
                let engine = libsql::Builder::new_local(path).build().await.unwrap();
                let mut rows = engine.connect().unwrap().query(sql, params).await.unwrap();
                let mut values = Vec::new();
                while let Some(row) = rows.next().await.unwrap() {
                    values.push(row.get_value(0).unwrap());
                }
                values
            }
            World::Server(server) => {
                let transport = RemoteTransport::new(RemoteConfig::at(server.url())).unwrap();
                let statements = vec![Statement::new(sql, params)];
                let batch = Batch { access: Access::Read, statements };
                let rows = transport.run(batch).await.unwrap().remove(0).rows;
                rows.into_iter().map(|mut row| row.remove(0)).collect()
            }
        };
        let bytes = values.into_iter().map(|value| match value {
            Value::Blob(bytes) => bytes,
            other => panic!("{other:?}"),
        });
        bytes.collect()
    }

    /// The payloads of a project as they are stored.
    async fn payloads(&self, project: &str) -> Vec<Vec<u8>> {
        self.bytes("SELECT payload FROM episodes WHERE project = ?1", project).await
    }

    async fn dictionaries(&self, project: &str) -> Vec<Dictionary> {
        let all = self.bytes("SELECT bytes FROM dictionaries WHERE project = ?1", project).await;
        all.into_iter().map(Dictionary::new).collect()
    }
}

/// Tells a story on a file, and on a server where there is one.
fn tell<F: Future<Output = ()>>(story: impl Fn(Arc<World>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        story(Arc::new(World::File(tempfile::tempdir().unwrap()))).await;
        if let Some(server) = Server::start(Options::default()) {
            story(Arc::new(World::Server(Box::new(server)))).await;
        }
    });
}

fn episodes(project: &str, from: u64, count: u64) -> Vec<Episode> {
    let of = |n| Episode { project: project.into(), ..generate::episode(7, n, 700) };
    (from..from + count).map(of).collect()
}

async fn save_all(store: &TursoStore, episodes: &[Episode]) {
    let writes = episodes.iter().map(|episode| Write::Save(save_of(episode, 0))).collect();
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
}

async fn assert_holds(store: &TursoStore, episodes: &[Episode]) {
    let ids: Vec<EpisodeId> = episodes.iter().map(|episode| episode.id).collect();
    let found = store.get(&Scope::All, &ids).await.unwrap();
    for (found, wanted) in found.iter().zip(episodes) {
        assert_eq!(**found.as_ref().unwrap(), *wanted);
    }
}

async fn exported(store: &TursoStore) -> Vec<String> {
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let query = ScanQuery { scope: Scope::All, kind: RecordKind::Episode, after, limit: 100 };
        let page = store.scan(&query).await.unwrap();
        lines.extend(page.records.iter().map(|record: &Record| record.to_line().unwrap()));
        after = page.next;
        if after.is_none() {
            return lines;
        }
    }
}

#[test]
fn a_project_gets_a_dictionary_of_its_own_and_every_process_reads_with_it() {
    tell(|world| async move {
        let (one, other) = (world.fresh().await, world.fresh().await);
        let first = episodes("p", 0, ENOUGH);
        save_all(&one, &first).await;
        assert_holds(&other, &first[..3]).await;
        one.maintain().await.unwrap();
        let [own] = world.dictionaries("p").await.try_into().unwrap();
        one.maintain().await.unwrap();
        assert_eq!(world.dictionaries("p").await.len(), 1, "another one is not due");

        // The other store has seen the project before and knows nothing of its dictionary.
        let more = episodes("p", ENOUGH, 20);
        save_all(&one, &more[..10]).await;
        let stored = world.payloads("p").await;
        let with_it = stored.iter().filter(|p| dictionary_of(p) == Some(own.id())).count();
        // To a server the first batch is sent before its answer tells of the dictionary.
        assert!(with_it == 10 || matches!(*world, World::Server(_)), "{with_it}");
        assert_holds(&other, &more[..10]).await;
        save_all(&one, &more[10..]).await;
        let stored = world.payloads("p").await;
        assert!(stored.iter().filter(|p| dictionary_of(p) == Some(own.id())).count() >= 10);
        assert_holds(&other, &more).await;
        assert_holds(&world.fresh().await, &more).await;
        // A dictionary holds text of its project: no other one is written with it.
        save_all(&one, &episodes("q", 5_000, 10)).await;
        let named = world.payloads("q").await;
        assert!(named.iter().all(|p| dictionary_of(p) != Some(own.id())));
    });
}

#[test]
fn a_withdrawn_dictionary_leaves_no_trace_and_takes_no_episode_along() {
    tell(|world| async move {
        let (one, late) = (world.fresh().await, world.fresh().await);
        let first = episodes("p", 0, ENOUGH);
        save_all(&one, &first).await;
        assert!(one.train_dictionary("p").await.unwrap());
        let [own] = world.dictionaries("p").await.try_into().unwrap();
        let more = episodes("p", ENOUGH, 20);
        // Twice, so that both have heard of the dictionary and write with it.
        for (store, part) in [(&one, &more[..5]), (&late, &more[5..10])] {
            save_all(store, &part[..1]).await;
            save_all(store, &part[1..]).await;
        }
        let stored = world.payloads("p").await;
        assert!(stored.iter().filter(|p| dictionary_of(p) == Some(own.id())).count() >= 8);

        one.withdraw_dictionaries("p").await.unwrap();
        let left = world.dictionaries("p").await;
        assert!(left.iter().all(|dictionary| dictionary.id() != own.id()), "{left:?}");
        assert!(world.payloads("p").await.iter().all(|p| dictionary_of(p) != Some(own.id())));
        // This one believes that the dictionary is still there, for its next writes.
        save_all(&late, &more[10..15]).await;
        save_all(&late, &more[15..]).await;
        assert!(world.payloads("p").await.iter().all(|p| dictionary_of(p) != Some(own.id())));
        for store in [&one, &late, &world.fresh().await] {
            assert_holds(store, &first).await;
            assert_holds(store, &more).await;
        }
    });
}

#[test]
fn two_processes_make_one_dictionary() {
    tell(|world| async move {
        let (one, other) = (world.fresh().await, world.fresh().await);
        save_all(&one, &episodes("p", 0, ENOUGH)).await;
        let both = futures::join!(one.train_dictionary("p"), other.train_dictionary("p"));
        assert!(both.0.unwrap() != both.1.unwrap(), "one of them makes it");
        assert_eq!(world.dictionaries("p").await.len(), 1);
    });
}

#[test]
fn payloads_written_anew_are_smaller_and_the_same() {
    tell(|world| async move {
        let plain = world.open(PLAIN).await;
        save_all(&plain, &episodes("p", 0, ENOUGH)).await;
        save_all(&plain, &episodes("q", 1_000, 40)).await;
        let open = running("p", "still at it");
        save(&plain, &open, 0).await.unwrap();
        write(&plain, Write::AppendSteps(steps_of(&open, &["a", "b"]))).await.unwrap();
        let before = exported(&plain).await;
        let bytes: usize = world.payloads("p").await.iter().map(Vec::len).sum();

        let store = world.fresh().await;
        let since = store.changes(None).await.unwrap().watermark;
        let mut told = 0;
        let done = store.reencode(|_| told += 1).await.unwrap();
        assert_eq!((done.seen, done.rewritten, done.damaged), (ENOUGH + 41, ENOUGH + 41, 0));
        assert!(told >= 2, "progress was told {told} times");
        let after: usize = world.payloads("p").await.iter().map(Vec::len).sum();
        assert!(after * 100 <= bytes * 40, "{after} bytes of {bytes}");
        let changes = store.changes(Some(&since)).await.unwrap();
        assert_eq!((changes.entries, changes.jumped), (vec![], false), "no new version");
        for reader in [&plain, &store, &world.fresh().await] {
            assert_eq!(exported(reader).await, before);
        }
        assert_eq!(store.reencode(|_| ()).await.unwrap().rewritten, 0, "nothing is left to do");
        // And back again.
        plain.reencode(|_| ()).await.unwrap();
        assert_eq!(exported(&store).await, before);
        let stored = world.payloads("p").await;
        assert!(stored.iter().all(|payload| payload[16..].starts_with(b"{")), "JSON as it is");
    });
}

#[test]
fn writing_anew_goes_on_where_it_was_interrupted_and_stops_nobody() {
    tell(|world| async move {
        let plain = Arc::new(world.open(PLAIN).await);
        let mut all = episodes("p", 0, 300);
        save_all(&plain, &all).await;
        let store = world.fresh().await;
        let (told, seen) = (tokio::sync::Notify::new(), AtomicU64::new(0));
        let run = store.reencode(|done| {
            seen.store(done.seen, Ordering::Relaxed);
            told.notify_one();
        });
        tokio::select! {
            _ = run => {}
            () = told.notified() => {}
        }
        let seen = seen.load(Ordering::Relaxed);
        assert!(seen > 0);

        // Writers at the same time: what they write is what is there in the end.
        let writer = plain.clone();
        let mut changed = all.clone();
        for episode in &mut changed {
            episode.task_description.push_str(" (again)");
            episode.version = 2;
        }
        let saves = changed.clone();
        let writing = tokio::spawn(async move {
            for episode in saves {
                save(&*writer, &episode, 1).await.unwrap();
            }
        });
        let rest = store.reencode(|_| ()).await.unwrap();
        assert!(seen >= 300 || rest.seen <= 300 - seen, "{seen} were done, {} again", rest.seen);
        writing.await.unwrap();
        all = changed;
        assert_holds(&store, &all).await;
        store.reencode(|_| ()).await.unwrap();
        assert_holds(&world.fresh().await, &all).await;
        let stored = world.payloads("p").await;
        assert!(stored.iter().all(|payload| dictionary_of(payload).is_some()));
        assert!(get(&store, &all[0]).await.is_some_and(|e| only("p").contains(&e.project)));
    });
}
