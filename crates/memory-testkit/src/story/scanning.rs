//! Reading everything, and writing it into another store.

use memory_core::learning::{Evidence, Lesson, LessonKind};
use memory_core::record::{Record, RecordKind};
use memory_core::store::{
    Feedback, FeedbackVerdict, Relation, RelationKind, Save, ScanQuery, Scope, Write,
};
use memory_core::{EpisodeStore, Error, OutcomeKind, Timestamp};

use super::{
    NOW, completed, forget_of, only, project, running, save, save_of, steps_of, write, write_id,
};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    pages_hold_every_record_once_in_order(store).await;
}

/// Something of every kind; returns the project.
pub async fn populate<S: EpisodeStore>(store: &S) -> String {
    let p = project("scan");
    let episodes: Vec<_> =
        (0..6).map(|i| completed(&p, &format!("task {i}"), OutcomeKind::Success)).collect();
    for (i, e) in (0..).zip(&episodes) {
        let mut save = save_of(e, 0);
        let evidence = Evidence { episode: e.id, success: i % 2 == 0, at: Timestamp(NOW.0 + i) };
        for kind in [LessonKind::Heuristic, LessonKind::ToolSequence, LessonKind::DecisionPoint] {
            for n in 0..2 {
                let lesson = Lesson::new(&p, kind, "", "when", format!("do {n}"));
                save.lessons.push((lesson, evidence.clone()));
            }
        }
        write(store, Write::Save(save)).await.unwrap();
    }
    let open = running(&p, "still open");
    save(store, &open, 0).await.unwrap();
    write(store, Write::AppendSteps(steps_of(&open, &["one", "two"]))).await.unwrap();
    let rule = Lesson::new(&p, LessonKind::Heuristic, "", "when", "do 0");
    for (verdict, e) in [FeedbackVerdict::Helped, FeedbackVerdict::Wrong].into_iter().zip(&episodes)
    {
        let word = Feedback { subject: rule.id, by: e.id, project: p.clone(), verdict, at: NOW };
        write(store, Write::Feedback(word)).await.unwrap();
    }
    for relation in [RelationKind::Follows, RelationKind::Related, RelationKind::Duplicates] {
        let (from, to) = (episodes[1].id, episodes[0].id);
        let relation = Relation { project: p.clone(), from, relation, to, at: NOW };
        write(store, Write::Relate(relation)).await.unwrap();
    }
    for task in ["gone", "gone too"] {
        let gone = running(&p, task);
        save(store, &gone, 0).await.unwrap();
        write(store, Write::Forget(forget_of(&gone))).await.unwrap();
    }
    p
}

/// Everything of a scope as lines, read in pages of `limit`.
pub async fn export<S: EpisodeStore>(store: &S, scope: &Scope, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in RecordKind::ALL {
        let mut query = ScanQuery { scope: scope.clone(), kind, after: None, limit };
        loop {
            let page = store.scan(&query).await.unwrap();
            assert!(page.records.len() <= limit);
            lines.extend(page.records.iter().map(|record| record.to_line().unwrap()));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    lines
}

/// Writes exported lines into a store.
pub async fn import<S: EpisodeStore>(store: &S, lines: &[String]) {
    for line in lines {
        let record = match Record::parse(line).unwrap() {
            Record::Episode(episode) => Write::Save(Save {
                episode: (*episode).into(),
                base: 0,
                write_id: write_id(),
                lessons: Vec::new(),
            }),
            Record::Pattern(record) | Record::Heuristic(record) => Write::PutLesson(record),
            Record::Feedback(feedback) => Write::Feedback(feedback),
            Record::Relation(relation) => Write::Relate(relation),
            Record::Tombstone(tombstone) => Write::PutTombstone(tombstone),
        };
        write(store, record).await.unwrap();
    }
}

/// Whatever the size of the page.
pub async fn pages_hold_every_record_once_in_order<S: EpisodeStore>(store: &S) {
    let p = populate(store).await;
    let whole = export(store, &only(&p), 1000).await;
    // Episodes and the open one, patterns, heuristics, feedback, relations, tombstones.
    assert_eq!(whole.len(), 7 + 4 + 2 + 2 + 3 + 2);
    for limit in [1, 2, 3, 7] {
        assert_eq!(export(store, &only(&p), limit).await, whole, "pages of {limit}");
    }
    let all = export(store, &Scope::All, 3).await;
    assert_eq!(whole.iter().filter(|line| all.contains(line)).count(), whole.len());
    let bad = ScanQuery {
        scope: only(&p),
        kind: RecordKind::Relation,
        after: Some("00.zz".into()),
        limit: 1,
    };
    assert!(matches!(store.scan(&bad).await.unwrap_err(), Error::Invalid { .. }));
}
