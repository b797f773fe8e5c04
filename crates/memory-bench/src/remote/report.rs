//! The measurements as Markdown and as plots.

use std::fmt::{self, Write as _};

use anyhow::{Context, Result};

use super::world::Cost;
use super::{Report, burst, restart};
use crate::plot::{self, BLUE, Curve, Mark, ORANGE, Panel};
use crate::ratio::Ratio;

/// The whole report.
pub(crate) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_all(&mut out, report);
    out
}

/// The part about restarts.
pub(crate) fn restart_markdown(runs: &[restart::Run]) -> String {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = restarts(&mut out, runs);
    out
}

fn write_all(out: &mut String, report: &Report) -> fmt::Result {
    let Report { machine, round_trip_ms, episode_bytes, .. } = report;
    writeln!(out, "# A libSQL server {round_trip_ms} ms away\n")?;
    let build = if machine.release_build { "release" } else { "debug (not to be quoted)" };
    writeln!(
        out,
        "{}, {} cores, {}, {}, {build} build, load {} before the run. Generated episodes of about \
         {episode_bytes} bytes of text. The server, the proxy that makes the distance and the \
         clients share the cores.\n",
        machine.processor, machine.cores, machine.system, machine.server, machine.load_before
    )?;
    save_load(out, report)?;
    operations(out, report)?;
    compression(out, report)?;
    bursts(out, &report.burst)?;
    restarts(out, &report.restart)
}

fn save_load(out: &mut String, report: &Report) -> fmt::Result {
    let it = &report.save_load;
    writeln!(out, "## Saving and loading, everything on against everything off\n")?;
    writeln!(
        out,
        "Off: a connection for every operation, a request for every statement, each episode an \
         operation of its own. {} rounds, on and off in turns; in bulk {} episodes on and {} off a \
         round.\n",
        it.rounds.len(),
        it.bulk_on_episodes,
        it.bulk_off_episodes
    )?;
    writeln!(out, "| ms per episode | on | off | times (95% interval) |\n|---|--:|--:|--:|")?;
    let mut row = |name: &str, of: &dyn Fn(&super::save_load::Round) -> (f64, f64)| {
        let (on, off) = (it.mean(|round| of(round).0), it.mean(|round| of(round).1));
        writeln!(out, "| {name} | {on:.2} | {off:.1} | {} |", shown(it.ratio(of)))
    };
    row("save", &|r| (r.on.save, r.off.save))?;
    row("load", &|r| (r.on.load, r.off.load))?;
    row("save + load", &|r| (r.on.save + r.on.load, r.off.save + r.off.load))?;
    row("save in bulk", &|r| (r.on.bulk, r.off.bulk))?;
    row("save in bulk, off but in one transaction", &|r| (r.on.bulk, r.off_in_one_transaction))?;
    let per_second = |ms: f64| 1e3 / ms;
    writeln!(
        out,
        "\nIn bulk: {:.0} episodes/s on, {:.1} off, {:.1} off but in one transaction.\n",
        per_second(it.mean(|r| r.on.bulk)),
        per_second(it.mean(|r| r.off.bulk)),
        per_second(it.mean(|r| r.off_in_one_transaction)),
    )
}

fn shown(ratio: Option<Ratio>) -> String {
    ratio.map_or("too few rounds".into(), |ratio| ratio.to_string())
}

fn operations(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## What an operation costs on the way\n")?;
    writeln!(out, "Counted at the proxy. No wire compression.\n")?;
    writeln!(
        out,
        "| | requests | connections | KB up | KB down | off: requests | connections | KB up | KB down |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for row in &report.operations {
        writeln!(out, "| {} | {} | {} |", row.name, cells(&row.on), cells(&row.off))?;
    }
    writeln!(out)
}

fn cells(cost: &Cost) -> String {
    let kb = |bytes: u64| match bytes as f64 / 1024.0 {
        kb if kb < 10.0 => format!("{kb:.1}"),
        kb => format!("{kb:.0}"),
    };
    let Cost { requests, connections, bytes_up, bytes_down } = *cost;
    format!("{requests} | {connections} | {} | {}", kb(bytes_up), kb(bytes_down))
}

fn compression(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "## Compressed answers\n")?;
    writeln!(out, "Off by default; servers refuse compressed requests.\n")?;
    writeln!(
        out,
        "| | KB down, plain | compressed | saved | median ms, plain | compressed |\n\
         |---|--:|--:|--:|--:|--:|"
    )?;
    for row in &report.compression {
        let (plain, compressed) =
            (row.plain_bytes_down as f64 / 1024.0, row.compressed_bytes_down as f64 / 1024.0);
        writeln!(
            out,
            "| {} | {plain:.1} | {compressed:.1} | {:.0}% | {:.1} | {:.1} |",
            row.name,
            (1.0 - compressed / plain) * 100.0,
            row.plain_ms,
            row.compressed_ms,
        )?;
    }
    writeln!(out)
}

fn bursts(out: &mut String, runs: &[burst::Run]) -> fmt::Result {
    writeln!(out, "## Bursts: the adaptive limit\n")?;
    writeln!(
        out,
        "Reads of one episode by so many callers, each asking again as soon as it has its answer. \
         Runs with each limit, in turns.\n"
    )?;
    writeln!(
        out,
        "| limit | callers | reads/s | p50 ms | p99 ms | limit at the end |\n\
         |---|--:|--:|--:|--:|--:|"
    )?;
    for run in runs {
        for phase in &run.phases {
            let limit = match run.adaptive {
                true => format!("{} to {}", run.min_limit, run.max_limit),
                false => format!("fixed {}", run.max_limit),
            };
            let end = phase.limit_at_end;
            if phase.callers == 0 {
                writeln!(out, "| {limit} | idle | | | | {end} |")?;
                continue;
            }
            writeln!(
                out,
                "| {limit} | {} | {:.0} | {:.1} | {:.1} | {end} |",
                phase.callers, phase.reads_per_s, phase.p50_ms, phase.p99_ms
            )?;
        }
    }
    writeln!(out, "\n![The limit and the reads over time](burst.svg)\n")
}

fn restarts(out: &mut String, runs: &[restart::Run]) -> fmt::Result {
    writeln!(out, "## A server that dies and comes back\n")?;
    writeln!(
        out,
        "Clients that each read every 100 ms, the server killed for 2 s. They notice it within \
         100 ms of each other, or all at once. A peak is that of any 10 ms.\n"
    )?;
    writeln!(
        out,
        "| noticed | | clients | requests/s before | peak while down, after 0.25 s | peak once back | failed calls | all served again after |\n\
         |---|---|--:|--:|--:|--:|--:|--:|"
    )?;
    for run in runs {
        writeln!(
            out,
            "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {} | {:.2} s |",
            if run.together { "at once" } else { "one by one" },
            if run.jitter { "full jitter" } else { "no jitter" },
            run.clients,
            run.usual_rate,
            run.peak_while_down,
            run.peak_once_back,
            run.failed_calls,
            run.recovered_after_s,
        )?;
    }
    writeln!(out, "\n![Requests over time](restart.svg)")
}

/// The limit and the throughput over time, adaptive and fixed.
pub(crate) fn burst_plot(report: &Report) -> Result<String> {
    let kinds = [(true, "adaptive", BLUE), (false, "fixed 10", ORANGE)];
    let runs: Vec<_> = kinds
        .into_iter()
        .filter_map(|(adaptive, name, color)| {
            let run = report.burst.iter().find(|run| run.adaptive == adaptive)?;
            Some((run, name, color))
        })
        .collect();
    let (first, ..) = runs.first().context("no burst was measured")?;
    let marks = || {
        let phases = first.phases.iter();
        let name = |callers| match callers {
            0 => "idle".to_owned(),
            n => format!("{n} callers"),
        };
        phases.map(|phase| Mark { at: phase.from_s, name: name(phase.callers) }).collect()
    };
    let limits = runs.iter().map(|&(run, name, color)| {
        // A step at every change, not a slope.
        let points = run.limit.windows(2).flat_map(|pair| match pair {
            [(_, before), (at, now)] => [(*at, *before as f64), (*at, *now as f64)],
            _ => [(0.0, 0.0); 2],
        });
        Curve { name, color, points: points.collect() }
    });
    let rates = runs.iter().map(|&(run, name, color)| {
        let points = smooth(&run.reads, 5, 0.1);
        Curve { name, color, points }
    });
    let title = format!("Bursts of reads, server {} ms away", report.round_trip_ms);
    let panels = [
        Panel {
            title: "Limit (reads under way at a time)",
            curves: limits.collect(),
            marks: marks(),
            highest: 0.0,
        },
        Panel {
            title: "Throughput (reads/s)",
            curves: rates.collect(),
            marks: marks(),
            highest: 0.0,
        },
    ];
    plot::svg(&title, "time (s)", &panels)
}

/// Requests over time through a restart that all notice at once, with and without jitter.
pub(crate) fn restart_plot(restarts: &[restart::Run]) -> Result<String> {
    // One scale for both, so that they can be compared.
    let counts = restarts.iter().filter(|run| run.together).flat_map(|run| &run.requests);
    let highest = counts.max().map_or(0.0, |n| *n as f64) / restart::BIN.as_secs_f64();
    let panel = |jitter, name, color, title| {
        let run = restarts.iter().find(|run| run.together && run.jitter == jitter);
        let run = run.context("no restart was measured")?;
        let points = smooth(&run.requests, 1, restart::BIN.as_secs_f64());
        let marks = vec![
            Mark { at: run.killed_at_s, name: "killed".into() },
            Mark { at: run.back_at_s, name: "back".into() },
        ];
        let curves = vec![Curve { name, color, points }];
        Ok::<_, anyhow::Error>(Panel { title, curves, marks, highest })
    };
    let panels = [
        panel(true, "full jitter", BLUE, "Requests/s, full jitter")?,
        panel(false, "no jitter", ORANGE, "Requests/s, no jitter")?,
    ];
    let clients = restarts.first().map_or(0, |run| run.clients);
    let title = format!("{clients} clients through a restart of the server");
    plot::svg(&title, "time (s)", &panels)
}

/// Counts per bin of `seconds` as a rate per second, over `width` bins at a time.
fn smooth(counts: &[u64], width: usize, seconds: f64) -> Vec<(f64, f64)> {
    let rate = |(n, bins): (usize, &[u64])| {
        let middle = (n * width) as f64 + bins.len() as f64 / 2.0;
        (middle * seconds, bins.iter().sum::<u64>() as f64 / (bins.len() as f64 * seconds))
    };
    counts.chunks(width).enumerate().map(rate).collect()
}
