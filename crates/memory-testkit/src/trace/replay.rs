//! The recorded runs, replayed in order: each task recalls the earlier runs that are most like it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Kind, Trace};

/// What a recall returns, and so what is read for each task.
const RECALLED: usize = 5;

/// The reads of working through the recorded runs, or `None` (with a printed line) without them.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn recorded_runs(dir: &Path) -> Option<Trace> {
    if !dir.is_dir() {
        println!("skipped: no recorded runs at {}", dir.display());
        return None;
    }
    let mut keys = Vec::new();
    let mut runs = Runs::default();
    for file in files(dir) {
        for task in tasks(&file) {
            keys.extend(runs.like(&task));
            keys.push(runs.add(&task));
        }
    }
    Some(Trace { name: "replay of recorded runs", kind: Kind::Replay, keys })
}

/// The tasks so far, by word.
#[derive(Default)]
struct Runs {
    by_word: HashMap<String, Vec<u64>>,
    count: u64,
}

impl Runs {
    /// Adds a run and gives its key.
    fn add(&mut self, task: &str) -> u64 {
        self.count += 1;
        for word in words(task) {
            self.by_word.entry(word).or_default().push(self.count);
        }
        self.count
    }

    /// The runs that share most with `task`, rare words counting more, then the latest ones.
    fn like(&self, task: &str) -> Vec<u64> {
        let mut scores: HashMap<u64, f64> = HashMap::new();
        for runs in words(task).iter().filter_map(|word| self.by_word.get(word)) {
            let rarity = (1.0 + self.count as f64 / runs.len() as f64).ln();
            for run in runs {
                *scores.entry(*run).or_default() += rarity;
            }
        }
        let mut ranked: Vec<(u64, f64)> = scores.into_iter().collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        ranked.into_iter().take(RECALLED).map(|(run, _)| run).collect()
    }
}

fn words(task: &str) -> HashSet<String> {
    let words = task.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2);
    words.take(200).map(str::to_lowercase).collect()
}

/// Every file below, in the order of their paths.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The task texts of a file, in its order; none when it is of another format.
fn tasks(file: &Path) -> Vec<String> {
    let json = std::fs::read(file).ok().and_then(|b| serde_json::from_slice::<Value>(&b).ok());
    match json {
        Some(Value::Array(runs)) => runs.iter().filter_map(customer_task).collect(),
        Some(Value::Object(runs)) if runs.contains_key("trajectory") => file
            .file_stem()
            .map(|stem| vec![stem.to_string_lossy().replace(['_', '-'], " ")])
            .unwrap_or_default(),
        Some(Value::Object(runs)) => {
            let query = |run: &Value| run.get("query")?.as_str().map(str::to_owned);
            runs.values().filter_map(query).collect()
        }
        _ => Vec::new(),
    }
}

/// What the customer asked first.
fn customer_task(run: &Value) -> Option<String> {
    let messages = run.get("traj")?.as_array()?;
    let user = messages.iter().find(|m| m.get("role").and_then(Value::as_str) == Some("user"))?;
    user.get("content")?.as_str().map(str::to_owned)
}
