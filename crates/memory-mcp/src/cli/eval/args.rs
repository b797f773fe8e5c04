//! What can be typed behind `eval`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use memory_core::recall::RecallQuery;

/// The commands of `eval`.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// For failed tau-bench runs: does recall name the right action, or the same mistake made before?
    Lessons(EvalLessonsArgs),
    /// Is a task that another agent solved found, with what solved it?
    Outcomes(EvalOutcomesArgs),
    /// Does recall say that nothing is relevant to queries of unrelated words?
    Precision(EvalPrecisionArgs),
    /// How high questions rank the items that answer them, beside plain full text
    Retrieval(EvalRetrievalArgs),
}

/// Arguments of `eval lessons`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Learns in a temporary store from all trials but one and asks with the tasks of that one, each in turn;
your own memory is not touched. docs/learning.md defines what counts.")]
pub struct EvalLessonsArgs {
    /// tau-bench results with several trials of each task
    #[arg(required = true, value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// Tokens of each answer at most
    #[arg(long, default_value_t = RecallQuery::DEFAULT_BUDGET_TOKENS, value_name = "N")]
    pub budget_tokens: usize,
    /// A plot beside the table.
    #[command(flatten)]
    pub plot: PlotArgs,
}

/// Arguments of `eval outcomes`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
A file is an agent. Each is hidden in turn: the others go into a temporary store, and the tasks of its
runs are asked for where another file solved them, in their own words and in others.")]
pub struct EvalOutcomesArgs {
    /// Recorded runs, a file per agent, such as InterCode results
    #[arg(required = true, value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// Ask for every Nth run only
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub every: usize,
    /// Tokens of each answer at most
    #[arg(long, default_value_t = RecallQuery::DEFAULT_BUDGET_TOKENS, value_name = "N")]
    pub budget_tokens: usize,
    /// A plot beside the table.
    #[command(flatten)]
    pub plot: PlotArgs,
}

/// Arguments of `eval retrieval`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
ITEMS has one JSON object a line, {\"id\", \"text\", \"at\"?, \"group\"?}; QUESTIONS has {\"query\",
\"relevant_ids\", \"group\"?}. A question searches the items of its group. Items become episodes in a
temporary store and are ranked as recall ranks. Lines that make no sense are named and left out.")]
pub struct EvalRetrievalArgs {
    /// What is searched
    #[arg(long, value_name = "ITEMS")]
    pub items: PathBuf,
    /// What is asked, and the items that answer it
    #[arg(long, value_name = "QUESTIONS")]
    pub questions: PathBuf,
    /// A plot beside the table.
    #[command(flatten)]
    pub plot: PlotArgs,
}

/// Arguments of `eval precision`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Without files, words are drawn from your own memory, which is only read; --project names one project.
With files, from these in a temporary store. The same seed asks the same queries.")]
pub struct EvalPrecisionArgs {
    /// Recorded runs, such as InterCode or tau-bench results
    #[arg(value_name = "FILE")]
    pub paths: Vec<PathBuf>,
    /// Items as `eval retrieval` takes them, instead of runs
    #[arg(long, value_name = "ITEMS", conflicts_with = "paths")]
    pub items: Option<PathBuf>,
    /// How many to ask
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub queries: usize,
    /// Which ones
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// A plot beside the table.
    #[command(flatten)]
    pub plot: PlotArgs,
}

/// A plot of what was measured.
#[derive(Debug, Default, ClapArgs)]
pub struct PlotArgs {
    /// Draw it too, as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}
