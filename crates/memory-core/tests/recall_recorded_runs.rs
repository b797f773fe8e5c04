//! Recall on recorded runs of real agents.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod support;

use std::collections::{HashMap, HashSet};

use memory_core::{Episode, OutcomeKind};
use support::{Index, intercode, recorded_runs};

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

fn index() -> Option<Index> {
    let dir = recorded_runs()?.join("intercode");
    let mut index = Index::default();
    for (kind, file) in FILES {
        let text = std::fs::read_to_string(dir.join(kind).join(format!("{file}.json"))).unwrap();
        intercode(&text, file, kind).into_iter().for_each(|e| index.add(e));
    }
    Some(index)
}

fn solved(e: &Episode) -> bool {
    e.outcome.as_ref().unwrap().kind == OutcomeKind::Success
}

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
    ("than", "over"),
    ("each", "every"),
    ("year", "annum"),
    ("whose", "having"),
];

fn paraphrase(task: &str, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: Vec<&str> = task.split_whitespace().collect();
    let kept: Vec<String> = words
        .iter()
        .filter(|_| next() % 3 != 0)
        .map(|w| {
            let bare = w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
            SYNONYMS.iter().find(|(a, _)| *a == bare).map_or(w.to_string(), |(_, b)| b.to_string())
        })
        .collect();
    if kept.is_empty() { task.to_owned() } else { kept.join(" ") }
}

fn figures(index: &Index, name: &str, ask: &dyn Fn(&str, u64) -> String) {
    let lessons = index.scored_lessons();
    let mut by_task: HashMap<&str, Vec<&Episode>> = HashMap::new();
    for e in &index.episodes {
        by_task.entry(&e.task_description).or_default().push(e);
    }
    let (mut n, mut first, mut action, mut none, mut base, mut cand) = (0, 0, 0, 0, 0, 0);
    let mut tokens = Vec::new();
    let mut misses = Vec::new();
    for (i, e) in index.episodes.iter().enumerate() {
        let agent = &e.context.tags[0];
        if i % 5 != 0 {
            continue;
        }
        let others: Vec<_> = by_task[e.task_description.as_str()]
            .iter()
            .filter(|o| &o.context.tags[0] != agent && solved(o))
            .collect();
        if others.is_empty() {
            continue;
        }
        n += 1;
        let task = ask(&e.task_description, i as u64);
        let (ranking, recall) =
            index.recall(&task, 1000, &lessons, &|o| &o.context.tags[0] != agent);
        let mut q = memory_core::recall::RecallQuery::new(&task, memory_core::store::Scope::All);
        q.limit = 5;
        let found = index.search(&q, &|o| &o.context.tags[0] != agent);
        let by_id: HashMap<_, _> = index.episodes.iter().map(|e| (e.id, e)).collect();
        base += usize::from(
            found.hits.first().is_some_and(|h| by_id[&h.id].task_description == e.task_description),
        );
        cand += usize::from(
            found.hits.iter().any(|h| by_id[&h.id].task_description == e.task_description),
        );
        if std::path::Path::new("/tmp/dump").exists() {
            println!("JSON\t{}\t{}", recall.tokens, recall.to_json());
            println!(
                "TEXT\t{}\t{}",
                memory_core::recall::tokens::estimate(&recall.to_text()),
                serde_json::to_string(&recall.to_text()).unwrap()
            );
        }
        tokens.push(recall.tokens);
        assert!(recall.tokens <= 1000);
        match ranking.results.first() {
            None => {
                none += 1;
                if std::path::Path::new("/tmp/feat").exists() {
                    eprintln!("NONE {task} | {}", e.task_description);
                }
            }
            Some(r) => {
                if r.episode.task_description == e.task_description && solved(&r.episode) {
                    first += 1;
                } else {
                    misses.push(format!(
                        "{task}\n     wanted {}\n     got    {} {}",
                        e.task_description,
                        r.episode.task_description,
                        r.why.join(";")
                    ));
                }
                let goal = others.iter().any(|o| {
                    recall.items[0].done.iter().any(|d| d == o.steps.last().unwrap().action.trim())
                });
                action += usize::from(goal);
            }
        }
    }
    tokens.sort_unstable();
    println!(
        "{name}: bm25 first {:.1}% in candidates {:.1}%",
        100.0 * base as f64 / n as f64,
        100.0 * cand as f64 / n as f64
    );
    println!(
        "{name}: n {n} first {:.1}% action {:.1}% nothing {none} median tokens {} p95 {}",
        100.0 * first as f64 / n as f64,
        100.0 * action as f64 / n as f64,
        tokens[tokens.len() / 2],
        tokens[tokens.len() * 95 / 100]
    );
    for m in misses.iter().step_by(misses.len() / 6 + 1) {
        println!("   miss {m}");
    }
}

#[test]
fn explore() {
    let Some(index) = index() else { return };
    let t = std::time::Instant::now();
    if !std::path::Path::new("/tmp/quick").exists() {
        figures(&index, "exact", &|t, _| t.to_owned());
    }
    println!("{:?}", t.elapsed());
    figures(&index, "paraphrase", &|t, i| paraphrase(t, i + 1));
    if std::path::Path::new("/tmp/quick").exists() {
        return;
    }
    // Unrelated: words of the index, mixed.
    let mut words: Vec<String> = index
        .episodes
        .iter()
        .flat_map(|e| e.task_description.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    words.sort();
    let mut state = 12345u64;
    let mut next = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    for len in [5, 8, 12] {
        let mut nothing = 0;
        for _ in 0..200 {
            let q: Vec<&str> = (0..len).map(|_| words[next(words.len())].as_str()).collect();
            let (r, _) = index.recall(&q.join(" "), 500, &[], &|_| true);
            if r.results.is_empty() {
                nothing += 1
            } else if nothing % 25 == 3 {
                println!(
                    "   {q:?} -> {} {:?}",
                    r.results[0].episode.task_description, r.results[0].why
                );
            }
        }
        println!("unrelated {len}: nothing {nothing} of 200");
    }
    for t in [
        "What are the names of poker players, ordered ascending by the number of final tables they have made?",
        "Write a function to find the first duplicate element in a given array of integers.",
    ] {
        let (_, recall) = index.recall(t, 1000, &index.scored_lessons(), &|_| true);
        println!("{}\n{}", recall.to_json(), recall.to_text());
    }
    let (_, recall) = index.recall(
        "Change directory to the directory containing the executable file of command \"python\"",
        500,
        &index.scored_lessons(),
        &|_| true,
    );
    println!("{}\n{}", recall.to_json(), recall.to_text());
    let mut lessons = index.scored_lessons();
    lessons.sort_by_key(|l| std::cmp::Reverse(l.stats.uses));
    println!("{} lessons", lessons.len());
    for l in lessons.iter().take(60) {
        println!(
            "{} {} | {} => {} ({}/{}, {:.2})",
            l.lesson.lesson_kind.as_str(),
            l.lesson.task_type,
            l.lesson.condition,
            l.lesson.action,
            l.stats.successes,
            l.stats.uses,
            l.stats.confidence(support::NOW)
        );
    }
}
