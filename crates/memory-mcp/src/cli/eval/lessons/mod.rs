//! `memory-mcp eval lessons FILE...`: the runs of three trials are learned from, those of the fourth
//! that failed ask, and so on in turn. docs/learning.md has the definitions.
//!
//! - `call`: calls with their arguments, and when a line names one
//! - `runs`: recorded runs with the answer sheet of their tasks
//! - `judge`: what an answer has to name, and whether it does
//! - `full_text`: what plain full text brings in the same token budget

mod call;
mod full_text;
mod judge;
mod runs;

use std::collections::BTreeSet;
use std::sync::Arc;

use memory_core::recall::RecallQuery;
use memory_core::record::Record;
use memory_core::store::Scope;
use memory_core::{Clock as _, Memory, SystemClock};
use memory_storage::HybridStorage;
use serde::Serialize;
use serde_json::json;

use super::super::output::{DIM, Output, TITLE, paint, wrap};
use super::super::session::LocalMemory;
use super::super::{Failure, output};
use super::args::EvalLessonsArgs;
use super::plot;
use crate::config::{Config, DATABASE_FILE, Place};
use crate::eval::plot::{Bars, Row};
use judge::{Answer, Question, Verdict};
use runs::Run;

/// How often an answer names what it should, over the questions of one trial or of all.
#[derive(Default, Serialize)]
struct Score {
    /// Failed runs of which an expected change is missing or has other arguments.
    questions: usize,
    /// Of these, how many any earlier run could have helped: the most that can be named.
    possible: usize,
    recall: Named,
    /// The best matching run's text, from its beginning.
    full_text: Named,
    /// The same, its end.
    full_text_end: Named,
}

/// Answers that name something.
#[derive(Default, Serialize)]
struct Named {
    /// The right action or the same mistake.
    either: usize,
    /// An expected call that the run lacks, out of a run that went well.
    right_action: usize,
    /// What the run did wrong, out of a run that failed.
    same_mistake: usize,
    /// Estimated tokens of each answer.
    #[serde(skip)]
    tokens: Vec<usize>,
}

impl Named {
    fn count(&mut self, verdict: Verdict, tokens: usize) {
        self.either += usize::from(verdict.right_action || verdict.same_mistake);
        self.right_action += usize::from(verdict.right_action);
        self.same_mistake += usize::from(verdict.same_mistake);
        self.tokens.push(tokens);
    }

    fn add(&mut self, other: &Named) {
        self.either += other.either;
        self.right_action += other.right_action;
        self.same_mistake += other.same_mistake;
        self.tokens.extend(&other.tokens);
    }

    fn median_tokens(&self) -> usize {
        let mut tokens = self.tokens.clone();
        tokens.sort_unstable();
        tokens.get(tokens.len() / 2).copied().unwrap_or(0)
    }
}

impl Score {
    fn add(&mut self, other: &Score) {
        self.questions += other.questions;
        self.possible += other.possible;
        self.recall.add(&other.recall);
        self.full_text.add(&other.full_text);
        self.full_text_end.add(&other.full_text_end);
    }
}

pub(super) async fn run(args: &EvalLessonsArgs, out: &mut Output) -> Result<(), Failure> {
    let runs = runs::read(&args.paths, SystemClock.now())?;
    let trials: BTreeSet<&str> = runs.iter().map(|run| run.trial.as_str()).collect();
    if trials.len() < 2 {
        return Err(Failure::usage(
            "these are the runs of one trial; nothing is left to learn from",
        )
        .hint("give tau-bench results that hold several trials of the same tasks"));
    }
    let (mut total, mut by_trial) = (Score::default(), Vec::new());
    for trial in trials {
        output::say(format_args!("asking for the failed runs of trial {trial}"));
        let score = one_trial(&runs, trial, args.budget_tokens).await?;
        total.add(&score);
        by_trial.push((trial, score));
    }
    plot::write(args.plot.plot.as_deref(), || bars(&total))?;
    if out.is_json() {
        let trials: Vec<_> = by_trial
            .iter()
            .map(|(trial, score)| json!({ "trial": trial, "score": score }))
            .collect();
        return out.json(&json!({
            "budget_tokens": args.budget_tokens,
            "median_tokens": total.recall.median_tokens(),
            "total": total,
            "trials": trials,
        }));
    }
    tell(&by_trial, &total, args.budget_tokens, out)
}

/// Learns from all other trials and asks for the failed runs of this one.
async fn one_trial(runs: &[Run], trial: &str, budget_tokens: usize) -> Result<Score, Failure> {
    let (asking, known): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| run.trial == trial);
    let dir = tempfile::tempdir().map_err(|e| {
        Failure::failed(format!("cannot make a temporary directory: {e}"))
            .hint("set TMPDIR to a directory that can be written")
    })?;
    let config = Config::defaults(dir.path().to_owned());
    let file = Place::File(dir.path().join(DATABASE_FILE));
    let store = HybridStorage::open(config.storage(file)).await?;
    let memory = Memory::new(store, Arc::new(SystemClock));
    let records = known.iter().map(|run| Record::Episode(Box::new(run.episode.clone())));
    for taken in memory.take_in(records.collect()).await? {
        taken?;
    }
    let index = full_text::Index::of(&known);
    let mut score = Score::default();
    for run in asking {
        let Some(question) = Question::of(run) else { continue };
        score.questions += 1;
        score.possible += usize::from(question.can_be_answered_by(&known));
        let (answer, tokens) = recalled(&memory, run, budget_tokens).await?;
        score.recall.count(question.judge(&answer, &known), tokens);
        let best = index.best(&run.episode.task_description);
        for (from_end, named) in [(false, &mut score.full_text), (true, &mut score.full_text_end)] {
            let answer = best.map(|run| full_text::answer(run, budget_tokens, from_end));
            let (answer, tokens) = answer.unwrap_or_default();
            named.count(question.judge(&answer, &known), tokens);
        }
    }
    memory.store().durable().close().await;
    Ok(score)
}

async fn recalled(
    memory: &LocalMemory,
    run: &Run,
    budget_tokens: usize,
) -> Result<(Answer, usize), Failure> {
    let task = run.episode.task_description.as_str();
    let query = RecallQuery { budget_tokens, ..RecallQuery::new(task, Scope::All) };
    let recall = memory.recall(&query).await?;
    Ok((Answer::of_recall(&recall), recall.tokens))
}

fn bars(total: &Score) -> Bars<'static> {
    let row = |label: &str, count: fn(&Named) -> usize| Row {
        label: label.to_owned(),
        shares: [&total.recall, &total.full_text, &total.full_text_end]
            .map(|named| count(named) as f64 / total.questions.max(1) as f64)
            .to_vec(),
        target: None,
    };
    Bars {
        title: "Failed runs that an answer would have helped",
        unit: "share of the failed runs for which an answer names it",
        series: &["recall", "full text", "full text, its end"],
        rows: vec![
            row("either", |named| named.either),
            row("right action", |named| named.right_action),
            row("same mistake", |named| named.same_mistake),
        ],
    }
}

fn tell(
    by_trial: &[(&str, Score)],
    total: &Score,
    budget_tokens: usize,
    out: &mut Output,
) -> Result<(), Failure> {
    let head = format!(
        "{:8}  {:>9}  {:>8}  {:>12}  {:>12}  {:>12}",
        "TRIAL", "QUESTIONS", "POSSIBLE", "RECALL", "FULL TEXT", "ITS END"
    );
    out.line(paint(TITLE, head))?;
    let last = ("all", total);
    for (trial, score) in by_trial.iter().map(|(trial, score)| (*trial, score)).chain([last]) {
        let share = |named: &Named| {
            let percent = 100.0 * named.either as f64 / score.questions.max(1) as f64;
            format!("{} ({percent:.1}%)", named.either)
        };
        out.line(format_args!(
            "{trial:8}  {:>9}  {:>8}  {:>12}  {:>12}  {:>12}",
            score.questions,
            score.possible,
            share(&score.recall),
            share(&score.full_text),
            share(&score.full_text_end)
        ))?;
    }
    out.gap()?;
    let Named { right_action, same_mistake, .. } = total.recall;
    let text = format!(
        "Recall named the right action for {right_action} failed runs and the same mistake for \
         {same_mistake}, in {} of {budget_tokens} tokens in the middle.",
        total.recall.median_tokens()
    );
    out.line(paint(DIM, wrap(&text, "", output::width())))
}
