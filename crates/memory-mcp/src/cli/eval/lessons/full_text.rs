//! What plain full text brings: the best matching run's text, cut to the token budget.

use std::collections::{HashMap, HashSet};

use memory_core::Step;
use memory_core::recall::terms::is_stop_word;
use memory_core::recall::tokens::estimate;

use super::judge::Answer;
use super::runs::Run;

/// Okapi BM25's usual parameters.
const K1: f64 = 1.2;
const B: f64 = 0.75;

/// Words of every run's whole text.
pub(super) struct Index<'a> {
    runs: Vec<(&'a Run, HashMap<String, f64>, f64)>,
    document_frequency: HashMap<String, f64>,
    average_length: f64,
}

impl<'a> Index<'a> {
    pub(super) fn of(runs: &[&'a Run]) -> Self {
        let mut document_frequency: HashMap<String, f64> = HashMap::new();
        let mut counted = Vec::with_capacity(runs.len());
        for run in runs {
            let mut counts: HashMap<String, f64> = HashMap::new();
            lines(run)
                .iter()
                .flat_map(|line| words(line))
                .for_each(|w| *counts.entry(w).or_default() += 1.0);
            counts.keys().for_each(|w| *document_frequency.entry(w.clone()).or_default() += 1.0);
            let length = counts.values().sum();
            counted.push((*run, counts, length));
        }
        let total: f64 = counted.iter().map(|(.., length)| length).sum();
        let average_length = total / counted.len().max(1) as f64;
        Index { runs: counted, document_frequency, average_length }
    }

    /// The run that matches best, any content word counting.
    pub(super) fn best(&self, query: &str) -> Option<&'a Run> {
        let query: HashSet<String> = words(query).filter(|word| !is_stop_word(word)).collect();
        let mut best: Option<(&Run, f64)> = None;
        for (run, counts, length) in &self.runs {
            let score = query.iter().map(|word| self.weight(word, counts, *length)).sum();
            if best.is_none_or(|(_, most)| score > most) {
                best = Some((run, score));
            }
        }
        best.map(|(run, _)| run)
    }

    fn weight(&self, word: &str, counts: &HashMap<String, f64>, length: f64) -> f64 {
        let Some(count) = counts.get(word) else { return 0.0 };
        let df = self.document_frequency.get(word).copied().unwrap_or(0.0);
        let idf = (1.0 + (self.runs.len() as f64 - df + 0.5) / (df + 0.5)).ln();
        idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / self.average_length))
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase)
}

/// Task, then every step with what came back.
fn lines(run: &Run) -> Vec<String> {
    let mut lines = vec![run.episode.task_description.clone()];
    lines.extend(run.episode.steps.iter().map(step_line));
    lines
}

fn step_line(step: &Step) -> String {
    if step.tool.is_empty() {
        return format!("{} -> {}", step.action, step.observation);
    }
    format!("{}({}) -> {}", step.tool, step.parameters.as_str(), step.observation)
}

/// As many lines as the budget holds, the outcome before them, and what they cost.
pub(super) fn answer(run: &Run, budget_tokens: usize, from_end: bool) -> (Answer, usize) {
    let mut left = budget_tokens.saturating_sub(estimate(run.episode.state()));
    let mut lines = lines(run);
    if from_end {
        lines.reverse();
    }
    let count = lines.len();
    let mut shown = Vec::new();
    for line in lines {
        let cost = estimate(&line);
        if cost <= left {
            left -= cost;
            shown.push(line);
        } else {
            // A part of it, as a cut by tokens would leave.
            let share = left as f64 / cost as f64;
            let chars = (line.chars().count() as f64 * share) as usize;
            shown.push(line.chars().take(chars).collect());
            left = 0;
            break;
        }
    }
    let is_whole = shown.len() == count && left > 0;
    (Answer::of_run(run, shown, is_whole), budget_tokens - left)
}
