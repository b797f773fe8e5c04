//! `memory-mcp eval precision [FILE...]`.

use std::path::PathBuf;

use memory_core::recall::RecallQuery;
use memory_core::record::Record;
use memory_core::store::{EpisodeStore, Filter, ListQuery, Scope};
use memory_core::{Clock as _, Episode, SystemClock};
use serde::Serialize;
use serde_json::json;

use super::args::EvalPrecisionArgs;
use super::{plot, retrieval};
use crate::cli::output::{self, DIM, Output, TITLE, one_line, paint, wrap};
use crate::cli::session::{LocalMemory, Session};
use crate::cli::{Failure, progress};
use crate::eval::items::Data;
use crate::eval::outcomes::agents;
use crate::eval::plot::{Bars, Row};
use crate::eval::precision::{Unrelated, WORDS};
use crate::eval::retrieval::Bench;

/// Share of unrelated queries for which recall should say that nothing is relevant.
const TARGET: f64 = 0.9;

/// The newest episodes of a store that words are drawn from.
const EPISODES: usize = 5000;

/// Episodes read at a time, and records of one write.
const BATCH: usize = 250;

/// Wrong answers that are shown.
const SHOWN: usize = 5;

/// Queries of one length.
#[derive(Default, Clone, Serialize)]
struct Length {
    words: usize,
    queries: usize,
    nothing_relevant: usize,
}

/// A query that something was found for.
#[derive(Serialize)]
struct Found {
    query: String,
    task: String,
    why: String,
}

#[derive(Default)]
struct Measured {
    episodes: usize,
    lengths: Vec<Length>,
    found: Vec<Found>,
}

/// Episodes that are searched together.
struct Place {
    scope: Scope,
    episodes: Vec<Episode>,
}

pub(super) async fn run(
    args: &EvalPrecisionArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let measured = if let Some(items) = &args.items {
        let bench = Bench::open().await?;
        let done = of_items(args, items, &bench).await;
        bench.close().await;
        done
    } else if args.paths.is_empty() {
        let memory = session.open().await?;
        let done = of_store(args, &memory, session.scope()).await;
        memory.store().durable().close().await;
        done
    } else {
        let bench = Bench::open().await?;
        let done = of_runs(args, &args.paths, &bench).await;
        bench.close().await;
        done
    }?;
    if measured.queries() == 0 {
        return Err(Failure::usage("there are too few words to make a query of")
            .hint("name files with recorded runs, or items with --items"));
    }
    plot::write(args.plot.plot.as_deref(), || measured.bars())?;
    if out.is_json() { out.json(&measured.json(args)) } else { print(&measured, out) }
}

/// The store as it is; nothing is written to it.
async fn of_store(
    args: &EvalPrecisionArgs,
    memory: &LocalMemory,
    scope: Scope,
) -> Result<Measured, Failure> {
    let filter = Filter::default();
    let mut query = ListQuery { scope: scope.clone(), filter, after: None, limit: BATCH };
    let mut episodes: Vec<Episode> = Vec::new();
    while episodes.len() < EPISODES {
        let page = memory.store().list(&query).await?;
        episodes.extend(page.episodes.iter().map(|episode| Episode::clone(episode)));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    ask(args, memory, vec![Place { scope, episodes }]).await
}

async fn of_runs(
    args: &EvalPrecisionArgs,
    paths: &[PathBuf],
    bench: &Bench,
) -> Result<Measured, Failure> {
    let agents = agents(paths, SystemClock.now()).map_err(|e| Failure::not_found(e.to_string()))?;
    let episodes: Vec<Episode> = agents.into_iter().flat_map(|agent| agent.runs).collect();
    let bar = progress::records(episodes.len() as u64);
    for batch in episodes.chunks(BATCH) {
        let records = batch.iter().map(|run| Record::Episode(Box::new(run.clone())));
        for taken in bench.memory().take_in(records.collect()).await? {
            taken?;
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    ask(args, bench.memory(), vec![Place { scope: Scope::All, episodes }]).await
}

async fn of_items(
    args: &EvalPrecisionArgs,
    items: &std::path::Path,
    bench: &Bench,
) -> Result<Measured, Failure> {
    let name = items.display().to_string();
    let data = Data::read((&name, retrieval::open(items)?), ("", &[][..]))
        .map_err(|e| Failure::failed(format!("cannot read {name}: {e}")))?;
    let bad: Vec<String> =
        data.bad.iter().map(|bad| format!("{}:{}: {}", bad.file, bad.line, bad.problem)).collect();
    retrieval::tell_bad_lines(&bad);
    let bar = progress::records(data.groups.iter().map(|group| group.items.len() as u64).sum());
    let mut places = Vec::new();
    for (number, group) in data.groups.iter().enumerate() {
        bench.take_in(group, number, |n| bar.inc(n)).await?;
        places.push(Place { scope: Bench::scope(number), episodes: bench.episodes(group, number) });
    }
    bar.finish_and_clear();
    ask(args, bench.memory(), places).await
}

/// Asks in each place in turn, with words of that place.
async fn ask(
    args: &EvalPrecisionArgs,
    memory: &LocalMemory,
    places: Vec<Place>,
) -> Result<Measured, Failure> {
    let mut measured = Measured {
        lengths: (WORDS.0..=WORDS.1).map(|words| Length { words, ..Length::default() }).collect(),
        ..Measured::default()
    };
    measured.episodes = places.iter().map(|place| place.episodes.len()).sum();
    let mut places: Vec<(Scope, Unrelated)> = (args.seed..)
        .zip(places)
        .map(|(seed, place)| (place.scope, Unrelated::new(&place.episodes, seed)))
        .collect();
    let bar = progress::records(args.queries as u64);
    let count = places.len().max(1);
    for n in 0..args.queries {
        bar.inc(1);
        let Some((scope, unrelated)) = places.get_mut(n % count) else { break };
        let Some(query) = unrelated.query() else { continue };
        let ranking = memory.ranking(&RecallQuery::new(query.as_str(), scope.clone())).await?;
        let words = query.split(' ').count();
        if let Some(length) = measured.lengths.iter_mut().find(|length| length.words == words) {
            length.queries += 1;
            length.nothing_relevant += usize::from(ranking.results.is_empty());
        }
        measured.found.extend(ranking.results.first().map(|best| Found {
            query,
            task: best.episode.task_description.clone(),
            why: best.why.join("; "),
        }));
    }
    bar.finish_and_clear();
    Ok(measured)
}

impl Measured {
    fn queries(&self) -> usize {
        self.lengths.iter().map(|length| length.queries).sum()
    }

    fn nothing_relevant(&self) -> usize {
        self.lengths.iter().map(|length| length.nothing_relevant).sum()
    }

    fn share(&self) -> f64 {
        self.nothing_relevant() as f64 / self.queries().max(1) as f64
    }

    fn json(&self, args: &EvalPrecisionArgs) -> serde_json::Value {
        json!({
            "episodes": self.episodes,
            "seed": args.seed,
            "queries": self.queries(),
            "nothing_relevant": self.share(),
            "by_words": self.lengths,
            "found": self.found,
        })
    }

    fn bars(&self) -> Bars<'static> {
        let row = |label: String, nothing: usize, queries: usize| Row {
            label,
            shares: vec![nothing as f64 / queries.max(1) as f64],
            target: Some(TARGET),
        };
        let mut rows: Vec<Row> = self
            .lengths
            .iter()
            .map(|of| row(format!("{} words", of.words), of.nothing_relevant, of.queries))
            .collect();
        rows.push(row("all".to_owned(), self.nothing_relevant(), self.queries()));
        Bars {
            title: "Queries of unrelated words: how often nothing is relevant",
            unit: "share of queries for which recall says that nothing is relevant",
            series: &["recall"],
            rows,
        }
    }
}

fn print(measured: &Measured, out: &mut Output) -> Result<(), Failure> {
    let head = format!("{:<8}{:>10}{:>20}", "WORDS", "QUERIES", "NOTHING RELEVANT");
    out.line(paint(TITLE, head))?;
    let percent =
        |part: usize, of: usize| format!("{:.1}%", 100.0 * part as f64 / of.max(1) as f64);
    for of in &measured.lengths {
        let share = percent(of.nothing_relevant, of.queries);
        out.line(format_args!("{:<8}{:>10}{share:>20}", of.words, of.queries))?;
    }
    let share = percent(measured.nothing_relevant(), measured.queries());
    out.line(format_args!("{:<8}{:>10}{share:>20}", "all", measured.queries()))?;
    if !measured.found.is_empty() {
        out.gap()?;
        out.line(paint(TITLE, "Found all the same"))?;
    }
    for found in measured.found.iter().take(SHOWN) {
        let width = output::width();
        out.line(one_line(&found.query, width))?;
        out.line(paint(DIM, one_line(&format!("  {}", found.why), width)))?;
        out.line(paint(DIM, one_line(&format!("  {}", found.task), width)))?;
    }
    out.gap()?;
    let note = format!(
        "Each word occurs in one of {} episodes, but the words of a query come from different ones.",
        measured.episodes
    );
    out.line(paint(DIM, wrap(&note, "", output::width())))
}
