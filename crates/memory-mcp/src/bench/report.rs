//! Everything measured as Markdown, and its plots.

use std::fmt::Write as _;

use serde::Serialize;

use super::baseline::{At, Baseline, Step};
use super::guards::Guard;
use super::load::{Load, Operation};
use super::machine::Machine;
use super::plot::{Axis, Range, Tone, svg};
use super::ratio::Ratio;
use super::row::{Outcome, Verdict, number};

/// The plan's kinds of metrics, and where they are in a [`Load`].
pub(crate) const SIX_METRICS: [&str; 6] = [
    "latency p50, p95, p99",
    "throughput",
    "hit rate",
    "pool use",
    "errors and retries",
    "CPU, memory, bytes",
];

/// What one run of the command measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// As it was typed.
    pub(crate) command: String,
    pub(crate) version: &'static str,
    pub(crate) machine: Machine,
    pub(crate) workload: String,
    /// It shows that everything runs, not how well.
    pub(crate) quick: bool,
    pub(crate) seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rows: Vec<Outcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) guards: Vec<Guard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load: Option<Load>,
    /// The user's own database, read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) own: Vec<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Baseline>,
}

impl Report {
    /// As Markdown, with the names of the plots that [`plots`](Self::plots) has.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Machine { processor, cores, system, release_build, load_before, server } =
            &self.machine;
        writeln!(out, "`{}`\n", self.command)?;
        let build = if *release_build { "release" } else { "debug" };
        writeln!(
            out,
            "memory-mcp {}, {build} build, on {processor}, {cores} cores, {system}; {server}. Load \
             before: {load_before}. Workload: {}. {:.0} s.",
            self.version, self.workload, self.seconds
        )?;
        if self.quick {
            writeln!(out, "\nA quick run: it shows that everything runs, not how well.")?;
        }
        if !self.rows.is_empty() {
            rows(out, &self.rows)?;
        }
        if !self.guards.is_empty() {
            guards(out, &self.guards)?;
        }
        if let Some(load) = &self.load {
            writeln!(out, "\n### What a user waits for\n\nOn {}.\n", load.place)?;
            operations(out, &load.operations)?;
            writeln!(out, "\n![Latencies](latency.svg)")?;
            metrics(out, load)?;
        }
        if !self.own.is_empty() {
            writeln!(out, "\n### Your database, read\n")?;
            operations(out, &self.own)?;
        }
        if let Some(baseline) = &self.baseline {
            self::baseline(out, baseline)?;
        }
        Ok(())
    }

    /// File names and SVG.
    pub(crate) fn plots(&self) -> Vec<(&'static str, String)> {
        let mut plots = Vec::new();
        if !self.rows.is_empty() {
            plots.push(("rows.svg", rows_plot(&self.rows)));
        }
        if let Some(load) = &self.load {
            plots.push(("latency.svg", latency_plot(load)));
        }
        if let Some(baseline) = &self.baseline {
            plots.push(("baseline.svg", baseline_plot(baseline)));
        }
        plots
    }
}

fn rows(out: &mut String, rows: &[Outcome]) -> std::fmt::Result {
    writeln!(
        out,
        "\n### On against off\n\nTimes less time with it on (95% interval), and figures on / off.\n\n\
         | | optimization | switch | the plan's claim | measured | on / off | verdict | claim |\n\
         |--:|---|---|---|---|---|---|---|"
    )?;
    for row in rows {
        let Outcome { id, name, switch, claim, .. } = row;
        let (measured, figures) = match &row.missing {
            Some(_) => ("-".to_owned(), "-".to_owned()),
            None => (measured(row), figures(row).join("<br>")),
        };
        writeln!(
            out,
            "| {id} | {name} | {switch} | {claim} | {measured} | {figures} | {} | {} |",
            row.verdict,
            row.claim_met()
        )?;
    }
    writeln!(out, "\n![On against off](rows.svg)\n")?;
    not_drawn(out, rows)?;
    for row in rows {
        let words = row.missing.iter().chain(&row.measured.notes);
        let words: Vec<&str> = words.map(String::as_str).collect();
        if !words.is_empty() {
            writeln!(out, "- **{}** {}", row.id, words.join(" "))?;
        }
    }
    writeln!(out, "\nWhat holds the counts without a clock:\n\n| | tests |\n|--:|---|")?;
    for row in rows {
        writeln!(out, "| {} | {} |", row.id, quoted(row.guards))?;
    }
    Ok(())
}

/// Which rows the plot leaves out, and why.
fn not_drawn(out: &mut String, rows: &[Outcome]) -> std::fmt::Result {
    let left_out = rows.iter().filter(|row| ratio(row).is_none());
    let (unmeasured, counted): (Vec<&Outcome>, Vec<&Outcome>) =
        left_out.partition(|row| matches!(row.verdict, Verdict::NotMeasured | Verdict::Failed));
    for (why, rows) in
        [("they are judged by a count", counted), ("they were not measured", unmeasured)]
    {
        if !rows.is_empty() {
            let ids: Vec<&str> = rows.iter().map(|row| row.id).collect();
            writeln!(out, "Not drawn, because {why}: {}.\n", ids.join(", "))?;
        }
    }
    Ok(())
}

/// What the plot draws of a row.
fn ratio(row: &Outcome) -> Option<Ratio> {
    row.measured.timing.as_ref()?.ratio
}

/// The ratio and the times.
pub(crate) fn measured(row: &Outcome) -> String {
    let Some(timing) = &row.measured.timing else { return "a count".into() };
    let times = format!("{} / {} {}", number(timing.on), number(timing.off), timing.unit);
    match timing.ratio {
        Some(ratio) => format!("{} times; {times}", precise(&ratio)),
        None => times,
    }
}

/// With two digits where it is about 1.
fn precise(ratio: &Ratio) -> String {
    let Ratio { mean, low, high } = ratio;
    let digits = match *mean {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        _ => 2,
    };
    format!("{mean:.digits$} ({low:.digits$} to {high:.digits$})")
}

/// The figures, on / off.
pub(crate) fn figures(row: &Outcome) -> Vec<String> {
    row.measured.figures.iter().map(ToString::to_string).collect()
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn guards(out: &mut String, guards: &[Guard]) -> std::fmt::Result {
    writeln!(out, "\n### The plan's risks\n\n| risk | held | seen | tests |\n|---|---|---|---|")?;
    for Guard { risk, held, seen, tests } in guards {
        let held = if *held { "yes" } else { "**no**" };
        writeln!(out, "| {risk} | {held} | {seen} | {} |", quoted(tests))?;
    }
    Ok(())
}

fn operations(out: &mut String, operations: &[Operation]) -> std::fmt::Result {
    writeln!(out, "| | n | p50, ms | p95, ms | p99, ms | a second |\n|---|--:|--:|--:|--:|--:|")?;
    for Operation { name, count, p50, p95, p99, per_s } in operations {
        let [p50, p95, p99, per_s] = [p50, p95, p99, per_s].map(|v| number(*v));
        writeln!(out, "| {name} | {count} | {p50} | {p95} | {p99} | {per_s} |")?;
    }
    Ok(())
}

fn metrics(out: &mut String, load: &Load) -> std::fmt::Result {
    let [latency, throughput, hits, pool, errors, process] = SIX_METRICS;
    writeln!(out, "\n| metric | |\n|---|---|")?;
    writeln!(out, "| {latency}; {throughput} | above, for each operation |")?;
    for (name, value) in
        [(hits, hit_rates(load)), (pool, pairs(&load.pool)), (errors, pairs(&load.errors))]
    {
        writeln!(out, "| {name} | {value} |")?;
    }
    writeln!(out, "| {process} | {} |", resources(load))
}

/// Overall and by tier.
pub(crate) fn hit_rates(load: &Load) -> String {
    let mut text = format!("{:.1} % of the reads by id", load.hit_rate * 100.0);
    if let Some(cache) = &load.cache {
        let tiers = [("memory", cache.memory), ("file", cache.file), ("queries", cache.queries)];
        for (name, tier) in tiers {
            if tier.hits + tier.misses > 0 {
                let part = tier.hits as f64 * 100.0 / (tier.hits + tier.misses) as f64;
                let _ = write!(text, "; {name} {part:.1} %");
            }
        }
    }
    text
}

/// `name value` with commas between.
pub(crate) fn pairs(values: &[(&'static str, u64)]) -> String {
    values.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
}

/// CPU, memory, bytes.
pub(crate) fn resources(load: &Load) -> String {
    let Load { cpu_s, resident_mib, mb_written_or_sent, .. } = load;
    format!(
        "{cpu_s:.1} s of CPU, {resident_mib:.0} MiB resident, {mb_written_or_sent:.1} MB on disk or on the wire"
    )
}

/// Where a column of the baseline was measured.
pub(crate) fn place(at: &At) -> String {
    at.round_trip_ms.map_or("a file".into(), |ms| format!("a server {ms} ms away"))
}

fn baseline(out: &mut String, baseline: &Baseline) -> std::fmt::Result {
    writeln!(
        out,
        "\n### Everything off against everything on\n\nOff: {}. Milliseconds each; the plan does not \
         say at which distance its figures are.",
        quoted(baseline.off)
    )?;
    for at in &baseline.at {
        writeln!(
            out,
            "\n| {} | the plan's before | off | on | times (95% interval) |\n|---|--:|--:|--:|--:|",
            place(at)
        )?;
        for Step { name, plan, timing } in &at.steps {
            let plan = if *plan == 0.0 { String::new() } else { number(*plan) };
            let ratio = timing.ratio.map_or("-".into(), |ratio| precise(&ratio));
            let (on, off) = (number(timing.on), number(timing.off));
            writeln!(out, "| {name} | {plan} | {off} | {on} | {ratio} |")?;
        }
    }
    writeln!(out, "\n![Everything off against everything on](baseline.svg)")?;
    if let Some(missing) = baseline.missing {
        writeln!(out, "\nNot measured: {missing}")?;
    }
    if baseline.goals.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| 20 ms away | target | off | on | measured | |\n|---|---|--:|--:|--:|---|")?;
    for goal in &baseline.goals {
        let met = if goal.met { "met" } else { "**missed**" };
        let (on, off) = (number(goal.on), number(goal.off));
        writeln!(
            out,
            "| {}, {} | {} | {off} | {on} | {} | {met} |",
            goal.name, goal.unit, goal.target, goal.measured
        )?;
    }
    Ok(())
}

fn rows_plot(rows: &[Outcome]) -> String {
    let ranges: Vec<Range> = rows
        .iter()
        .filter_map(|row| {
            let ratio = ratio(row)?;
            Some(Range {
                label: format!("{} {}", row.id, row.name),
                told: precise(&ratio),
                low: ratio.low,
                mid: ratio.mean,
                high: ratio.high,
                tone: Tone::of_verdict(row.verdict),
            })
        })
        .collect();
    let axis = Axis {
        title: "Each optimization on against off",
        unit: "times less time with it on (95% interval)",
        reference: Some((1.0, "no difference")),
    };
    svg(&axis, &ranges)
}

fn latency_plot(load: &Load) -> String {
    let range = |operation: &Operation| Range {
        label: operation.name.into(),
        told: format!("{} / {} ms", number(operation.p50), number(operation.p99)),
        low: operation.p50,
        mid: operation.p50,
        high: operation.p99,
        tone: Tone::Good,
    };
    let ranges: Vec<Range> = load.operations.iter().map(range).collect();
    let unit = "milliseconds, p50 to p99";
    svg(&Axis { title: "What a user waits for", unit, reference: None }, &ranges)
}

fn baseline_plot(baseline: &Baseline) -> String {
    let mut ranges = Vec::new();
    for at in &baseline.at {
        for Step { name, timing, .. } in &at.steps {
            let Some(ratio) = timing.ratio else { continue };
            let ms = at.round_trip_ms.map_or("file".into(), |ms| format!("{ms} ms"));
            ranges.push(Range {
                label: format!("{ms}: {name}"),
                told: precise(&ratio),
                low: ratio.low,
                mid: ratio.mean,
                high: ratio.high,
                tone: Tone::of(&ratio),
            });
        }
    }
    let axis = Axis {
        title: "Everything on against everything off",
        unit: "times less time with everything on (95% interval)",
        reference: Some((1.0, "no difference")),
    };
    svg(&axis, &ranges)
}

/// In how many rows which verdict.
pub(crate) fn tally(rows: &[Outcome]) -> String {
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    format!(
        "{} pay, {} without effect, {} negative, {} not measured, {} failed",
        count(Verdict::Pays),
        count(Verdict::NoEffect),
        count(Verdict::Negative),
        count(Verdict::NotMeasured),
        count(Verdict::Failed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::{Measured, Timing};

    fn row(id: &'static str, verdict: Verdict, ratio: Option<f64>) -> Outcome {
        let ratio = ratio.map(|mean| Ratio { mean, low: mean * 0.9, high: mean * 1.1 });
        let timing =
            ratio.map(|ratio| Timing { unit: "ms", on: 1.0, off: 1.0, ratio: Some(ratio) });
        Outcome {
            id,
            name: "a row",
            claim: "",
            switch: String::new(),
            verdict,
            met: Vec::new(),
            differs: None,
            missing: None,
            guards: &[],
            measured: Measured { timing, ..Measured::default() },
        }
    }

    fn report(rows: Vec<Outcome>) -> Report {
        let operation =
            Operation { name: "get", count: 1, p50: 1.0, p95: 1.0, p99: 2.0, per_s: 1.0 };
        let load = Load {
            place: "a file".into(),
            operations: vec![operation],
            hit_rate: 1.0,
            cache: None,
            pool: Vec::new(),
            errors: Vec::new(),
            cpu_s: 0.0,
            resident_mib: 0.0,
            mb_written_or_sent: 0.0,
        };
        Report {
            command: String::new(),
            version: "",
            machine: Machine::observe(String::new()),
            workload: String::new(),
            quick: false,
            seconds: 0.0,
            rows,
            guards: Vec::new(),
            load: Some(load),
            own: Vec::new(),
            baseline: None,
        }
    }

    #[test]
    fn every_plot_is_shown_and_what_it_leaves_out_is_named() {
        let report = report(vec![
            row("1.1", Verdict::NotMeasured, None),
            row("2.1", Verdict::Pays, Some(2.0)),
            row("4.1", Verdict::Pays, None),
            row("7.2", Verdict::Negative, None),
        ]);
        let (markdown, plots) = (report.markdown(), report.plots());
        assert_eq!(plots.len(), 2);
        for (name, _) in &plots {
            assert_eq!(markdown.matches(&format!("]({name})")).count(), 1, "{name}\n{markdown}");
        }
        assert!(markdown.contains("because they are judged by a count: 4.1, 7.2.\n"), "{markdown}");
        assert!(markdown.contains("because they were not measured: 1.1.\n"), "{markdown}");
    }

    #[test]
    fn a_row_is_drawn_by_its_verdict() {
        let classes =
            [("good", Verdict::Pays), ("bad", Verdict::Negative), ("open", Verdict::NoEffect)];
        for (class, verdict) in classes {
            let svg = rows_plot(&[row("1.1", verdict, Some(2.0))]);
            assert!(svg.contains(&format!("<line class=\"{class}\"")), "{class}");
        }
    }

    #[test]
    fn numbers_show_what_matters_of_them() {
        let shown = [
            (0.0, "0"),
            (0.000_52, "0.00052"),
            (0.0048, "0.0048"),
            (0.012, "0.012"),
            (-0.000_52, "-0.00052"),
            (1.234, "1.23"),
            (250.4, "250"),
        ];
        for (value, text) in shown {
            assert_eq!(number(value), text);
        }
    }
}
