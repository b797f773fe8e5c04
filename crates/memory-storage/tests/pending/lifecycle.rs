//! Start, steps, completion: what they cost and that nothing falls between them.

use std::sync::Arc;
use std::time::Duration;

use memory_core::Error;
use memory_core::store::{EpisodeStore, Kept};
use memory_storage::{CacheConfig, HybridStorage, PendingConfig, Place, WhenOffline};
use memory_storage_turso::pending::EntryState;
use memory_testkit::story;

use super::world::{
    World, actions, count, drained, memory, open, scope, step, success, task, words,
};

/// Start and completion, with its lessons, are one request each; the steps between them none.
async fn whole_life_costs_two_requests<S: EpisodeStore>(world: &World, store: S) {
    let memory = memory(store);
    world.quiet().await;
    let before = world.proxy.counts().requests;
    let episode = memory.start(task("repair the login")).await.unwrap();
    for n in 0..8 {
        let mut step = step(&format!("step {n}"));
        // Several tools one after the other: there is something to learn.
        step[0].tool = ["read", "edit", "bash"][n as usize % 3].into();
        let logged = memory.log_steps(&scope(), episode.id, step, None).await.unwrap();
        assert_eq!((logged.first, logged.total, logged.kept), (n + 1, n + 1, Kept::Journaled));
    }
    let done = memory.complete(&scope(), episode.id, success()).await.unwrap();
    assert_eq!(world.proxy.counts().requests - before, 2);
    assert_eq!((done.kept, actions(&done.episode)), (Kept::Stored, words(0..8)));
    assert!(!done.lessons.is_empty(), "it taught something");

    let witness = world.witness();
    let stored = witness.get(&scope(), &[episode.id]).await.unwrap().remove(0).unwrap();
    assert_eq!(stored, done.episode);
    assert_eq!((1..).zip(&stored.steps).filter(|(n, step)| step.number != *n).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lifecycle_costs_two_round_trips() {
    let Some(world) = World::new().await else { return };
    let store = world.store(WhenOffline::Refuse).await;
    whole_life_costs_two_requests(&world, store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifecycle_costs_two_round_trips_behind_the_cache() {
    let Some(world) = World::new().await else { return };
    let store = world.store(WhenOffline::Refuse).await;
    let hybrid = HybridStorage::new(store, Place::Remote, &CacheConfig::default());
    whole_life_costs_two_requests(&world, hybrid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn journaled_steps_are_seen_at_once_and_flushed_in_time() {
    let Some(world) = World::new().await else { return };
    let config = PendingConfig { flush_after: Duration::from_secs(1), ..world.pending() };
    let memory = memory(open(&world.proxy.url(), config).await);
    let episode = memory.start(task("repair the login")).await.unwrap();
    for n in 0..3 {
        memory.log_steps(&scope(), episode.id, step(&format!("step {n}")), None).await.unwrap();
    }
    let seen = memory.require(&scope(), episode.id).await.unwrap();
    assert_eq!((actions(&seen), seen.version), (words(0..3), 4));
    drained(memory.store()).await;
    let stored = world.witness().get(&scope(), &[episode.id]).await.unwrap().remove(0).unwrap();
    assert_eq!(stored, seen, "what was shown is what became of it");
    // And on it goes, from the copy that the flush has brought up to date.
    let logged = memory.log_steps(&scope(), episode.id, step("step 3"), Some(4)).await.unwrap();
    assert_eq!((logged.total, logged.kept), (4, Kept::Journaled));
    let done = memory.complete(&scope(), episode.id, success()).await.unwrap();
    assert_eq!(actions(&done.episode), words(0..4));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_of_the_database() {
    let Some(world) = World::new().await else { return };
    let memory = memory(world.store(WhenOffline::Refuse).await);
    let episode = memory.start(task("repair the login")).await.unwrap();
    let id = episode.id;
    let first = memory.log_steps(&scope(), id, step("a"), Some(1)).await.unwrap();
    // A repetition, after a lost answer.
    assert_eq!(memory.log_steps(&scope(), id, step("a"), Some(1)).await.unwrap(), first);
    let gap = memory.log_steps(&scope(), id, step("c"), Some(3)).await.unwrap_err();
    assert!(matches!(gap, Error::Conflict { .. }), "{gap}");
    let unknown = memory_core::EpisodeId::generate(memory.now());
    let missing = memory.log_steps(&scope(), unknown, step("a"), None).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    let other = memory_core::store::Scope::Project("other".into());
    let foreign = memory.log_steps(&other, id, step("a"), None).await.unwrap_err();
    assert!(matches!(foreign, Error::NotFound { .. }), "{foreign}");
    memory.complete(&scope(), id, success()).await.unwrap();
    let late = memory.log_steps(&scope(), id, step("b"), None).await.unwrap_err();
    assert!(matches!(late, Error::Completed { .. }), "{late}");
    // Even now a repetition is told from a new step.
    assert_eq!(memory.log_steps(&scope(), id, step("a"), Some(1)).await.unwrap().total, 1);
    memory.forget(&scope(), id).await.unwrap();
    let gone = memory.log_steps(&scope(), id, step("b"), None).await.unwrap_err();
    assert!(matches!(gone, Error::Forgotten { .. }), "{gone}");
    assert_eq!(count(memory.store(), EntryState::Conflict).await, 0);
}

/// Whoever is first: a step that was accepted is in the completed episode, every other one is told.
#[tokio::test(flavor = "multi_thread")]
async fn completion_racing_with_steps_loses_nothing() {
    let Some(world) = World::new().await else { return };
    let here = Arc::new(memory(world.store(WhenOffline::Refuse).await));
    // A second process would do the same: another store on the same file.
    let there = Arc::new(memory(world.store(WhenOffline::Refuse).await));
    for round in 0..10 {
        let id = here.start(task(&format!("race {round}"))).await.unwrap().id;
        let mut loggers = tokio::task::JoinSet::new();
        for logger in 0..4 {
            let memory = if logger % 2 == 0 { here.clone() } else { there.clone() };
            loggers.spawn(async move {
                let mut accepted = Vec::new();
                for n in 0.. {
                    let action = format!("{logger}-{n}");
                    match memory.log_steps(&scope(), id, step(&action), None).await {
                        Ok(_) => accepted.push(action),
                        Err(Error::Completed { .. }) => break,
                        Err(e) => panic!("{e}"),
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                accepted
            });
        }
        tokio::time::sleep(Duration::from_millis(20 + 10 * round)).await;
        // Under fire it may give up, and says so.
        while let Err(e) = here.complete(&scope(), id, success()).await {
            assert!(matches!(e, Error::Conflict { .. }), "{e}");
        }
        let mut accepted: Vec<String> = loggers.join_all().await.into_iter().flatten().collect();
        let stored = world.witness().get(&scope(), &[id]).await.unwrap().remove(0).unwrap();
        let mut stored = actions(&stored);
        stored.sort_unstable();
        accepted.sort_unstable();
        let (there, told) = (stored.len(), accepted.len());
        assert!(stored == accepted, "round {round}: {told} accepted, {there} stored");
    }
    assert_eq!(count(here.store(), EntryState::Conflict).await, 0);
}

/// Whatever holds of a store holds of it with a journal in front of it. All chapters but that of the
/// feed: an episode for which steps wait is reported there without a version.
#[tokio::test(flavor = "multi_thread")]
async fn conformance_story_is_told_through_the_journal() {
    let Some(world) = World::new().await else { return };
    let store = world.store(WhenOffline::Refuse).await;
    story::saving::tell(&store).await;
    story::steps::tell(&store).await;
    story::forgetting::tell(&store).await;
    story::lessons::tell(&store).await;
    story::relations::tell(&store).await;
    story::reading::tell(&store).await;
    story::scanning::tell(&store).await;
    store.flush().await.unwrap();
    assert_eq!(count(&store, EntryState::Conflict).await, 0);
}
