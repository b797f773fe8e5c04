//! Inserting and replacing episodes.

use memory_core::learning::{Evidence, Lesson, LessonKind};
use memory_core::store::{Filter, LessonQuery, Scope, Write};
use memory_core::{
    Complexity, Condition, Episode, EpisodeStore, Error, Outcome, OutcomeKind, RawJson, Reward,
    RewardSource, Source, Step, Timestamp,
};

use super::{NOW, completed, found, get, listed, only, project, running, save, save_of, write};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    saved_episode_reads_back_in_full(store).await;
    same_write_id_is_one_write(store).await;
    one_of_two_writers_from_one_version_wins(store).await;
    bases_that_do_not_hold_are_conflicts(store).await;
    each_write_of_a_batch_has_its_own_result(store).await;
    another_project_sees_and_changes_nothing(store).await;
    refused_save_leaves_no_trace(store).await;
    replaced_episode_is_found_by_its_new_words_alone(store).await;
}

/// An episode with something in every field.
pub fn full_episode(project: &str) -> Episode {
    let mut e =
        completed(project, "Fix the übermäßige login\n\"quoted\" 日本語", OutcomeKind::Partial);
    e.task_type = "bugfix".into();
    e.context.domain = "web".into();
    e.context.language = "rust".into();
    e.context.framework = "axum".into();
    e.context.complexity = Some(Complexity::Moderate);
    e.context.tags = vec!["auth".into(), "p1".into()];
    e.steps = vec![
        Step {
            number: 1,
            tool: "bash".into(),
            action: "cargo test".into(),
            parameters: RawJson::parse("{\"z\":1,\"a\":[1.50,null,\"\\u0000\"],\"big\":1e400}")
                .unwrap(),
            observation: "error[E0382]: 'borrow'".into(),
            success: Some(false),
            error: Some("exit code 101".into()),
            latency_ms: Some(1234),
            tokens: Some(56),
            at: Some(Timestamp(NOW.0 + 5)),
        },
        Step { number: 2, action: "gave up".into(), ..Step::default() },
    ];
    e.outcome = Some(Outcome {
        kind: OutcomeKind::Partial,
        verdict: "half of it works".into(),
        at_step: Some(2),
    });
    e.reward = Some(Reward {
        score: 0.6806,
        source: RewardSource::Environment,
        components: [("tests".to_owned(), 0.1 + 0.2)].into(),
    });
    e.reflection.worked = vec!["reading the test first".into()];
    e.reflection.failed = vec!["guessing".into()];
    e.reflection.next_time = vec!["clone the handle".into()];
    e.metadata = [
        ("text".to_owned(), "välue \"x\" 'y'".into()),
        ("integer".to_owned(), i64::MAX.into()),
        ("real".to_owned(), memory_core::MetadataValue::Real(0.1 + 0.2)),
        ("boolean".to_owned(), memory_core::MetadataValue::Boolean(true)),
    ]
    .into();
    e.source = Some(Source {
        format: "tau-bench".into(),
        identity: "run 1, task 2".into(),
        digest: "00ff".into(),
    });
    e.archived_at = None;
    e
}

/// Everything that was saved comes back, to the last bit.
pub async fn saved_episode_reads_back_in_full<S: EpisodeStore>(store: &S) {
    let p = project("full");
    let e = full_episode(&p);
    let written = save(store, &e, 0).await.unwrap();
    assert_eq!((written.version, written.steps), (1, 2));
    assert_eq!(*get(store, &e).await.unwrap(), e);
    for (key, value) in &e.metadata {
        let metadata = Some(Condition::equals(key, value.clone()));
        let ids = listed(store, &p, Filter { metadata, ..Filter::default() }).await;
        assert_eq!(ids, [e.id], "metadata {key}");
    }

    let mut large = running(&p, "a large one");
    large.steps = vec![Step { observation: "x".repeat(900_000), ..super::step("cat big") }];
    save(store, &large, 0).await.unwrap();
    assert_eq!(*get(store, &large).await.unwrap(), large);
}

/// Sent again, at once or late, alone or in one batch with the first: one effect.
pub async fn same_write_id_is_one_write<S: EpisodeStore>(store: &S) {
    let p = project("replay");
    let mut e = running(&p, "replay the save");
    let first = Write::Save(save_of(&e, 0));
    let twice = store.write(vec![first.clone(), first.clone()]).await.unwrap();
    for result in twice {
        assert_eq!(result.unwrap().version, 1);
    }
    e.version = 2;
    e.task_description = "replay the save, later".into();
    let second = Write::Save(save_of(&e, 1));
    assert_eq!(write(store, second.clone()).await.unwrap().version, 2);
    // The first, late: it was applied once and changes nothing now. Told is what is stored now.
    assert_eq!(write(store, first).await.unwrap().version, 2);
    assert_eq!(write(store, second).await.unwrap().version, 2);
    assert_eq!(*get(store, &e).await.unwrap(), e);
    assert_eq!(store.counts(&only(&p)).await.unwrap().episodes["running"], 1);
}

/// Compare-and-set: the second writer learns the current version.
pub async fn one_of_two_writers_from_one_version_wins<S: EpisodeStore>(store: &S) {
    let e = running(&project("race"), "two writers");
    save(store, &e, 0).await.unwrap();
    let version =
        |task: &str, version| Episode { version, task_description: task.into(), ..e.clone() };
    let (left, right) = (version("left", 2), version("right", 5));
    let (left, right) = tokio::join!(save(store, &left, 1), save(store, &right, 1));
    let (winner, loser, task) =
        if left.is_ok() { (left, right, "left") } else { (right, left, "right") };
    let current = winner.unwrap().version;
    match loser.unwrap_err() {
        Error::Conflict { id, base: 1, current: told } => assert_eq!((id, told), (e.id, current)),
        other => panic!("expected a conflict, got {other}"),
    }
    assert_eq!(get(store, &e).await.unwrap().task_description, task);
}

/// Inserting what is there, updating what is not, and a version that does not rise.
pub async fn bases_that_do_not_hold_are_conflicts<S: EpisodeStore>(store: &S) {
    let p = project("bases");
    let mut e = running(&p, "bases");
    e.version = 4;
    let absent = save(store, &e, 3).await.unwrap_err();
    assert!(matches!(absent, Error::Conflict { base: 3, current: 0, .. }), "{absent}");
    assert!(get(store, &e).await.is_none());

    // An import keeps the version that the export had.
    assert_eq!(save(store, &e, 0).await.unwrap().version, 4);
    let again = save(store, &e, 0).await.unwrap_err();
    assert!(matches!(again, Error::Conflict { base: 0, current: 4, .. }), "{again}");
    let stale = save(store, &e, 4).await.unwrap_err();
    assert!(matches!(stale, Error::Invalid { .. }), "a version must rise: {stale}");
}

/// In order, each seeing the one before; a bad one fails alone.
pub async fn each_write_of_a_batch_has_its_own_result<S: EpisodeStore>(store: &S) {
    let p = project("batch");
    let one = running(&p, "first version");
    let two = Episode { version: 2, task_description: "second version".into(), ..one.clone() };
    let rival = Episode { version: 2, task_description: "rival".into(), ..one.clone() };
    let empty = running(&p, "  ");
    let last = running(&p, "after the bad ones");
    let results = store
        .write(vec![
            Write::Save(save_of(&one, 0)),
            Write::Save(save_of(&empty, 0)),
            Write::Save(save_of(&two, 1)),
            Write::Save(save_of(&rival, 1)),
            Write::Save(save_of(&last, 0)),
        ])
        .await
        .unwrap();
    assert_eq!(results.len(), 5);
    assert_eq!(results[0].as_ref().unwrap().version, 1);
    assert!(matches!(results[1], Err(Error::Invalid { .. })), "{:?}", results[1]);
    assert_eq!(results[2].as_ref().unwrap().version, 2);
    assert!(
        matches!(results[3], Err(Error::Conflict { base: 1, current: 2, .. })),
        "{:?}",
        results[3]
    );
    assert_eq!(results[4].as_ref().unwrap().version, 1);
    assert_eq!(get(store, &one).await.unwrap().task_description, "second version");
    assert!(get(store, &last).await.is_some());
    assert!(store.write(Vec::new()).await.unwrap().is_empty());
}

/// The scope holds on every read and write, and an answer does not tell what another project has.
pub async fn another_project_sees_and_changes_nothing<S: EpisodeStore>(store: &S) {
    let (own, other) = (project("own"), project("other"));
    let mut e = full_episode(&own);
    e.task_description = "the zeppelin hangar".into();
    save(store, &e, 0).await.unwrap();

    assert_eq!(store.get(&only(&other), &[e.id, e.id]).await.unwrap(), [None, None]);
    assert_eq!(store.get(&Scope::All, &[e.id]).await.unwrap()[0].as_deref(), Some(&e));
    assert!(listed(store, &other, Filter::default()).await.is_empty());
    assert!(found(store, &other, "zeppelin").await.is_empty());
    assert_eq!(found(store, &own, "zeppelin").await, [e.id]);
    assert_eq!(store.counts(&only(&other)).await.unwrap(), Default::default());

    for (base, version) in [(0, 1), (1, 2)] {
        let theft = Episode { project: other.clone(), version, ..e.clone() };
        let refused = save(store, &theft, base).await.unwrap_err();
        assert!(matches!(refused, Error::Conflict { current: 0, .. }), "{refused}");
    }
    let open = running(&own, "still open");
    save(store, &open, 0).await.unwrap();
    let stranger = Episode { project: other.clone(), ..open.clone() };
    let steps = Write::AppendSteps(super::steps_of(&stranger, &["ls"]));
    let refused = write(store, steps).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    assert_eq!(*get(store, &open).await.unwrap(), open);
    let stranger = Episode { project: other.clone(), ..e.clone() };
    let refused = write(store, Write::Forget(super::forget_of(&stranger))).await.unwrap_err();
    assert!(matches!(refused, Error::NotFound { .. }), "{refused}");
    assert_eq!(*get(store, &e).await.unwrap(), e);
}

/// Neither metadata nor words nor lessons nor the feed show anything of it.
pub async fn refused_save_leaves_no_trace<S: EpisodeStore>(store: &S) {
    let p = project("refused");
    let e = running(&p, "plain words");
    save(store, &e, 0).await.unwrap();
    let before = store.changes(None).await.unwrap().watermark;

    let mut rival = completed(&p, "xylophone words", OutcomeKind::Success);
    rival.id = e.id;
    rival.metadata.insert("colour".into(), "blue".into());
    let mut refused = save_of(&rival, 0);
    let lesson = Lesson::new(&p, LessonKind::Heuristic, "", "always", "tune it");
    refused.lessons = vec![(lesson, Evidence { episode: e.id, success: true, at: NOW })];
    write(store, Write::Save(refused)).await.unwrap_err();

    assert!(found(store, &p, "xylophone").await.is_empty());
    assert_eq!(found(store, &p, "plain words").await, [e.id]);
    let metadata = Some(Condition::equals("colour", "blue"));
    assert!(listed(store, &p, Filter { metadata, ..Filter::default() }).await.is_empty());
    let query = LessonQuery { scope: only(&p), episodes: vec![], kinds: vec![], limit: 10 };
    assert!(store.lessons(&query).await.unwrap().is_empty());
    let after = store.changes(Some(&before)).await.unwrap();
    assert!(after.entries.iter().all(|change| change.id != e.id), "{after:?}");
}

/// Words, metadata and state of the version before are gone.
pub async fn replaced_episode_is_found_by_its_new_words_alone<S: EpisodeStore>(store: &S) {
    let p = project("replace");
    let mut e = running(&p, "the giraffe enclosure");
    e.metadata.insert("phase".into(), 1.into());
    e.metadata.insert("kept".into(), 7.into());
    save(store, &e, 0).await.unwrap();
    e.task_description = "the walrus pool".into();
    e.metadata.remove("phase");
    e.version = 2;
    e.outcome = Some(Outcome::new(OutcomeKind::Success, "done"));
    save(store, &e, 1).await.unwrap();

    assert!(found(store, &p, "giraffe").await.is_empty());
    assert_eq!(found(store, &p, "walrus").await, [e.id]);
    let by = |key: &str, value: i64| Filter {
        metadata: Some(Condition::equals(key, value)),
        ..Filter::default()
    };
    assert!(listed(store, &p, by("phase", 1)).await.is_empty());
    assert_eq!(listed(store, &p, by("kept", 7)).await, [e.id]);
    let counts = store.counts(&only(&p)).await.unwrap();
    assert_eq!(counts.episodes, [("success".to_owned(), 1)].into());
}
