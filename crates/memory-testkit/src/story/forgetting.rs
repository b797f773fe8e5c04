//! Forgetting, and tombstones.

use memory_core::learning::{Evidence, Lesson, LessonKind};
use memory_core::record::RecordKind;
use memory_core::store::{
    Feedback, FeedbackVerdict, Filter, LessonQuery, Relation, RelationKind, ScanQuery, Tombstone,
    Write,
};
use memory_core::{
    Condition, Episode, EpisodeId, EpisodeStore, Error, LessonId, OutcomeKind, Timestamp,
};

use super::{
    NOW, completed, forget_of, found, get, listed, only, project, running, save, save_of, steps_of,
    write,
};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    forgotten_episode_is_gone_everywhere(store).await;
    forgotten_episode_never_comes_back(store).await;
    lessons_outlive_one_of_several_witnesses(store).await;
    exported_tombstone_forgets_what_it_knew(store).await;
}

async fn lessons<S: EpisodeStore>(store: &S, project: &str) -> Vec<(LessonId, u64)> {
    let query = LessonQuery { scope: only(project), episodes: vec![], kinds: vec![], limit: 10 };
    let lessons = store.lessons(&query).await.unwrap();
    lessons.iter().map(|l| (l.lesson.id, l.stats.uses)).collect()
}

fn rule(project: &str, action: &str) -> Lesson {
    Lesson::new(project, LessonKind::Heuristic, "", "when it breaks", action)
}

async fn save_with<S: EpisodeStore>(store: &S, episode: &Episode, lessons: &[&Lesson]) {
    let mut save = save_of(episode, 0);
    let evidence = |success| Evidence { episode: episode.id, success, at: NOW };
    save.lessons = lessons.iter().map(|l| ((*l).clone(), evidence(true))).collect();
    write(store, Write::Save(save)).await.unwrap();
}

fn word(project: &str, subject: [u8; 16], by: EpisodeId) -> Write {
    Write::Feedback(Feedback {
        subject: LessonId::from_bytes(subject),
        by,
        project: project.into(),
        verdict: FeedbackVerdict::Helped,
        at: NOW,
    })
}

/// Rows, words, metadata, evidence, feedback, relations: nothing of it is found again.
pub async fn forgotten_episode_is_gone_everywhere<S: EpisodeStore>(store: &S) {
    let p = project("forget");
    let rule = rule(&p, "turn it off and on");
    let mut gone = running(&p, "the platypus burrow");
    gone.metadata.insert("animal".into(), "platypus".into());
    let stays = completed(&p, "the otter holt", OutcomeKind::Success);
    save_with(store, &gone, &[&rule]).await;
    save_with(store, &stays, &[]).await;
    write(store, Write::AppendSteps(steps_of(&gone, &["dig"]))).await.unwrap();
    let relate = |from: &Episode, to: &Episode| {
        Write::Relate(Relation {
            project: p.clone(),
            from: from.id,
            relation: RelationKind::Related,
            to: to.id,
            at: NOW,
        })
    };
    write(store, relate(&gone, &stays)).await.unwrap();
    write(store, relate(&stays, &gone)).await.unwrap();
    write(store, word(&p, *gone.id.as_bytes(), stays.id)).await.unwrap();
    write(store, word(&p, *rule.id.as_bytes(), gone.id)).await.unwrap();
    let before = store.changes(None).await.unwrap().watermark;

    assert_eq!(write(store, Write::Forget(forget_of(&gone))).await.unwrap().version, 2);

    assert!(get(store, &gone).await.is_none());
    assert_eq!(listed(store, &p, Filter::default()).await, [stays.id]);
    assert!(found(store, &p, "platypus burrow").await.is_empty());
    let metadata = Some(Condition::equals("animal", "platypus"));
    assert!(listed(store, &p, Filter { metadata, ..Filter::default() }).await.is_empty());
    assert!(lessons(store, &p).await.is_empty(), "its lesson had no other witness");
    let counts = store.counts(&only(&p)).await.unwrap();
    assert_eq!((counts.feedback, counts.relations, counts.tombstones), (0, 0, 1));
    assert_eq!(counts.episodes, [("success".to_owned(), 1)].into());
    let changes = store.changes(Some(&before)).await.unwrap();
    let told = changes.entries.iter().find(|change| change.id == gone.id).unwrap();
    assert_eq!(told.version, None);
    assert_eq!(*get(store, &stays).await.unwrap(), stays);
}

/// Neither a late retry nor a new write brings it back; forgetting again is harmless.
pub async fn forgotten_episode_never_comes_back<S: EpisodeStore>(store: &S) {
    let p = project("gone");
    let mut e = running(&p, "the dodo nest");
    let old = Write::Save(save_of(&e, 0));
    write(store, old.clone()).await.unwrap();
    let forget = Write::Forget(forget_of(&e));
    write(store, forget.clone()).await.unwrap();
    assert_eq!(write(store, forget).await.unwrap().version, 1);

    e.version = 2;
    for late in [old, Write::Save(save_of(&e, 0)), Write::Save(save_of(&e, 1))] {
        let error = write(store, late).await.unwrap_err();
        assert!(matches!(error, Error::Forgotten { id } if id == e.id), "{error}");
    }
    assert!(get(store, &e).await.is_none());
    assert!(found(store, &p, "dodo").await.is_empty());
    let unknown = write(store, Write::Forget(forget_of(&running(&p, "x")))).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound { .. }), "{unknown}");
}

/// A lesson goes with its last witness, whoever gave feedback on it: what it says comes from there.
pub async fn lessons_outlive_one_of_several_witnesses<S: EpisodeStore>(store: &S) {
    let p = project("witness");
    let (shared, own, judged) = (rule(&p, "shared"), rule(&p, "own"), rule(&p, "judged"));
    let one = completed(&p, "one", OutcomeKind::Success);
    let two = completed(&p, "two", OutcomeKind::Failure);
    save_with(store, &one, &[&shared, &own, &judged]).await;
    save_with(store, &two, &[&shared]).await;
    write(store, word(&p, *judged.id.as_bytes(), two.id)).await.unwrap();
    write(store, Write::Forget(forget_of(&one))).await.unwrap();
    assert_eq!(lessons(store, &p).await, [(shared.id, 1)]);
    assert_eq!(store.counts(&only(&p)).await.unwrap().feedback, 0);
    write(store, Write::Forget(forget_of(&two))).await.unwrap();
    assert!(lessons(store, &p).await.is_empty());
}

/// What had the same version or an older one goes; what went on stays.
pub async fn exported_tombstone_forgets_what_it_knew<S: EpisodeStore>(store: &S) {
    let p = project("tombstone");
    let tombstone = |id, version| {
        Write::PutTombstone(Tombstone { id, project: p.clone(), version, at: Timestamp(NOW.0 + 7) })
    };
    let absent = running(&p, "never here");
    write(store, tombstone(absent.id, 3)).await.unwrap();
    write(store, tombstone(absent.id, 3)).await.unwrap();
    let error = save(store, &absent, 0).await.unwrap_err();
    assert!(matches!(error, Error::Forgotten { .. }), "{error}");

    let same = running(&p, "the quagga stable");
    save(store, &same, 0).await.unwrap();
    write(store, tombstone(same.id, 1)).await.unwrap();
    assert!(get(store, &same).await.is_none());
    assert!(found(store, &p, "quagga").await.is_empty());

    let mut further = running(&p, "went on");
    further.version = 4;
    save(store, &further, 0).await.unwrap();
    let error = write(store, tombstone(further.id, 3)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { base: 3, current: 4, .. }), "{error}");
    assert_eq!(*get(store, &further).await.unwrap(), further);

    let query = ScanQuery { scope: only(&p), kind: RecordKind::Tombstone, after: None, limit: 10 };
    assert_eq!(store.scan(&query).await.unwrap().records.len(), 2);
}
