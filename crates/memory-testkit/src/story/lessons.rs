//! Lessons, their evidence, and feedback on them.

use memory_core::learning::{Evidence, Lesson, LessonKind, LessonStats, ScoredLesson};
use memory_core::store::{
    AppendSteps, Feedback, FeedbackVerdict, Filter, LessonQuery, LessonRecord, SearchQuery,
    Tombstone, Write,
};
use memory_core::{Episode, EpisodeId, EpisodeStore, Error, LessonId, OutcomeKind, Timestamp};

use super::{NOW, completed, forget_of, only, project, running, save_of, steps_of, write};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    evidence_of_many_episodes_merges(store).await;
    saved_again_an_episode_witnesses_what_it_says_now(store).await;
    the_last_word_counts(store).await;
    the_outcome_of_who_asked_counts_for_what_was_recalled(store).await;
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

/// What a recall returned rides on the steps of who asked; how that one ends counts, unless it says so
/// itself.
pub async fn the_outcome_of_who_asked_counts_for_what_was_recalled<S: EpisodeStore>(store: &S) {
    let p = project("attribution");
    let rule = lesson(&p, LessonKind::Heuristic, "look first");
    let source = completed(&p, "attribution", OutcomeKind::Success);
    put(store, &source, 0, vec![(rule.clone(), evidence(&source, true, 0))]).await;
    let subjects = vec![rule.id, LessonId::from_bytes(*source.id.as_bytes())];
    let stats = async || {
        let stats = all(store, &p).await[0].stats;
        (stats.recalled, stats.recalled_well)
    };
    let mut asked = Vec::new();
    for i in 0..3 {
        let e = running(&p, &format!("who asks {i}"));
        write(store, Write::Save(save_of(&e, 0))).await.unwrap();
        let unknown = LessonId::generate(NOW);
        let recalled = [subjects.clone(), vec![unknown]].concat();
        let append = AppendSteps { recalled, ..steps_of(&e, &["look"]) };
        for _ in 0..2 {
            write(store, Write::AppendSteps(append.clone())).await.unwrap();
        }
        asked.push(e);
    }
    assert_eq!(stats().await, (0, 0), "running episodes say nothing yet");
    for (e, kind) in asked.iter().zip([OutcomeKind::Success, OutcomeKind::Failure]) {
        let mut done = completed(&p, &e.task_description, kind);
        (done.id, done.version) = (e.id, 3);
        put(store, &done, 2, vec![]).await;
    }
    assert_eq!(stats().await, (2, 1));
    let search = SearchQuery {
        scope: only(&p),
        terms: memory_core::recall::text::query_terms("attribution"),
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit: 9,
    };
    let found = store.search(&search).await.unwrap();
    let hit = found.hits.iter().find(|hit| hit.id == source.id).unwrap();
    assert_eq!((hit.feedback.recalled, hit.feedback.recalled_well), (2, 1));

    // A word replaces it, and is not replaced by it.
    let word = |verdict, after| Feedback {
        subject: rule.id,
        by: asked[1].id,
        project: p.clone(),
        verdict,
        at: Timestamp(NOW.0 + after),
    };
    for (verdict, after) in [(FeedbackVerdict::Helped, -9), (FeedbackVerdict::Recalled, 9)] {
        write(store, Write::Feedback(word(verdict, after))).await.unwrap();
    }
    assert_eq!(stats().await, (1, 1));
    assert_eq!(all(store, &p).await[0].stats.helped, 1);
    assert_eq!(store.counts(&only(&p)).await.unwrap().feedback, 1, "words alone");
    // Forgotten, it counts no more.
    write(store, Write::Forget(forget_of(&asked[0]))).await.unwrap();
    assert_eq!(stats().await, (0, 0));
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
