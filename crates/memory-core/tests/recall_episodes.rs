//! Recall on a handful of episodes: order, both sides, duplicates, budget, when there is nothing.
#![expect(clippy::indexing_slicing, reason = "tests")]

mod support;

use memory_core::learning::{Lesson, LessonKind, LessonStats, ScoredLesson};
use memory_core::recall::{FeedbackCounts, RecallLesson};
use memory_core::{
    Episode, EpisodeId, Outcome, OutcomeKind, Reward, RewardSource, Step, Timestamp,
};
use support::{Index, NOW};

const DAY: i64 = 86_400_000_000;

fn run(name: &str, task: &str, kind: OutcomeKind, actions: &[&str]) -> Episode {
    let started = Timestamp(NOW.0 - 10 * DAY);
    let mut e = Episode::start(EpisodeId::derive(&[name.as_bytes()]), "default", task, started);
    e.steps = actions
        .iter()
        .map(|action| Step { tool: "bash".into(), action: (*action).into(), ..Step::default() })
        .collect();
    e.outcome = Some(Outcome::new(kind, ""));
    e.ended_at = Some(started);
    e
}

fn rewarded(mut e: Episode, score: f64) -> Episode {
    let components = Default::default();
    e.reward = Some(Reward { score, source: RewardSource::Environment, components });
    e
}

/// Work that has nothing to do with the tests' tasks.
fn with_background(episodes: impl IntoIterator<Item = Episode>) -> Index {
    let mut index = Index::default();
    for (i, task) in [
        "Add a dark theme to the settings page",
        "Upgrade the database driver and run the migrations",
        "Write a script that renames photos by date",
        "Explain why the build is slow on the server",
        "Add pagination to the orders endpoint",
        "Translate the invoice template to German",
        "Set up nightly backups of the wiki",
        "Remove the unused feature flags",
    ]
    .into_iter()
    .enumerate()
    {
        index.add(run(&format!("background {i}"), task, OutcomeKind::Success, &["make"]));
    }
    episodes.into_iter().for_each(|e| index.add(e));
    index
}

fn states(index: &Index, task: &str) -> Vec<String> {
    let (_, recall) = index.recall(task, 2000, &[], &|_| true);
    recall.items.into_iter().map(|item| item.outcome).collect()
}

const TASK: &str = "Fix the flaky login test in auth/session_test.py";

#[test]
fn runs_of_one_task_are_ordered_by_what_they_achieved() {
    for reversed in [false, true] {
        let mut runs = vec![
            run("a", TASK, OutcomeKind::Abandoned, &["a"]),
            run("b", TASK, OutcomeKind::Unjudged, &["b"]),
            run("c", TASK, OutcomeKind::Failure, &["c"]),
            rewarded(run("d", TASK, OutcomeKind::Partial, &["d"]), 0.3),
            rewarded(run("e", TASK, OutcomeKind::Partial, &["e"]), 0.9),
            run("f", TASK, OutcomeKind::Success, &["f"]),
        ];
        if reversed {
            runs.reverse();
        }
        let index = with_background(runs);
        let (_, recall) = index.recall(TASK, 2000, &[], &|_| true);
        let order: Vec<&str> = recall.items.iter().map(|item| item.done[0].as_str()).collect();
        assert_eq!(order, ["f", "e", "d"], "both sides, the best of each first");
        // Without what is better, the rest follows in its order.
        let (_, recall) = index.recall(TASK, 2000, &[], &|e| e.steps[0].action.as_str() < "d");
        let order: Vec<&str> = recall.items.iter().map(|item| item.done[0].as_str()).collect();
        assert_eq!(order, ["c", "b"]);
    }
}

#[test]
fn the_same_task_comes_before_a_similar_one_that_went_better() {
    let index = with_background([
        run("a", TASK, OutcomeKind::Failure, &["rerun until green"]),
        run("b", "Fix the flaky logout test in auth/session_test.py", OutcomeKind::Success, &["x"]),
    ]);
    assert_eq!(states(&index, TASK), ["failure", "success"]);
}

#[test]
fn a_task_in_other_words_is_found() {
    let index = with_background([run("a", TASK, OutcomeKind::Success, &["freeze the clock"])]);
    for query in [
        "flaky login test",
        "repair the flaky sign-in tests of auth",
        "session_test.py fails",
        "auth/session_test.py",
    ] {
        let (_, recall) = index.recall(query, 2000, &[], &|_| true);
        assert_eq!(
            recall.items.first().map(|i| i.done[0].as_str()),
            Some("freeze the clock"),
            "{query}"
        );
    }
}

#[test]
fn what_only_the_steps_say_is_found_by_name() {
    let mut episode = run("a", "Make the nightly job work again", OutcomeKind::Success, &["retry"]);
    episode.steps[0].error = Some("ECONNREFUSED from cache.internal:6379".into());
    let index = with_background([episode]);
    let (_, recall) = index.recall("ECONNREFUSED", 2000, &[], &|_| true);
    assert_eq!(recall.items.len(), 1);
    assert!(recall.items[0].why.contains("econnrefused"), "{}", recall.items[0].why);
}

#[test]
fn unrelated_and_common_words_recall_nothing() {
    let index = with_background([run("a", TASK, OutcomeKind::Success, &["x"])]);
    for query in [
        "bake a chocolate cake",
        "add the sourdough to the oven",
        "Write a poem about the sea",
        "zyxwv qwrtp",
        "?!",
    ] {
        let (_, recall) = index.recall(query, 2000, &[], &|_| true);
        assert!(recall.items.is_empty(), "{query}: {}", recall.to_text());
        assert!(recall.nothing_relevant.is_some());
    }
}

#[test]
fn results_after_the_best_are_a_line_each() {
    let long = format!("look around {}", "and around ".repeat(40));
    let other = "Fix the flaky logout test in auth/session_test.py";
    let index = with_background([
        run("a", TASK, OutcomeKind::Success, &["rerun", "freeze the clock"]),
        run("b", TASK, OutcomeKind::Failure, &[&long, "sleep longer"]),
        run("c", other, OutcomeKind::Success, &[&long, &long]),
    ]);
    let (_, recall) = index.recall(TASK, 2000, &[], &|_| true);
    let [best, failed, similar] = &recall.items[..] else { panic!("{recall:?}") };
    assert_eq!(best.done, ["rerun", "freeze the clock"]);
    assert_eq!((failed.task.as_str(), failed.done.len()), ("", 1));
    // What to do instead, at most, in one line.
    assert!(failed.lessons.len() <= 1 && similar.lessons.is_empty());
    assert!(failed.lessons.iter().all(|line| line.chars().count() <= 101));
    assert_eq!((similar.task.as_str(), similar.done.len()), (other, 1));
    assert!(similar.done[0].chars().count() <= 100 && similar.why.starts_with("covers "));
}

#[test]
fn a_run_from_the_time_that_the_query_speaks_of_comes_first() {
    let at = |name: &str, days_ago: i64| {
        let mut e = run(name, "Deploy the shop", OutcomeKind::Success, &[name]);
        e.started_at = Timestamp(NOW.0 - days_ago * DAY);
        e.ended_at = Some(e.started_at);
        e
    };
    // The later one is better in every other respect.
    let index = with_background([at("of last week", 7), rewarded(at("of today", 0), 1.0)]);
    let first = |task: &str| {
        let (_, recall) = index.recall(task, 2000, &[], &|_| true);
        recall.items.first().map(|item| (item.done[0].clone(), item.why.clone())).unwrap()
    };
    assert_eq!(first("deploy the shop").0, "of today");
    let (done, why) = first("How did we deploy the shop last week?");
    assert_eq!(done, "of last week");
    assert!(why.contains("from the time asked for: last week"), "{why}");
    // A time that nothing is from changes nothing.
    let (done, why) = first("deploy the shop before 1999-05");
    assert!(done == "of today" && !why.contains("asked for"), "{why}");
}

#[test]
fn equal_runs_are_one_result_with_a_count() {
    let index = with_background((0..5).map(|i| {
        run(&format!("same {i}"), TASK, OutcomeKind::Success, &["edit", "pytest  -k login"])
    }));
    let (_, recall) = index.recall(TASK, 2000, &[], &|_| true);
    assert_eq!((recall.items.len(), recall.items[0].alike), (1, 4));
}

#[test]
fn running_episodes_come_back_only_when_asked_for() {
    let mut running = run("a", TASK, OutcomeKind::Success, &["x"]);
    running.outcome = None;
    let index = with_background([running]);
    assert!(states(&index, TASK).is_empty());
    let mut query = memory_core::recall::RecallQuery::new(TASK, memory_core::store::Scope::All);
    query.filter.states = vec!["running".into()];
    assert_eq!(index.rank(&query, &|e| e.is_running()).results.len(), 1);
}

#[test]
fn feedback_moves_runs_and_wrong_ones_do_not_come_back() {
    let mut index = with_background([
        run("a", TASK, OutcomeKind::Success, &["first"]),
        run("b", TASK, OutcomeKind::Success, &["second"]),
    ]);
    let id = |name: &str| EpisodeId::derive(&[name.as_bytes()]);
    let first = |index: &Index| {
        index.recall(TASK, 2000, &[], &|_| true).1.items.first().map(|item| item.done[0].clone())
    };
    let before = first(&index).unwrap();
    let (ahead, behind) = if before == "first" { ("a", "b") } else { ("b", "a") };
    index.feedback.insert(id(behind), FeedbackCounts { helped: 3, ..Default::default() });
    assert_ne!(first(&index).unwrap(), before);
    index.feedback.insert(id(behind), FeedbackCounts { wrong: 1, ..Default::default() });
    assert_eq!(first(&index).unwrap(), before);
    index.feedback.insert(id(ahead), FeedbackCounts { wrong: 1, ..Default::default() });
    assert_eq!(first(&index), None);
}

#[test]
fn the_solving_action_is_shown_word_for_word_when_it_fits() {
    let solution = "python - <<'EOF'\nfor i in range(10):\n    print(i,  'x')\nEOF";
    let long: Vec<String> =
        (0..30).map(|i| format!("look at file {i} {}", "x ".repeat(200))).collect();
    let mut actions: Vec<&str> = long.iter().map(String::as_str).collect();
    actions.push(solution);
    let index = with_background([run("a", TASK, OutcomeKind::Success, &actions)]);
    for budget in [150, 200, 500, 2000] {
        let (_, recall) = index.recall(TASK, budget, &[], &|_| true);
        assert!(recall.items[0].done.contains(&solution.to_owned()), "{}", recall.to_json());
        assert!(recall.tokens <= budget);
    }
}

#[test]
fn an_action_too_long_for_the_budget_is_shortened_visibly() {
    let huge = "word ".repeat(20_000);
    let index = with_background([run("a", TASK, OutcomeKind::Success, &[&huge])]);
    let (_, recall) = index.recall(TASK, 300, &[], &|_| true);
    assert!(recall.items[0].done[0].ends_with('…') && recall.tokens <= 300);
}

fn lesson(index: &Index, place: usize, action: &str, stats: LessonStats) -> ScoredLesson {
    let lesson =
        Lesson::new("default", LessonKind::Heuristic, "", format!("when {action}"), action);
    ScoredLesson { lesson, stats, evidence: vec![index.episodes[place].id] }
}

#[test]
fn lessons_come_back_with_what_they_are_drawn_from_unless_they_are_wrong() {
    let mut index = Index::default();
    let stats = LessonStats { uses: 9, successes: 9, last_seen: NOW, ..Default::default() };
    let mut episode = run("a", TASK, OutcomeKind::Success, &["x"]);
    episode.id = EpisodeId::derive(&[b"a"]);
    index.add(episode.clone());
    let good = lesson(&index, 0, "freeze the clock", stats);
    let wrong = lesson(&index, 0, "sleep longer", LessonStats { wrong: 1, ..stats });
    let foreign = lesson(&index, 0, "not of this episode", stats);
    let mut index = Index::default();
    episode.lessons = vec![good.lesson.id, wrong.lesson.id];
    index.add(episode);
    let (_, recall) = index.recall(TASK, 1000, &[good.clone(), wrong, foreign], &|_| true);
    let [only] = &recall.lessons[..] else { panic!("{recall:?}") };
    assert_eq!((only.action.as_str(), only.worked.as_str()), ("freeze the clock", "9 of 9"));
    assert_eq!(only.evidence, good.evidence);
}

/// The lessons that come with a recall of the task, when its run is evidence for all of these.
fn recalled_lessons(lessons: &[(LessonKind, &str, &str, LessonStats)]) -> Vec<RecallLesson> {
    let scored: Vec<ScoredLesson> = lessons
        .iter()
        .map(|(kind, condition, action, stats)| ScoredLesson {
            lesson: Lesson::new("default", *kind, "", *condition, *action),
            stats: *stats,
            evidence: vec![EpisodeId::derive(&[b"a"])],
        })
        .collect();
    let mut episode = run("a", TASK, OutcomeKind::Failure, &["x"]);
    episode.lessons = scored.iter().map(|scored| scored.lesson.id).collect();
    let mut index = Index::default();
    index.add(episode);
    index.recall(TASK, 2000, &scored, &|_| true).1.lessons
}

fn stats(uses: u64, successes: u64, days_ago: i64) -> LessonStats {
    let last_seen = Timestamp(NOW.0 - days_ago * DAY);
    LessonStats { uses, successes, last_seen, ..LessonStats::default() }
}

#[test]
fn calls_of_the_task_are_told_by_how_the_runs_that_made_them_ended() {
    let recalled = recalled_lessons(&[
        (LessonKind::TaskAction, TASK, "set(clock=real)", stats(2, 0, 0)),
        (LessonKind::TaskAction, TASK, "set(clock=frozen)", stats(3, 3, 0)),
        (LessonKind::TaskAction, TASK, "end without changing anything", stats(1, 0, 0)),
    ]);
    let [frozen, real, nothing] = &recalled[..] else { panic!("{recalled:?}") };
    assert_eq!((frozen.when.as_str(), frozen.action.as_str()), ("this task", "set(clock=frozen)"));
    assert_eq!((frozen.worked.as_str(), frozen.contradicts), ("3 of 3", None));
    assert_eq!((real.failed_with.as_str(), real.worked.as_str()), ("set(clock=real)", "0 of 2"));
    assert_eq!((real.action.as_str(), real.contradicts), ("", Some(frozen.id)));
    assert_eq!(nothing.failed_with, "end without changing anything");
    assert!(frozen.advice() == "set(clock=frozen)" && real.advice().starts_with("no run did well"));
}

#[test]
fn a_superseded_lesson_is_not_returned_and_contradictory_ones_are_marked() {
    let error = "\"no such host\"";
    let answer = |old: LessonStats, new: LessonStats| {
        let recalled = recalled_lessons(&[
            (LessonKind::Heuristic, error, "edit the hosts file", old),
            (LessonKind::Heuristic, error, "restart the resolver", new),
        ]);
        let told = recalled.iter().map(|l| (l.action.clone(), l.contradicts.is_some()));
        told.collect::<Vec<_>>()
    };
    let (edit, restart) = ("edit the hosts file".to_owned(), "restart the resolver".to_owned());
    // Seen later, and surer.
    assert_eq!(answer(stats(3, 3, 60), stats(6, 6, 1)), [(restart.clone(), false)]);
    // Seen later, but less sure: nobody knows yet.
    assert_eq!(answer(stats(9, 9, 60), stats(2, 2, 1)), [(edit, false), (restart, true)]);
}

#[test]
fn feedback_changes_the_order_of_lessons() {
    let order = |said: LessonStats| {
        let recalled = recalled_lessons(&[
            (LessonKind::Heuristic, "\"no such host\"", "restart the resolver", said),
            (LessonKind::Heuristic, "\"disk full\"", "empty the cache", stats(4, 3, 0)),
        ]);
        recalled.into_iter().map(|l| l.action).collect::<Vec<_>>()
    };
    let base = stats(4, 3, 0);
    let (restart, empty) = ("restart the resolver", "empty the cache");
    assert_eq!(order(LessonStats { helped: 2, ..base }), [restart, empty]);
    assert_eq!(order(LessonStats { did_not_help: 1, ..base }), [empty, restart]);
    assert_eq!(order(LessonStats { wrong: 1, helped: 9, ..base }), [empty]);
}

#[test]
fn the_json_form_survives_a_round_trip() {
    let index = with_background([run("a", TASK, OutcomeKind::Success, &["x \"y\"\nz"])]);
    let (_, recall) = index.recall(TASK, 1000, &[], &|_| true);
    let again: memory_core::recall::Recall = serde_json::from_str(&recall.to_json()).unwrap();
    assert_eq!(again, recall);
}
