//! `eval retrieval`: figures of recall that anybody can check.

use memory_testkit::conversations::{Set, conversations};
use serde_json::{Value, json};

use super::recorded_runs::recorded;
use super::world::{World, lines, text};

fn as_lines<T: serde::Serialize>(all: &[T]) -> String {
    let values: Vec<Value> = all.iter().map(|one| serde_json::to_value(one).unwrap()).collect();
    lines(&values)
}

/// Lower bounds of the gain over plain full text, not the figures of the day: docs/recall.md has those.
#[test]
fn questions_about_conversations_are_answered_better_than_by_plain_full_text() {
    let world = World::new();
    for (set, least) in [(Set::Development, 0.15), (Set::HeldOut, 0.04)] {
        let (items, questions) = conversations(set);
        let items = world.write("items.jsonl", &as_lines(&items));
        let questions = world.write("questions.jsonl", &as_lines(&questions));
        let files = ["--items", text(&items), "--questions", text(&questions)];
        let report = world.json(&[&["eval", "retrieval"], &files[..]].concat());
        for figure in ["any@5", "any@10", "all@10", "ndcg@10"] {
            let of = |way: &str| report[way][figure].as_f64().unwrap();
            let gain = of("recall") - of("plain_full_text");
            assert!(
                gain >= least,
                "{set:?}, {figure}: {gain:.3} above plain full text\n{report:#}"
            );
        }
        assert_eq!(report["bad_lines"], json!([]));
    }
}

#[test]
fn bad_lines_are_named_with_file_and_line_and_the_rest_is_measured() {
    let world = World::new();
    let items = "{\"id\":\"a\",\"text\":\"The cat sleeps on the oven\",\"group\":\"x\"}\nnonsense\n\
                 {\"id\":\"a\",\"text\":\"The dog runs after the ball\",\"group\":\"y\"}\n";
    let questions = "{\"query\":\"Where does the cat sleep?\",\"relevant_ids\":[\"a\"],\"group\":\"x\"}\n\
                     {\"query\":\"Where?\",\"relevant_ids\":[\"b\"],\"group\":\"x\"}\n";
    let items = world.write("items.jsonl", items);
    let questions = world.write("questions.jsonl", questions);
    let ran =
        world.run(&["eval", "retrieval", "--items", text(&items), "--questions", text(&questions)]);
    assert!(ran.stdout.contains("1 questions about 2 items in 2 groups"), "{}", ran.stdout);
    assert!(ran.stdout.contains("NDCG@10"), "{}", ran.stdout);
    assert!(ran.stderr.contains("items.jsonl:2: "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("questions.jsonl:2: relevant_ids: none is an item"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let world = World::new();
    let ran = world.run(&["eval", "retrieval", "--items", "no.jsonl", "--questions", "no.jsonl"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("no.jsonl"), "{}", ran.stderr);
}

/// Of 200 queries, so many must find nothing.
fn is_precise(report: &Value, least: f64) {
    assert_eq!(report["queries"], 200);
    let nothing = report["nothing_relevant"].as_f64().unwrap();
    assert!(nothing >= least, "{nothing}\n{report:#}");
}

#[test]
fn words_of_unrelated_turns_and_runs_recall_nothing() {
    let world = World::new();
    let (items, _) = conversations(Set::Development);
    let items = world.write("items.jsonl", &as_lines(&items));
    let plot = world.path("precision.svg");
    let arguments = ["eval", "precision", "--items", text(&items), "--plot", text(&plot)];
    let report = world.json(&arguments);
    is_precise(&report, 0.9);
    assert_eq!(report, world.json(&arguments), "the same seed asks the same");
    let plot = std::fs::read_to_string(plot).unwrap();
    assert!(plot.starts_with("<svg ") && plot.contains("share of queries"), "{plot}");

    let Some(folder) = recorded("intercode") else { return };
    // These few runs are all of one kind: docs/recall.md has the figure of all recorded ones.
    is_precise(&world.json(&["eval", "precision", text(&folder.join("bash"))]), 0.85);
}
