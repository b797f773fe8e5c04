//! `memory-mcp eval retrieval --items FILE --questions FILE`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use memory_core::error::excerpt;
use serde::Serialize;

use super::args::EvalRetrievalArgs;
use super::plot;
use crate::cli::output::{DIM, GOOD, Output, TITLE, paint, warn};
use crate::cli::{Failure, progress};
use crate::eval::figures::{Figures, percentile};
use crate::eval::items::{Data, Group, Question};
use crate::eval::plain::Plain;
use crate::eval::plot::{Bars, Row as Bar};
use crate::eval::retrieval::Bench;

/// Bad lines that are told one by one.
const BAD_LINES_SHOWN: usize = 20;

/// One way of searching, measured.
#[derive(Serialize)]
struct Way {
    #[serde(flatten)]
    figures: Figures,
    latency_ms: Latency,
}

#[derive(Serialize)]
struct Latency {
    median: f64,
    p95: f64,
    max: f64,
}

#[derive(Serialize)]
struct Report {
    items: usize,
    questions: usize,
    groups: usize,
    bad_lines: Vec<String>,
    recall: Way,
    plain_full_text: Way,
    /// Share of the questions for which the cut-off says that nothing is relevant.
    nothing_relevant: f64,
}

/// What was measured of one question.
struct Asked {
    figures: Figures,
    ms: f64,
}

#[derive(Default)]
struct Measured {
    recall: Vec<Asked>,
    plain: Vec<Asked>,
    nothing_relevant: usize,
}

pub(super) async fn run(args: &EvalRetrievalArgs, out: &mut Output) -> Result<(), Failure> {
    let data = read(&args.items, &args.questions)?;
    let mut bad: Vec<String> =
        data.bad.iter().map(|bad| format!("{}:{}: {}", bad.file, bad.line, bad.problem)).collect();
    let items: usize = data.groups.iter().map(|group| group.items.len()).sum();
    let questions: usize = data.groups.iter().map(|group| group.questions.len()).sum();
    let bar = progress::records((items + questions) as u64);
    let bench = Bench::open().await?;
    let measured = measure(&data.groups, &bench, &bar, &mut bad).await;
    bar.finish_and_clear();
    bench.close().await;
    tell_bad_lines(&bad);
    let measured = measured?;
    if measured.recall.is_empty() {
        return Err(Failure::usage("there is no question to ask").hint(
            "each question needs a query and relevant_ids that are ids of items of its group",
        ));
    }
    let report = Report {
        items,
        questions: measured.recall.len(),
        groups: data.groups.len(),
        bad_lines: bad,
        nothing_relevant: measured.nothing_relevant as f64 / measured.recall.len() as f64,
        recall: Way::of(&measured.recall),
        plain_full_text: Way::of(&measured.plain),
    };
    plot::write(args.plot.plot.as_deref(), || bars(&report))?;
    if out.is_json() { out.json(&report) } else { print(&report, out) }
}

pub(super) fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    File::open(path).map(BufReader::new).map_err(|e| {
        let message = format!("cannot read {}: {e}", path.display());
        let failure =
            if path.exists() { Failure::failed(message) } else { Failure::not_found(message) };
        failure.hint("`memory-mcp eval retrieval --help` shows what the files hold")
    })
}

fn read(items: &Path, questions: &Path) -> Result<Data, Failure> {
    let (items_name, questions_name) =
        (items.display().to_string(), questions.display().to_string());
    Data::read((&items_name, open(items)?), (&questions_name, open(questions)?))
        .map_err(|e| Failure::failed(format!("cannot read {items_name} or {questions_name}: {e}")))
}

async fn measure(
    groups: &[Group],
    bench: &Bench,
    bar: &indicatif::ProgressBar,
    bad: &mut Vec<String>,
) -> Result<Measured, Failure> {
    for (number, group) in groups.iter().enumerate() {
        for (place, error) in bench.take_in(group, number, |n| bar.inc(n)).await? {
            let id = group.items.get(place).map_or("", |item| item.id.as_str());
            bad.push(format!(
                "item \"{}\" of group \"{}\": {error}",
                excerpt(id),
                excerpt(&group.name)
            ));
        }
    }
    let mut measured = Measured::default();
    for (number, group) in groups.iter().enumerate() {
        let plain = Plain::index(group)
            .await
            .map_err(|e| Failure::failed(format!("plain full text: {e}")))?;
        for question in &group.questions {
            ask(question, (number, group), bench, &plain, &mut measured).await?;
            bar.inc(1);
        }
    }
    Ok(measured)
}

async fn ask(
    question: &Question,
    (number, group): (usize, &Group),
    bench: &Bench,
    plain: &Plain,
    measured: &mut Measured,
) -> Result<(), Failure> {
    let figures = |places: &[usize]| {
        let ids: Vec<&str> = places
            .iter()
            .filter_map(|p| group.items.get(*p))
            .map(|item| item.id.as_str())
            .collect();
        Figures::of(&ids, &question.relevant)
    };
    let ms = |took: std::time::Duration| took.as_secs_f64() * 1e3;
    let found = bench.ask(&question.query, number).await?;
    measured.nothing_relevant += usize::from(found.nothing_relevant);
    measured.recall.push(Asked { figures: figures(&found.places), ms: ms(found.took) });
    let (places, took) = plain
        .search(&question.query)
        .await
        .map_err(|e| Failure::failed(format!("plain full text: {e}")))?;
    measured.plain.push(Asked { figures: figures(&places), ms: ms(took) });
    Ok(())
}

impl Way {
    fn of(asked: &[Asked]) -> Self {
        let figures: Vec<Figures> = asked.iter().map(|asked| asked.figures).collect();
        let mut ms: Vec<f64> = asked.iter().map(|asked| asked.ms).collect();
        ms.sort_by(f64::total_cmp);
        let of = |share| (percentile(&ms, share) * 1e3).round() / 1e3;
        Way {
            figures: Figures::mean(&figures),
            latency_ms: Latency { median: of(0.5), p95: of(0.95), max: of(1.0) },
        }
    }
}

pub(super) fn tell_bad_lines(bad: &[String]) {
    for line in bad.iter().take(BAD_LINES_SHOWN) {
        warn(line);
    }
    if bad.len() > BAD_LINES_SHOWN {
        warn(format_args!("{} more; --json lists them all", bad.len() - BAD_LINES_SHOWN));
    }
}

fn bars(report: &Report) -> Bars<'static> {
    let (own, plain) = (report.recall.figures.named(), report.plain_full_text.figures.named());
    let row = |((name, own), (_, plain)): ((&str, f64), (&str, f64))| Bar {
        label: name.to_owned(),
        shares: vec![own, plain],
        target: None,
    };
    Bars {
        title: "How high questions rank the items that answer them",
        unit: "mean over all questions",
        series: &["recall", "plain full text"],
        rows: own.into_iter().zip(plain).map(row).collect(),
    }
}

fn print(report: &Report, out: &mut Output) -> Result<(), Failure> {
    let count = format!(
        "{} questions about {} items in {} groups",
        report.questions, report.items, report.groups
    );
    out.line(paint(TITLE, count))?;
    out.line(format_args!("{:<10}{:>10}{:>18}{:>10}", "", "recall", "plain full text", "gain"))?;
    let ways =
        report.recall.figures.named().into_iter().zip(report.plain_full_text.figures.named());
    for ((name, own), (_, plain)) in ways {
        let gain = format!("{:>+10.3}", own - plain);
        let gain = if own > plain { paint(GOOD, gain) } else { gain };
        out.line(format_args!("{name:<10}{own:>10.3}{plain:>18.3}{gain}"))?;
    }
    let (own, plain) = (&report.recall.latency_ms, &report.plain_full_text.latency_ms);
    for (name, own, plain) in [
        ("median", own.median, plain.median),
        ("p95", own.p95, plain.p95),
        ("max", own.max, plain.max),
    ] {
        out.line(format_args!(
            "{name:<10}{:>10}{:>18}",
            format!("{own:.1} ms"),
            format!("{plain:.1} ms")
        ))?;
    }
    let note = format!(
        "Ranked without the cut-off, which says for {:.1}% of the questions that nothing is relevant. \
         Plain full text: FTS5, Porter stemmer, any content word, BM25.",
        100.0 * report.nothing_relevant
    );
    out.line(paint(DIM, note))
}
