//! Clocks that jump: the order is that of the sequence, nothing overflows, nothing expires.

use std::sync::Arc;

use memory_core::memory::{Completion, NewEpisode};
use memory_core::recall::RecallQuery;
use memory_core::store::Filter;
use memory_core::{
    Clock, EpisodeStore, ManualClock, Memory, Outcome, OutcomeKind, Reflection, Timestamp,
};
use memory_testkit::story::{NOW, listed, only, project, step};

use super::support::{assert_sound, database, open};

const DAY_US: i64 = 86_400 * 1_000_000;

/// Now, a day before, ten years after, the epoch, before it, the ends of what can be said, and now.
const TIMES: [Timestamp; 8] = [
    NOW,
    Timestamp(NOW.0 - DAY_US),
    Timestamp(NOW.0 + 3650 * DAY_US),
    Timestamp(0),
    Timestamp(-1),
    Timestamp(i64::MAX),
    Timestamp(i64::MIN),
    NOW,
];

#[tokio::test]
async fn a_clock_that_jumps_changes_no_order_and_loses_nothing() {
    let (_directory, path) = database();
    let clock = Arc::new(ManualClock::new(NOW));
    let memory = Memory::new(open(&path).await, clock.clone() as Arc<dyn Clock>);
    let p = project("clock");
    let new = |task: String| NewEpisode { project: p.clone(), task, ..NewEpisode::default() };
    let done = || Completion {
        outcome: Outcome::new(OutcomeKind::Success, "it works"),
        reward: None,
        reflection: Reflection::default(),
    };
    let before = memory.store().changes(None).await.unwrap().watermark;
    // One whose steps are taken while the clock jumps, and one begun and ended at each time.
    let through = memory.start(new("repair the login through all of it".into())).await.unwrap().id;
    let mut written = vec![through];
    for (n, time) in TIMES.into_iter().enumerate() {
        clock.set(time);
        // Twice: the second time it stands still.
        for half in 0..2 {
            let did = vec![step(&format!("step {}", 2 * n + half))];
            memory.log_steps(&only(&p), through, did, None).await.unwrap();
        }
        let e = memory.start(new(format!("repair the login at time {n}"))).await.unwrap();
        assert_eq!(e.started_at, time);
        written.push(e.id);
        // It ends when the clock shows less.
        clock.set(Timestamp(time.0.saturating_sub(DAY_US)));
        let completed = memory.complete(&only(&p), e.id, done()).await.unwrap();
        assert!(completed.episode.ended_at >= Some(e.started_at), "time {n}");
    }
    memory.complete(&only(&p), through, done()).await.unwrap();

    let stored = memory.require(&only(&p), through).await.unwrap();
    let actions: Vec<_> = stored.steps.iter().map(|step| step.action.clone()).collect();
    let expected: Vec<_> = (0..2 * TIMES.len()).map(|n| format!("step {n}")).collect();
    assert_eq!(actions, expected, "steps in the order in which they were taken");

    // The feed tells of them in the order of their last commits.
    let told = memory.store().changes(Some(&before)).await.unwrap();
    let mut last: Vec<_> = told.entries.iter().map(|change| change.id).collect();
    last.dedup();
    let (first, rest) = written.split_first().unwrap();
    assert_eq!(last.iter().rev().take(1).collect::<Vec<_>>(), [first]);
    let at = |id| last.iter().rposition(|told| told == id).unwrap();
    assert!(rest.windows(2).all(|pair| at(&pair[0]) < at(&pair[1])), "{last:?}");

    // At any time, everything is there and can be recalled.
    for time in TIMES {
        clock.set(time);
        assert_eq!(listed(memory.store(), &p, Filter::default()).await.len(), written.len());
        let query = RecallQuery::new("repair the login", only(&p));
        let recalled = memory.recall(&query).await.unwrap();
        assert!(recalled.items.iter().any(|item| written.contains(&item.id)), "{time}");
    }
    memory.store().close().await;
    assert_sound(&path).await;
}
