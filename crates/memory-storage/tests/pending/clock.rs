//! A clock that is set back, forward, or stands still: what waits is delivered all the same.

use std::sync::Arc;
use std::time::Duration;

use memory_core::store::EpisodeStore;
use memory_core::{Clock, ManualClock, Memory, SystemClock, Timestamp};
use memory_storage::PendingConfig;

use super::world::{World, actions, drained, open_with, scope, step, task, words};

const TEN_YEARS_US: i64 = 10 * 365 * 86_400 * 1_000_000;

/// A step is journaled while the clock shows one thing, and delivered while it shows another. True: it
/// was journaled indeed; at the very beginning of time it goes to the database at once.
async fn delivered(world: &World, first: Timestamp, then: Timestamp) -> bool {
    let clock = Arc::new(ManualClock::new(first));
    // Nothing is due before the clock has changed.
    let late = PendingConfig { flush_after: Duration::from_secs(3600), ..world.pending() };
    let before = open_with(&world.proxy.url(), late, clock.clone()).await;
    before.durable().ready().await.unwrap();
    let memory = Memory::new(before, clock.clone() as Arc<dyn Clock>);
    let id = memory.start(task("repair the login")).await.unwrap().id;
    memory.log_steps(&scope(), id, step("step 0"), None).await.unwrap();
    // A process that ended without giving it back.
    let file = memory.store().pending().unwrap();
    let entries = file.entries().await.unwrap();
    for entry in &entries {
        let until = Timestamp(first.0 + 1_000_000);
        assert!(file.take_lease(entry.target, [7; 16], clock.now(), until).await.unwrap());
    }

    clock.set(then);
    let soon = PendingConfig { flush_after: Duration::from_millis(200), ..world.pending() };
    let after = open_with(&world.proxy.url(), soon, clock).await;
    drained(&after).await;
    let there = world.witness().get(&scope(), &[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(actions(&there), words(0..1));
    !entries.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_delivered_whatever_the_clock_does() {
    let Some(world) = World::new().await else { return };
    let now = SystemClock.now();
    let day = 86_400 * 1_000_000;
    let mut journaled = 0;
    for (first, then) in [
        (now, Timestamp(now.0 - day)),
        (now, Timestamp(now.0 + TEN_YEARS_US)),
        (Timestamp(now.0 + TEN_YEARS_US), now),
        (now, Timestamp(0)),
        (Timestamp(0), now),
        // Not even the lease ends; whoever comes after it waits.
        (Timestamp(now.0 - 2_000_000), now),
    ] {
        journaled += u32::from(delivered(&world, first, then).await);
    }
    assert!(journaled >= 4, "{journaled} were journaled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_stands_still_delays_nothing_for_ever() {
    let Some(world) = World::new().await else { return };
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let config = PendingConfig { flush_after: Duration::from_millis(200), ..world.pending() };
    let store = open_with(&world.proxy.url(), config, clock.clone()).await;
    let memory = Memory::new(store, clock as Arc<dyn Clock>);
    let id = memory.start(task("repair the login")).await.unwrap().id;
    memory.log_steps(&scope(), id, step("step 0"), None).await.unwrap();
    drained(memory.store()).await;
    let there = world.witness().get(&scope(), &[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(actions(&there), words(0..1));
}
