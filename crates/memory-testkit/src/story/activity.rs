//! How much happened when, and in which projects.

use memory_core::store::{ActivityQuery, EpisodeStore, Period, Scope, TaskType};
use memory_core::{Episode, OutcomeKind, Timestamp};

use super::{NOW, completed, only, project, running, save};

const DAY_US: i64 = 86_400_000_000;

/// Tells the chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    episodes_are_counted_by_when_they_began_and_how_they_ended(store).await;
    task_types_come_with_their_successes(store).await;
}

async fn save_all<S: EpisodeStore>(store: &S, episodes: &[Episode]) {
    for episode in episodes {
        save(store, episode, 0).await.unwrap();
    }
}

/// By period and state, of a project or of all.
pub async fn episodes_are_counted_by_when_they_began_and_how_they_ended<S: EpisodeStore>(
    store: &S,
) {
    let (p, other) = (project("activity"), project("activity-other"));
    let mut later = completed(&p, "later", OutcomeKind::Failure);
    later.started_at = Timestamp(NOW.0 + DAY_US);
    let mut earlier = completed(&p, "earlier", OutcomeKind::Success);
    earlier.started_at = Timestamp(NOW.0 - 30 * DAY_US);
    let episodes = [
        completed(&p, "one", OutcomeKind::Success),
        completed(&p, "two", OutcomeKind::Success),
        running(&p, "three"),
        later,
        earlier,
        running(&other, "elsewhere"),
    ];
    save_all(store, &episodes).await;
    let since = Timestamp(NOW.0 - DAY_US);
    let query = |scope| ActivityQuery { scope, since, period_us: DAY_US };
    let found = store.activity(&query(only(&p))).await.unwrap();
    assert_eq!(found.projects, [p.as_str()]);
    let day = |time: i64| Timestamp(time - time % DAY_US);
    let period = |start, state: &str, episodes| Period { start, state: state.into(), episodes };
    let today = day(NOW.0);
    assert_eq!(
        found.periods,
        [
            period(today, "running", 1),
            period(today, "success", 2),
            period(day(NOW.0 + DAY_US), "failure", 1)
        ]
    );
    let all = store.activity(&query(Scope::All)).await.unwrap();
    assert!(all.projects.contains(&p) && all.projects.contains(&other), "{all:?}");
    assert!(all.projects.is_sorted());
    let running_now = all.periods.iter().find(|it| it.start == today && it.state == "running");
    assert!(running_now.is_some_and(|it| it.episodes >= 2), "{all:?}");
    let none = store.activity(&query(only(&project("empty")))).await.unwrap();
    assert!(none.projects.is_empty() && none.periods.is_empty(), "{none:?}");
}

/// Those with the most episodes first.
pub async fn task_types_come_with_their_successes<S: EpisodeStore>(store: &S) {
    let p = project("task-types");
    let of = |task_type: &str, kind| Episode {
        task_type: task_type.into(),
        ..completed(&p, "task", kind)
    };
    let episodes = [
        of("sql", OutcomeKind::Success),
        of("sql", OutcomeKind::Failure),
        of("bugfix", OutcomeKind::Partial),
    ];
    save_all(store, &episodes).await;
    let found = store.task_types(&only(&p)).await.unwrap();
    let row = |name: &str, episodes, successes| TaskType { name: name.into(), episodes, successes };
    assert_eq!(found, [row("sql", 2, 1), row("bugfix", 1, 0)]);
    assert!(store.task_types(&Scope::All).await.unwrap().len() >= 2);
}
