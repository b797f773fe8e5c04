//! Recall on recorded runs of real agents: 2,511 interactive coding tasks.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

#[path = "support/recorded.rs"]
mod recorded;
mod support;

use std::collections::{BTreeSet, HashMap};

use memory_core::recall::tokens::estimate;
use memory_core::{Episode, OutcomeKind};
use recorded::{Random, intercode, recorded_runs, scored_lessons};
use support::Index;

/// A file holds the runs of one agent.
const FILES: &[(&str, &str)] = &[
    ("bash", "ic_bash_multiturn_gpt-3.5_10_turns_fs_1"),
    ("bash", "ic_bash_multiturn_gpt-4_10_turns_fs_1"),
    ("bash", "ic_bash_multiturn_gpt-4_10_turns_fs_2"),
    ("bash", "ic_bash_multiturn_gpt-4_10_turns_fs_3"),
    ("sql", "ic_sql_multiturn_gpt-3.5_10_turns"),
    ("sql", "ic_sql_multiturn_gpt-4_10_turns"),
    ("python", "ic_python_multiturn_gpt-3.5_7_turns"),
    ("ctf", "ic_ctf_multiturn_gpt-4_10_turns"),
];

/// Every how manieth run asks, to keep the test short.
const SAMPLE: usize = 9;

const BUDGET: usize = 1000;

fn index() -> Option<Index> {
    let dir = recorded_runs()?.join("intercode");
    let mut index = Index::default();
    for (kind, file) in FILES {
        let text = std::fs::read_to_string(dir.join(kind).join(format!("{file}.json"))).unwrap();
        intercode(&text, file, kind).into_iter().for_each(|e| index.add(e));
    }
    Some(index)
}

fn agent(e: &Episode) -> &str {
    &e.context.tags[0]
}

fn solved(e: &Episode) -> bool {
    e.outcome.as_ref().unwrap().kind == OutcomeKind::Success
}

/// A third of the words dropped, others replaced. Written for this test; recall has its own list.
const SYNONYMS: &[(&str, &str)] = &[
    ("find", "locate"),
    ("list", "enumerate"),
    ("show", "display"),
    ("names", "titles"),
    ("name", "title"),
    ("number", "quantity"),
    ("count", "tally"),
    ("all", "every"),
    ("files", "documents"),
    ("file", "document"),
    ("directory", "folder"),
    ("remove", "delete"),
    ("write", "create"),
    ("function", "routine"),
    ("average", "mean"),
    ("maximum", "largest"),
    ("minimum", "smallest"),
    ("total", "overall"),
    ("different", "distinct"),
    ("given", "provided"),
    ("countries", "nations"),
    ("country", "nation"),
    ("students", "pupils"),
    ("cars", "automobiles"),
    ("search", "look"),
    ("print", "output"),
    ("each", "every"),
    ("year", "annum"),
];

fn paraphrase(task: &str, random: &mut Random) -> String {
    let said = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        SYNONYMS.iter().find(|(own, _)| *own == bare).map_or(word, |(_, other)| *other).to_owned()
    };
    let words = task.split_whitespace().filter(|_| random.below(3) > 0);
    let kept: Vec<String> = words.map(said).collect();
    if kept.is_empty() { task.to_owned() } else { kept.join(" ") }
}

/// In percent of the questions: first result is a solved run of the same task; it shows the action
/// that solved it. Only tasks that another agent solved are asked for, its runs being the only
/// ones visible.
fn helpfulness(index: &Index, name: &str, ask: &mut dyn FnMut(&str) -> String) -> (f64, f64) {
    let lessons = scored_lessons(index);
    let mut by_task: HashMap<&str, Vec<&Episode>> = HashMap::new();
    for e in &index.episodes {
        by_task.entry(&e.task_description).or_default().push(e);
    }
    let (mut asked, mut first, mut action, mut tokens) = (0, 0, 0, Vec::new());
    for e in index.episodes.iter().step_by(SAMPLE) {
        let visible = |other: &Episode| agent(other) != agent(e);
        let solutions: Vec<&&Episode> = by_task[e.task_description.as_str()]
            .iter()
            .filter(|other| visible(other) && solved(other))
            .collect();
        if solutions.is_empty() {
            continue;
        }
        asked += 1;
        let (ranking, recall) = index.recall(&ask(&e.task_description), BUDGET, &lessons, &visible);
        tokens.push(recall.tokens);
        let Some(best) = ranking.results.first() else { continue };
        let same = best.episode.task_description == e.task_description;
        first += usize::from(same && solved(&best.episode));
        let shown = &recall.items[0].done;
        let solves =
            |s: &&&Episode| shown.iter().any(|d| d == s.steps.last().unwrap().action.trim());
        action += usize::from(solutions.iter().any(solves));
    }
    tokens.sort_unstable();
    let percent = |n: usize| 100.0 * n as f64 / asked as f64;
    println!(
        "{name}: {asked} questions, first is a solved run of the task {:.1}%, with the action that \
         solved it {:.1}%, median {} tokens",
        percent(first),
        percent(action),
        tokens[tokens.len() / 2]
    );
    (percent(first), percent(action))
}

#[test]
fn a_solved_run_of_the_task_comes_first_and_shows_its_solution() {
    let Some(index) = index() else { return };
    let (first, action) = helpfulness(&index, "exact", &mut str::to_owned);
    assert!(first >= 95.0 && action >= 90.0);
    let mut random = Random::default();
    let (first, action) =
        helpfulness(&index, "paraphrase", &mut |task| paraphrase(task, &mut random));
    assert!(first >= 80.0 && action >= 75.0);
}

#[test]
fn both_runs_of_a_task_come_first_the_solved_one_before_the_other() {
    let Some(index) = index() else { return };
    let task =
        "Change directory to the directory containing the executable file of command \"python\"";
    let (_, recall) = index.recall(task, 500, &scored_lessons(&index), &|_| true);
    let [solved, partial, ..] = &recall.items[..] else { panic!("{recall:?}") };
    assert_eq!((solved.outcome.as_str(), solved.reward), ("success", Some(1.0)));
    assert_eq!(solved.done, ["cd $(dirname $(which python))"]);
    assert_eq!((partial.outcome.as_str(), partial.reward), ("partial", Some(0.68)));
    assert_eq!(partial.done[0], "cd \"$(dirname \"$(which python)\")\"");
    assert!(recall.items.iter().take(2).all(|item| item.why.starts_with("same task")));
}

#[test]
fn words_that_have_nothing_to_do_with_each_other_recall_nothing() {
    let Some(index) = index() else { return };
    let words: BTreeSet<&str> =
        index.episodes.iter().flat_map(|e| e.task_description.split_whitespace()).collect();
    let words: Vec<&str> = words.into_iter().collect();
    let mut random = Random::default();
    let mut nothing = 0;
    for i in 0..200 {
        let query: Vec<&str> = (0..5 + i % 8).map(|_| words[random.below(words.len())]).collect();
        let (ranking, recall) = index.recall(&query.join(" "), BUDGET, &[], &|_| true);
        assert_eq!(ranking.results.is_empty(), recall.nothing_relevant.is_some());
        nothing += usize::from(ranking.results.is_empty());
    }
    println!("unrelated words: nothing relevant for {nothing} of 200");
    assert!(nothing >= 180);
    let (_, recall) = index.recall("zyxwv qqqq flurble", BUDGET, &[], &|_| true);
    assert!(recall.items.is_empty() && recall.nothing_relevant.is_some());
}

#[test]
fn no_budget_is_exceeded_and_more_budget_keeps_the_best_result() {
    let Some(index) = index() else { return };
    let lessons = scored_lessons(&index);
    for e in index.episodes.iter().step_by(97) {
        let mut best = None;
        for budget in [120, 150, 200, 300, 500, 1000, 2000, 5000] {
            let (_, recall) = index.recall(&e.task_description, budget, &lessons, &|_| true);
            assert_eq!(recall.tokens, estimate(&recall.to_json()));
            assert!(recall.tokens <= budget, "{} of {budget}", recall.tokens);
            assert!(estimate(&recall.to_text()) <= budget);
            let first = recall.items.first().map(|item| item.id);
            assert!(first.is_some(), "nothing fits {budget}: {}", recall.to_json());
            assert_eq!(first, *best.get_or_insert(first));
        }
    }
}
