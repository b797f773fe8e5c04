//! What recall brings for a task that another agent solved: the runs of one agent are hidden, its
//! tasks are asked for, in their own words and in others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use memory_core::recall::RecallQuery;
use memory_core::record::Record;
use memory_core::store::Scope;
use memory_core::{Episode, OutcomeKind, Result, Timestamp};

use super::paraphrase::Paraphraser;
use super::retrieval::Bench;
use crate::import::{ImportItem, ImportOptions, Importer, PlanError, plan};

/// Records of one write.
const BATCH: usize = 250;

/// The runs of one agent: what one file holds.
pub struct Agent {
    /// The file.
    pub path: PathBuf,
    /// In the order of the file.
    pub runs: Vec<Episode>,
}

/// How a task is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// Word for word.
    Exact,
    /// See [`Paraphraser`].
    Paraphrase,
}

/// What was found for one wording.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Tasks asked for: those that a visible run solved.
    pub questions: usize,
    /// The first result is a solved run of the task.
    pub solved_first: usize,
    /// The first result shows the action that solved it.
    pub action_shown: usize,
    /// Estimated tokens of each answer.
    pub tokens: Vec<usize>,
}

impl Tally {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Tally) {
        self.questions += other.questions;
        self.solved_first += other.solved_first;
        self.action_shown += other.action_shown;
        self.tokens.extend(other.tokens);
    }
}

/// Reads each file as the runs of one agent.
pub fn agents(paths: &[PathBuf], now: Timestamp) -> std::result::Result<Vec<Agent>, PlanError> {
    let read = |path: &Path| {
        let options = ImportOptions { project: "eval".to_owned(), default_time: now };
        let items = Importer::new(plan(&[path.to_owned()])?, options);
        let runs = items.filter_map(|item| match item {
            Ok(ImportItem::Episode(episode)) => Some(*episode),
            _ => None,
        });
        Ok(Agent { path: path.to_owned(), runs: runs.collect() })
    };
    plan(paths)?.files.iter().map(|file| read(&file.path)).collect()
}

/// Hides the runs of `hidden` and asks for every `every`th of its tasks, in both wordings.
pub async fn leave_out(
    agents: &[Agent],
    hidden: usize,
    every: usize,
    budget_tokens: usize,
    progress: impl Fn(u64),
) -> Result<[Tally; 2]> {
    let bench = Bench::open().await?;
    let visible = || agents.iter().enumerate().filter(|(n, _)| *n != hidden);
    let known: Vec<&Episode> = visible().flat_map(|(_, agent)| &agent.runs).collect();
    for batch in known.chunks(BATCH) {
        let records = batch.iter().map(|run| Record::Episode(Box::new((*run).clone())));
        for taken in bench.memory().take_in(records.collect()).await? {
            taken?;
        }
        progress(batch.len() as u64);
    }
    let mut solutions: HashMap<&str, Vec<&Episode>> = HashMap::new();
    for run in known.into_iter().filter(|run| is_solved(run)) {
        solutions.entry(&run.task_description).or_default().push(run);
    }
    let mut tallies = [Tally::default(), Tally::default()];
    let mut paraphraser = Paraphraser::new(hidden as u64);
    let asking = agents.get(hidden).map_or(&[][..], |agent| &agent.runs);
    for run in asking.iter().step_by(every.max(1)) {
        let Some(solved) = solutions.get(run.task_description.as_str()) else { continue };
        let said = [run.task_description.clone(), paraphraser.say(&run.task_description)];
        for (tally, words) in tallies.iter_mut().zip(said) {
            ask(&bench, words, solved, budget_tokens, tally).await?;
        }
    }
    bench.close().await;
    Ok(tallies)
}

async fn ask(
    bench: &Bench,
    words: String,
    solved: &[&Episode],
    budget_tokens: usize,
    tally: &mut Tally,
) -> Result<()> {
    let query = RecallQuery { budget_tokens, ..RecallQuery::new(words, Scope::All) };
    let recall = bench.memory().recall(&query).await?;
    tally.questions += 1;
    tally.tokens.push(recall.tokens);
    let Some(first) = recall.items.first() else { return Ok(()) };
    tally.solved_first += usize::from(solved.iter().any(|run| run.id == first.id));
    let shows = |run: &&&Episode| {
        let action = run.steps.last().map_or("", |step| step.action.trim());
        !action.is_empty() && first.done.iter().any(|done| done.contains(action))
    };
    tally.action_shown += usize::from(solved.iter().any(|run| shows(&run)));
    Ok(())
}

fn is_solved(run: &Episode) -> bool {
    run.outcome.as_ref().is_some_and(|outcome| outcome.kind == OutcomeKind::Success)
}
