//! Lessons, their evidence, and feedback on them.

use memory_core::learning::{Evidence, Lesson, LessonKind, LessonStats, ScoredLesson};
use memory_core::store::{Feedback, FeedbackVerdict, LessonQuery, LessonRecord, Tombstone, Write};
use memory_core::{Episode, EpisodeId, EpisodeStore, Error, LessonId, OutcomeKind, Timestamp};

use super::{NOW, completed, only, project, save_of, write};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    evidence_of_many_episodes_merges(store).await;
    saved_again_an_episode_witnesses_what_it_says_now(store).await;
    the_last_word_counts(store).await;
    exported_lesson_merges_with_what_is_there(store).await;
}

fn lesson(project: &str, kind: LessonKind, action: &str) -> Lesson {
    Lesson::new(project, kind, "bugfix", "a test 'fails'\n{\"x\":1}", action)
}

fn evidence(episode: &Episode, success: bool, after: i64) -> Evidence {
    Evidence { episode: episode.id, success, at: Timestamp(NOW.0 + after) }
}

async fn put<S: EpisodeStore>(
    store: &S,
    episode: &Episode,
    base: u64,
    lessons: Vec<(Lesson, Evidence)>,
) {
    let mut save = save_of(episode, base);
    save.lessons = lessons;
    write(store, Write::Save(save)).await.unwrap();
}

async fn all<S: EpisodeStore>(store: &S, project: &str) -> Vec<ScoredLesson> {
    let query = LessonQuery { scope: only(project), episodes: vec![], kinds: vec![], limit: 100 };
    store.lessons(&query).await.unwrap()
}

/// Uses, successes and the last time come from the evidence, once per episode.
pub async fn evidence_of_many_episodes_merges<S: EpisodeStore>(store: &S) {
    let p = project("merge");
    let shared = lesson(&p, LessonKind::ErrorRecovery, "read the message");
    let rare = lesson(&p, LessonKind::Heuristic, "run one test");
    let episodes: Vec<_> =
        (0..7).map(|i| completed(&p, &format!("task {i}"), OutcomeKind::Success)).collect();
    for (i, e) in (0..).zip(&episodes) {
        let mut lessons = vec![(shared.clone(), evidence(e, i % 3 == 0, i))];
        if i == 2 {
            lessons.push((rare.clone(), evidence(e, true, i)));
        }
        put(store, e, 0, lessons).await;
    }
    let found = all(store, &p).await;
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0].lesson, &found[1].lesson), (&shared, &rare), "most evidence first");
    let expected = LessonStats {
        uses: 7,
        successes: 3,
        last_seen: Timestamp(NOW.0 + 6),
        ..LessonStats::default()
    };
    assert_eq!(found[0].stats, expected);
    // Of 0, 3 and 6, which went well, the latest first, then the latest of the others.
    let best: Vec<_> = [6, 3, 0, 5, 4, 2, 1].map(|i: usize| episodes[i].id).into();
    let shown = found[0].evidence.len();
    assert_eq!(found[0].evidence, best[..shown]);
    assert!((3..=10).contains(&shown), "a handful of examples");

    let query = LessonQuery {
        scope: only(&p),
        episodes: vec![episodes[2].id, episodes[3].id],
        kinds: vec![LessonKind::Heuristic, LessonKind::ToolSequence],
        limit: 10,
    };
    let found = store.lessons(&query).await.unwrap();
    assert_eq!(found.iter().map(|l| l.lesson.id).collect::<Vec<_>>(), [rare.id]);
    let elsewhere = LessonQuery { scope: only(&project("elsewhere")), ..query };
    assert!(store.lessons(&elsewhere).await.unwrap().is_empty());
    let counts = store.counts(&only(&p)).await.unwrap();
    assert_eq!((counts.patterns, counts.heuristics), (1, 1));
}

/// Replaced evidence, dropped lessons, and a replay that doubles nothing.
pub async fn saved_again_an_episode_witnesses_what_it_says_now<S: EpisodeStore>(store: &S) {
    let p = project("revise");
    let (kept, dropped, added) = (
        lesson(&p, LessonKind::Heuristic, "kept"),
        lesson(&p, LessonKind::Heuristic, "dropped"),
        lesson(&p, LessonKind::Heuristic, "added"),
    );
    let mut e = completed(&p, "revise", OutcomeKind::Success);
    let first = vec![(kept.clone(), evidence(&e, true, 0)), (dropped, evidence(&e, true, 0))];
    put(store, &e, 0, first).await;
    e.version = 2;
    let mut save = save_of(&e, 1);
    save.lessons =
        vec![(kept.clone(), evidence(&e, false, 5)), (added.clone(), evidence(&e, true, 5))];
    for _ in 0..2 {
        write(store, Write::Save(save.clone())).await.unwrap();
    }
    let mut found = all(store, &p).await;
    found.sort_by_key(|l| l.lesson.action.clone());
    let told: Vec<_> =
        found.iter().map(|l| (l.lesson.id, l.stats.uses, l.stats.successes)).collect();
    assert_eq!(told, [(added.id, 1, 1), (kept.id, 1, 0)]);
}

/// One word per episode and subject; an older one that comes late changes nothing.
pub async fn the_last_word_counts<S: EpisodeStore>(store: &S) {
    let p = project("feedback");
    let rule = lesson(&p, LessonKind::Heuristic, "ask first");
    let e = completed(&p, "feedback", OutcomeKind::Success);
    put(store, &e, 0, vec![(rule.clone(), evidence(&e, true, 0))]).await;
    let word = |subject, by: EpisodeId, verdict, after: i64| {
        Write::Feedback(Feedback {
            subject,
            by,
            project: p.clone(),
            verdict,
            at: Timestamp(NOW.0 + after),
        })
    };
    let other = EpisodeId::generate(NOW);
    for (by, verdict, after) in [
        (e.id, FeedbackVerdict::Helped, 10),
        (e.id, FeedbackVerdict::Helped, 10),
        (e.id, FeedbackVerdict::Wrong, 20),
        (e.id, FeedbackVerdict::DidNotHelp, 15),
        (other, FeedbackVerdict::DidNotHelp, 1),
    ] {
        write(store, word(rule.id, by, verdict, after)).await.unwrap();
    }
    let stats = all(store, &p).await[0].stats;
    assert_eq!((stats.helped, stats.did_not_help, stats.wrong), (0, 1, 1));

    // About an episode works the same way; about nothing, or from another project, it is refused.
    let about_episode = LessonId::from_bytes(*e.id.as_bytes());
    write(store, word(about_episode, other, FeedbackVerdict::Helped, 1)).await.unwrap();
    assert_eq!(store.counts(&only(&p)).await.unwrap().feedback, 3);
    let unknown = LessonId::generate(NOW);
    let error = write(store, word(unknown, e.id, FeedbackVerdict::Helped, 1)).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let stranger = Write::Feedback(Feedback {
        subject: rule.id,
        by: e.id,
        project: project("stranger"),
        verdict: FeedbackVerdict::Wrong,
        at: Timestamp(NOW.0 + 99),
    });
    let error = write(store, stranger).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(all(store, &p).await[0].stats, stats);
}

/// Twice is once; evidence of a forgotten episode is left out.
pub async fn exported_lesson_merges_with_what_is_there<S: EpisodeStore>(store: &S) {
    let p = project("put-lesson");
    let rule = lesson(&p, LessonKind::ContextPattern, "mind the locale");
    let (here, absent, gone) = (
        completed(&p, "here", OutcomeKind::Success),
        completed(&p, "not imported yet", OutcomeKind::Success),
        completed(&p, "forgotten", OutcomeKind::Success),
    );
    put(store, &here, 0, vec![(rule.clone(), evidence(&here, true, 0))]).await;
    let tombstone =
        Tombstone { id: gone.id, project: p.clone(), version: 1, at: Timestamp(NOW.0 + 1) };
    write(store, Write::PutTombstone(tombstone)).await.unwrap();
    let record = LessonRecord {
        lesson: rule.clone(),
        evidence: vec![
            evidence(&here, false, 1),
            evidence(&absent, false, 2),
            evidence(&gone, true, 3),
        ],
    };
    for _ in 0..2 {
        write(store, Write::PutLesson(record.clone())).await.unwrap();
    }
    let stats = all(store, &p).await[0].stats;
    assert_eq!((stats.uses, stats.successes), (2, 1), "what was there stays: {stats:?}");

    // The episode arrives after its evidence.
    put(store, &absent, 0, vec![]).await;
    assert_eq!(all(store, &p).await[0].stats.uses, 2);
}
