//! `memory-mcp eval outcomes FILE...`.

use memory_core::{Clock as _, SystemClock};
use serde::Serialize;
use serde_json::json;

use super::args::EvalOutcomesArgs;
use super::plot;
use crate::cli::output::{self, DIM, Output, TITLE, paint, wrap};
use crate::cli::{Failure, progress};
use crate::eval::outcomes::{Tally, agents, leave_out};
use crate::eval::plot::{Bars, Row as Bar};

/// What is aimed at, exact and paraphrased: a solved run first, its action shown.
const TARGETS: [(f64, f64); 2] = [(0.95, 0.9), (0.8, 0.75)];

/// One wording over all agents.
#[derive(Serialize)]
struct Row {
    wording: &'static str,
    questions: usize,
    solved_first: f64,
    action_shown: f64,
    median_tokens: usize,
    most_tokens: usize,
}

pub(super) async fn run(args: &EvalOutcomesArgs, out: &mut Output) -> Result<(), Failure> {
    let agents =
        agents(&args.paths, SystemClock.now()).map_err(|e| Failure::not_found(e.to_string()))?;
    if agents.len() < 2 {
        return Err(Failure::usage("these are the runs of one agent; nothing is left to recall")
            .hint("give a file per agent, with runs of the same tasks"));
    }
    let runs: usize = agents.iter().map(|agent| agent.runs.len()).sum();
    let bar = progress::records((runs * (agents.len() - 1)) as u64);
    let mut total = [Tally::default(), Tally::default()];
    let mut done = Ok(());
    for (hidden, agent) in agents.iter().enumerate() {
        bar.set_message(format!("without {}", agent.path.display()));
        match leave_out(&agents, hidden, args.every, args.budget_tokens, |n| bar.inc(n)).await {
            Ok(found) => total.iter_mut().zip(found).for_each(|(sum, tally)| sum.add(tally)),
            Err(e) => {
                done = Err(e);
                break;
            }
        }
    }
    bar.finish_and_clear();
    done?;
    let rows = ["exact", "paraphrase"].into_iter().zip(total).map(|(name, tally)| row(name, tally));
    let rows: Vec<Row> = rows.collect();
    plot::write(args.plot.plot.as_deref(), || bars(&rows))?;
    if out.is_json() {
        let budget = args.budget_tokens;
        return out.json(&json!({ "runs": runs, "budget_tokens": budget, "wordings": rows }));
    }
    print(&rows, out)
}

fn row(wording: &'static str, mut tally: Tally) -> Row {
    tally.tokens.sort_unstable();
    let share = |n: usize| n as f64 / tally.questions.max(1) as f64;
    Row {
        wording,
        questions: tally.questions,
        solved_first: share(tally.solved_first),
        action_shown: share(tally.action_shown),
        median_tokens: tally.tokens.get(tally.tokens.len() / 2).copied().unwrap_or(0),
        most_tokens: tally.tokens.last().copied().unwrap_or(0),
    }
}

fn bars(rows: &[Row]) -> Bars<'static> {
    let bar =
        |label: String, share, target| Bar { label, shares: vec![share], target: Some(target) };
    let bars = rows.iter().zip(TARGETS).flat_map(|(row, (first, action))| {
        [
            bar(format!("{}: solved first", row.wording), row.solved_first, first),
            bar(format!("{}: action shown", row.wording), row.action_shown, action),
        ]
    });
    Bars {
        title: "Tasks that another agent solved",
        unit: "share of the tasks asked for",
        series: &["recall"],
        rows: bars.collect(),
    }
}

fn print(rows: &[Row], out: &mut Output) -> Result<(), Failure> {
    let head = format!(
        "{:<11}{:>10}{:>14}{:>14}{:>15}{:>8}",
        "TASK", "QUESTIONS", "SOLVED FIRST", "ACTION SHOWN", "MEDIAN TOKENS", "MOST"
    );
    out.line(paint(TITLE, head))?;
    for row in rows {
        let percent = |share: f64| format!("{:.1}%", 100.0 * share);
        out.line(format_args!(
            "{:<11}{:>10}{:>14}{:>14}{:>15}{:>8}",
            row.wording,
            row.questions,
            percent(row.solved_first),
            percent(row.action_shown),
            row.median_tokens,
            row.most_tokens
        ))?;
    }
    let note = "Each file hidden in turn, its tasks asked for where another file solved them: is the \
                first result a solved run of the task, does it show the action that solved it?";
    out.line(paint(DIM, wrap(note, "", output::width())))
}
