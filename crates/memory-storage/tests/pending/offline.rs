//! The database cannot be reached: what is refused, what waits, and that it arrives once.

use std::time::Duration;

use memory_core::store::{
    AppendSteps, EpisodeStore, Filter, Kept, LessonQuery, ListQuery, Save, Scope, Write,
};
use memory_core::{Episode, EpisodeId, Error, OutcomeKind, WriteId};
use memory_storage::{PendingConfig, PendingStore, WhenOffline};
use memory_storage_turso::TursoStore;
use memory_storage_turso::pending::EntryState;
use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::sqld::{Options, Server};

use super::world::{
    World, actions, count, drained, memory, open, scope, step, success, task, words,
};

async fn stored(witness: &TursoStore) -> Vec<std::sync::Arc<Episode>> {
    let filter = Filter::default();
    let query = ListQuery { scope: Scope::All, filter, after: None, limit: 100 };
    witness.list(&query).await.unwrap().episodes
}

fn is_offline(e: &Error) -> bool {
    matches!(e, Error::Unavailable { .. } | Error::Unknown { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_clearly_by_default() {
    let Some(mut world) = World::new().await else { return };
    let memory = memory(world.store(WhenOffline::Refuse).await);
    let episode = memory.start(task("repair the login")).await.unwrap();
    world.server.stop();
    let refused = memory.start(task("something else")).await.unwrap_err();
    assert!(is_offline(&refused), "{refused}");
    let refused = memory.complete(&scope(), episode.id, success()).await.unwrap_err();
    assert!(is_offline(&refused), "{refused}");
    assert_eq!(memory.store().pending().unwrap().counts().await.unwrap().queued, 0);
    world.server.restart();
    memory.store().flush().await.unwrap();
    let there = stored(&world.witness()).await;
    assert_eq!(there.len(), 1);
    assert!(there[0].is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_known_episode_are_journaled_through_an_outage() {
    let Some(mut world) = World::new().await else { return };
    let memory = memory(world.store(WhenOffline::Refuse).await);
    let id = memory.start(task("repair the login")).await.unwrap().id;
    memory.log_steps(&scope(), id, step("step 0"), None).await.unwrap();
    world.server.stop();
    let logged = memory.log_steps(&scope(), id, step("step 1"), None).await.unwrap();
    assert_eq!((logged.total, logged.kept), (2, Kept::Journaled));
    world.server.restart();
    let done = memory.complete(&scope(), id, success()).await.unwrap();
    assert_eq!(actions(&done.episode), words(0..2));
}

/// A whole life while the server is away, and part of one that began before.
#[tokio::test(flavor = "multi_thread")]
async fn queued_writes_arrive_exactly_once() {
    let Some(mut world) = World::new().await else { return };
    let memory = memory(world.store(WhenOffline::Queue).await);
    let before = memory.start(task("began before")).await.unwrap().id;
    memory.log_steps(&scope(), before, step("step 0"), None).await.unwrap();
    world.server.stop();
    memory.log_steps(&scope(), before, step("step 1"), None).await.unwrap();
    let done = memory.complete(&scope(), before, success()).await.unwrap();
    assert_eq!(done.kept, Kept::Queued);

    let id = memory.start(task("began without the server")).await.unwrap().id;
    for n in 0..3 {
        let logged = memory.log_steps(&scope(), id, step(&format!("step {n}")), None).await;
        let logged = logged.unwrap();
        assert_eq!((logged.first, logged.total, logged.kept), (n + 1, n + 1, Kept::Queued));
    }
    let seen = memory.require(&scope(), id).await.unwrap();
    assert_eq!(actions(&seen), words(0..3), "what waits in full is readable");
    let done = memory.complete(&scope(), id, success()).await.unwrap();
    assert_eq!(done.kept, Kept::Queued);

    world.server.restart();
    drained(memory.store()).await;
    memory.store().flush().await.unwrap();
    let there = stored(&world.witness()).await;
    assert_eq!(there.len(), 2);
    for (episode, steps) in there.iter().zip([3, 2]) {
        assert_eq!(episode.state(), OutcomeKind::Success.as_str());
        assert_eq!(actions(episode), words(0..steps));
    }
    assert_eq!(*there[0], *done.episode);
    assert_eq!(count(memory.store(), EntryState::Conflict).await, 0);
}

/// The server carries the write out, and every answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn write_whose_answer_was_lost_is_queued_and_applied_once() {
    let Some(world) = World::new().await else { return };
    let memory = memory(world.store(WhenOffline::Queue).await);
    let id = memory.start(task("repair the login")).await.unwrap().id;
    memory.log_steps(&scope(), id, step("step 0"), None).await.unwrap();
    world.proxy.fault_all(Some(Fault::ResetAfter));
    let done = memory.complete(&scope(), id, success()).await.unwrap();
    assert_eq!(done.kept, Kept::Queued);
    world.proxy.fault_all(None);
    drained(memory.store()).await;
    let there = stored(&world.witness()).await;
    assert_eq!(there, [done.episode]);
    let query = LessonQuery { scope: scope(), episodes: vec![], kinds: vec![], limit: 100 };
    let lessons = world.witness().lessons(&query).await.unwrap();
    assert_eq!(lessons.len(), done.lessons.len());
    assert_eq!(count(memory.store(), EntryState::Conflict).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_entry_is_kept_listed_and_can_be_retried() {
    let Some(mut world) = World::new().await else { return };
    let store = world.store(WhenOffline::Queue).await;
    let clock = memory_core::SystemClock;
    let now = memory_core::Clock::now(&clock);
    let episode = Episode::start(EpisodeId::generate(now), "pending", "made elsewhere", now);
    let write_id = WriteId::generate(now);
    let steps = step("step 0");
    let append = AppendSteps {
        id: episode.id,
        scope: scope(),
        steps,
        first: None,
        write_id,
        recalled: vec![],
    };
    world.server.stop();
    let queued = store.write(vec![Write::AppendSteps(append)]).await.unwrap().remove(0).unwrap();
    assert_eq!(queued.kept, Kept::Queued);
    world.server.restart();
    drained(&store).await;
    let entries = store.pending().unwrap().entries().await.unwrap();
    let [entry] = &*entries else { panic!("{entries:#?}") };
    assert_eq!((entry.state, entry.episode), (EntryState::Conflict, Some(episode.id)));
    assert!(entry.error.as_ref().unwrap().contains("not found"), "{entry:?}");

    // Its episode turns up; now it can be delivered.
    let (id, write_id) = (episode.id, WriteId::generate(now));
    let save = Save { episode: episode.into(), base: 0, write_id, lessons: vec![] };
    let witness = world.witness();
    witness.write(vec![Write::Save(save)]).await.unwrap().remove(0).unwrap();
    assert!(store.retry(entry.seq).await.unwrap());
    drained(&store).await;
    let there = witness.get(&scope(), &[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(actions(&there), words(0..1));
    assert!(store.pending().unwrap().entries().await.unwrap().is_empty());
    assert!(!store.retry(entry.seq).await.unwrap(), "it is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_outbox_refuses_clearly() {
    let Some(mut world) = World::new().await else { return };
    let offline = PendingConfig { when_offline: WhenOffline::Queue, ..world.pending() };
    let store = open(&world.proxy.url(), PendingConfig { max_entries: 2, ..offline }).await;
    store.durable().ready().await.unwrap();
    world.server.stop();
    let memory = memory(store);
    memory.start(task("one")).await.unwrap();
    memory.start(task("two")).await.unwrap();
    let refused = memory.start(task("three")).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("2 writes"), "{refused}");
    let entries = memory.store().pending().unwrap().entries().await.unwrap();
    assert!(memory.store().pending().unwrap().discard(entries[0].seq).await.unwrap());
    memory.start(task("four")).await.unwrap();
}

/// The queue is the database's, not the URL's.
#[tokio::test(flavor = "multi_thread")]
async fn another_database_behind_the_url_gets_nothing() {
    let Some(mut world) = World::new().await else { return };
    let Some(other) = Server::start(Options::default()) else { return };
    let other_proxy = FaultProxy::start(other.address()).await;
    let store = world.store(WhenOffline::Queue).await;
    world.server.stop();
    let memory = memory(store);
    let id = memory.start(task("for the first database")).await.unwrap().id;
    memory.store().close().await;
    drop(memory);

    let queue = PendingConfig { when_offline: WhenOffline::Queue, ..world.pending() };
    let store = open(&other_proxy.url(), queue.clone()).await;
    let _ = store.flush().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let theirs = TursoStore::connect(super::world::remote(&other.url())).unwrap();
    assert!(stored(&theirs).await.is_empty());
    assert_eq!(count(&store, EntryState::Queued).await, 1);
    let found = store.get(&scope(), &[id]).await.unwrap();
    assert_eq!(found, [None], "nor is it shown there");
    drop(store);

    world.server.restart();
    let store: PendingStore = open(&world.proxy.url(), queue).await;
    drained(&store).await;
    assert_eq!(stored(&world.witness()).await[0].id, id);
}
