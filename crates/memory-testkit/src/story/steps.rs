//! Logging steps to a running episode.

use memory_core::episode::limits::MAX_STEPS;
use memory_core::store::{AppendSteps, Filter, ListQuery, Write};
use memory_core::{Episode, EpisodeStore, Error, Outcome, OutcomeKind, Step};

use super::{completed, get, only, project, running, save, step, steps_of, write};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    steps_are_numbered_in_the_order_they_came(store).await;
    same_write_id_logs_once_however_late(store).await;
    steps_find_only_running_episodes(store).await;
    known_first_number_must_follow_the_last(store).await;
    save_folds_logged_steps_in(store).await;
    too_many_steps_are_refused(store).await;
}

async fn actions<S: EpisodeStore>(store: &S, episode: &Episode) -> Vec<(u32, String)> {
    let stored = get(store, episode).await.unwrap();
    stored.steps.iter().map(|step| (step.number, step.action.clone())).collect()
}

fn numbered(actions: &[&str]) -> Vec<(u32, String)> {
    (1..).zip(actions.iter().map(|action| (*action).to_owned())).collect()
}

/// Across calls and within one batch; visible to get and list at once.
pub async fn steps_are_numbered_in_the_order_they_came<S: EpisodeStore>(store: &S) {
    let p = project("steps");
    let e = running(&p, "log steps");
    save(store, &e, 0).await.unwrap();
    let results = store
        .write(vec![
            Write::AppendSteps(steps_of(&e, &["a", "b"])),
            Write::AppendSteps(steps_of(&e, &["c"])),
        ])
        .await
        .unwrap();
    let results: Vec<_> = results.into_iter().map(|r| r.unwrap()).collect();
    assert_eq!((results[0].version, results[0].steps), (2, 2));
    assert_eq!((results[1].version, results[1].steps), (3, 3));
    let written = write(store, Write::AppendSteps(steps_of(&e, &["d"]))).await.unwrap();
    assert_eq!((written.version, written.steps), (4, 4));

    let stored = get(store, &e).await.unwrap();
    assert_eq!(stored.version, 4);
    assert_eq!(actions(store, &e).await, numbered(&["a", "b", "c", "d"]));
    let query = ListQuery { scope: only(&p), filter: Filter::default(), after: None, limit: 10 };
    assert_eq!(store.list(&query).await.unwrap().episodes, std::slice::from_ref(&stored));
    // Asked for among others, it comes with its steps as well.
    let many = store.get(&only(&p), &vec![e.id; 20]).await.unwrap();
    assert!(many.iter().all(|found| found.as_deref() == Some(&*stored)));
}

/// At once, after later steps, and after the episode was completed.
pub async fn same_write_id_logs_once_however_late<S: EpisodeStore>(store: &S) {
    let mut e = running(&project("late"), "log once");
    save(store, &e, 0).await.unwrap();
    let first = Write::AppendSteps(steps_of(&e, &["a"]));
    let twice = store.write(vec![first.clone(), first.clone()]).await.unwrap();
    for result in twice {
        let written = result.unwrap();
        assert_eq!((written.version, written.steps), (2, 1));
    }
    write(store, Write::AppendSteps(steps_of(&e, &["b"]))).await.unwrap();
    let written = write(store, first.clone()).await.unwrap();
    assert_eq!((written.version, written.steps), (3, 2), "what is stored now");
    assert_eq!(actions(store, &e).await, numbered(&["a", "b"]));

    e = (*get(store, &e).await.unwrap()).clone();
    e.version = 4;
    e.outcome = Some(Outcome::new(OutcomeKind::Success, "done"));
    save(store, &e, 3).await.unwrap();
    assert_eq!(write(store, first).await.unwrap().version, 4);
    assert_eq!(*get(store, &e).await.unwrap(), e);
}

/// Unknown, completed and forgotten ones each say so.
pub async fn steps_find_only_running_episodes<S: EpisodeStore>(store: &S) {
    let p = project("refused-steps");
    let unknown = running(&p, "never saved");
    let error = write(store, Write::AppendSteps(steps_of(&unknown, &["a"]))).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");

    let done = completed(&p, "done", OutcomeKind::Failure);
    save(store, &done, 0).await.unwrap();
    let error = write(store, Write::AppendSteps(steps_of(&done, &["a"]))).await.unwrap_err();
    assert!(matches!(&error, Error::Completed { outcome, .. } if outcome == "failure"), "{error}");
    assert_eq!(*get(store, &done).await.unwrap(), done);

    let gone = running(&p, "gone");
    save(store, &gone, 0).await.unwrap();
    write(store, Write::Forget(super::forget_of(&gone))).await.unwrap();
    let error = write(store, Write::AppendSteps(steps_of(&gone, &["a"]))).await.unwrap_err();
    assert!(matches!(error, Error::Forgotten { .. }), "{error}");

    let open = running(&p, "open");
    save(store, &open, 0).await.unwrap();
    for bad in [vec![], vec![Step::default()], vec![step("fine"), step("a\0b")]] {
        let append = AppendSteps { steps: bad, ..steps_of(&open, &[]) };
        let error = write(store, Write::AppendSteps(append)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    assert_eq!(*get(store, &open).await.unwrap(), open);
}

/// A gap or an overlap is a conflict and logs nothing.
pub async fn known_first_number_must_follow_the_last<S: EpisodeStore>(store: &S) {
    let e = running(&project("first"), "numbered by the caller");
    save(store, &e, 0).await.unwrap();
    let at = |first: u32, action: &str| {
        Write::AppendSteps(AppendSteps { first: Some(first), ..steps_of(&e, &[action]) })
    };
    write(store, at(1, "a")).await.unwrap();
    for wrong in [1, 3, 0] {
        let error = write(store, at(wrong, "x")).await.unwrap_err();
        assert!(matches!(error, Error::Conflict { current: 2, .. }), "{wrong}: {error}");
    }
    write(store, at(2, "b")).await.unwrap();
    assert_eq!(actions(store, &e).await, numbered(&["a", "b"]));
}

/// A save holds all steps; later ones are numbered after them.
pub async fn save_folds_logged_steps_in<S: EpisodeStore>(store: &S) {
    let e = running(&project("fold"), "fold");
    save(store, &e, 0).await.unwrap();
    write(store, Write::AppendSteps(steps_of(&e, &["a", "b"]))).await.unwrap();
    let mut folded = (*get(store, &e).await.unwrap()).clone();
    folded.version += 1;
    folded.context.domain = "web".into();
    assert_eq!(save(store, &folded, 2).await.unwrap().version, 3);
    assert_eq!(*get(store, &e).await.unwrap(), folded);
    let written = write(store, Write::AppendSteps(steps_of(&e, &["c"]))).await.unwrap();
    assert_eq!((written.version, written.steps), (4, 3));
    assert_eq!(actions(store, &e).await, numbered(&["a", "b", "c"]));
}

/// The limit holds for the sum of what was saved and logged.
pub async fn too_many_steps_are_refused<S: EpisodeStore>(store: &S) {
    let mut e = running(&project("limit"), "many steps");
    e.steps = vec![step("x"); MAX_STEPS - 1];
    for (number, step) in (1..).zip(&mut e.steps) {
        step.number = number;
    }
    save(store, &e, 0).await.unwrap();
    let error = write(store, Write::AppendSteps(steps_of(&e, &["y", "z"]))).await.unwrap_err();
    assert!(error.to_string().contains("10001, the limit of one episode is 10000"), "{error}");
    let written = write(store, Write::AppendSteps(steps_of(&e, &["y"]))).await.unwrap();
    assert_eq!(written.steps as usize, MAX_STEPS);

    let large = Step { observation: "x".repeat(1024 * 1024 - 1), ..step("l") };
    let e = running(&project("bytes"), "large steps");
    save(store, &e, 0).await.unwrap();
    for fits in [true, true, true, false] {
        let append = AppendSteps { steps: vec![large.clone()], ..steps_of(&e, &[]) };
        let result = write(store, Write::AppendSteps(append)).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
    }
    assert_eq!(get(store, &e).await.unwrap().steps.len(), 3);
}
