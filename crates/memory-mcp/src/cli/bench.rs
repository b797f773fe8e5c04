//! `memory-mcp bench`: what the program does on this machine, and what each optimization is worth.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::{Memory, SystemClock};
use memory_storage::HybridStorage;
use memory_storage_turso::Upgrade;

use super::Failure;
use super::args::BenchArgs;
use super::output::{self, BAD, DIM, FAIR, GOOD, Output, TITLE, paint, width, wrap};
use super::session::Session;
use crate::bench::machine::Machine;
use crate::bench::{self, Baseline, Bench, Load, Outcome, ROWS, Report, Row, Servers, Workload};
use crate::config::{Place, executable_dirs};

/// Characters of the bars that the terminal is shown.
const BAR: usize = 32;

pub(super) async fn run(
    args: &BenchArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(probe) = &args.probe {
        return run_probe(probe, session, out).await;
    }
    let rows = chosen(&args.ab)?;
    if let Some(dir) = &args.report {
        // Known before the work, not after it.
        make(dir)?;
    }
    let began = Instant::now();
    let bench = prepare(args, session)?;
    let server = bench.servers.as_ref().map_or("no libSQL server".into(), Servers::describe);
    let mut report = Report {
        command: command(args),
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::observe(server),
        workload: bench.workload.name.clone(),
        quick: args.quick,
        seconds: 0.0,
        rows: Vec::new(),
        guards: Vec::new(),
        load: None,
        own: Vec::new(),
        baseline: None,
    };
    if !report.machine.release_build {
        output::warn(
            "this is a debug build: its times say little; use `cargo run --release -- bench`",
        );
    }
    let all = rows.len() == ROWS.len();
    for row in &rows {
        // One that fails is told, the others are measured all the same.
        let outcome = bench.measure(row).await;
        report.rows.push(outcome.unwrap_or_else(|e| Outcome::failed(row, &e)));
    }
    if all {
        report.guards = bench::check_guards(&bench, &report.rows).await.map_err(failed)?;
    }
    if args.baseline {
        report.baseline = Some(Baseline::measure(&bench).await.map_err(failed)?);
    }
    if all || (rows.is_empty() && !args.baseline) {
        (bench.progress)("latencies and rates of each operation");
        let remote = args.server.is_some() && rows.is_empty();
        report.load = Some(Load::measure(&bench, remote).await.map_err(failed)?);
    }
    if rows.is_empty() && !args.baseline {
        report.own = own_database(session).await?;
    }
    report.seconds = began.elapsed().as_secs_f64();
    if let Some(dir) = &args.report {
        write_report(dir, &report)?;
    }
    if out.is_json() {
        out.json(&report)?
    } else {
        tell(&report, out)?
    }
    verdict(&report)
}

/// A row that could not be measured, or a risk that is not held off, is a failure of the program.
fn verdict(report: &Report) -> Result<(), Failure> {
    let rows = report.rows.iter().filter(|row| row.verdict == bench::Verdict::Failed);
    let rows = rows.map(|row| format!("row {}", row.id));
    let risks = report.guards.iter().filter(|guard| !guard.held);
    let risks = risks.map(|guard| format!("risk \"{}\"", guard.risk));
    let bad: Vec<String> = rows.chain(risks).collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("failed: {}; the reasons are above", bad.join(", "))))
}

fn failed(e: anyhow::Error) -> Failure {
    Failure::failed(format!("{e:#}"))
}

fn command(args: &BenchArgs) -> String {
    let mut command = "memory-mcp bench".to_owned();
    for row in &args.ab {
        command += &format!(" --ab {row}");
    }
    for (flag, given) in [("--baseline", args.baseline), ("--quick", args.quick)] {
        if given {
            command += &format!(" {flag}");
        }
    }
    if let Some(server) = &args.server {
        command += &format!(" --server {server}");
    }
    if let Some(other) = &args.against {
        command += &format!(" --against {}", other.display());
    }
    command
}

fn chosen(named: &[String]) -> Result<Vec<&'static Row>, Failure> {
    let find = |name: &String| {
        bench::find(name).ok_or_else(|| {
            let ids: Vec<_> = ROWS.iter().map(|row| row.id).collect();
            let shown = memory_core::error::excerpt(name);
            Failure::usage(format!("--ab {shown}: there is no such row"))
                .hint(format!("choose all or one of {}", ids.join(", ")))
        })
    };
    let is_all = |name: &&String| name.as_str() == "all";
    let mut rows: Vec<_> =
        named.iter().filter(|name| !is_all(name)).map(find).collect::<Result<_, _>>()?;
    if named.iter().any(|name| is_all(&name)) {
        rows = ROWS.iter().collect();
    }
    // Once each.
    rows.sort_by_key(|row| row.id);
    rows.dedup_by_key(|row| row.id);
    Ok(rows)
}

fn prepare(args: &BenchArgs, session: &Session) -> Result<Bench, Failure> {
    let servers = Servers::find(args.server.as_deref(), &executable_dirs())
        .map_err(|e| Failure::usage(format!("{e:#}")))?;
    let workload = Workload::new(&args.data).map_err(failed)?;
    // The disk that the user's database is on, where there is one already.
    let data_dir = &session.config().data_dir;
    let dir = if data_dir.is_dir() { data_dir.clone() } else { std::env::temp_dir() };
    if let Some(other) = args.against.as_ref().filter(|other| !other.is_file()) {
        return Err(Failure::not_found(format!("--against {}: no such file", other.display())));
    }
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let quiet = !std::io::stderr().is_terminal();
    let progress = Arc::new(move |what: &str| {
        if quiet {
            output::say(what);
        } else {
            bar.set_message(what.to_owned());
        }
    });
    let (quick, against) = (args.quick, args.against.clone());
    Ok(Bench { quick, servers, workload, dir, against, progress })
}

/// Reads of the user's own database, if there is one of this schema with something in it.
async fn own_database(session: &Session) -> Result<Vec<bench::Operation>, Failure> {
    let place = session.place()?;
    if matches!(&place, Place::File(path) if !path.is_file()) {
        return Ok(Vec::new());
    }
    let mut config = session.config().clone();
    // Not what a benchmark is for.
    config.database.upgrade = Upgrade::Manual;
    let measured = async {
        let storage = HybridStorage::open(config.storage(place)).await?;
        let memory = Memory::new(storage, Arc::new(SystemClock));
        let measured = bench::own_database(&memory, &session.scope()).await;
        memory.store().durable().close().await;
        measured
    };
    match measured.await {
        Ok(operations) => Ok(operations.unwrap_or_default()),
        Err(e) => {
            output::warn(format_args!("your own database was left out: {e:#}"));
            Ok(Vec::new())
        }
    }
}

async fn run_probe(probe: &str, session: &Session, out: &mut Output) -> Result<(), Failure> {
    let dir = std::env::temp_dir();
    let [a, b] = match probe {
        "work" => bench::probe::work(&dir).await,
        _ => bench::probe::resident(session.config(), &dir),
    }
    .map_err(failed)?;
    out.line(format_args!("{a} {b}"))
}

fn make(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir)
        .map_err(|e| Failure::failed(format!("cannot make {}: {e}", dir.display())))
}

fn write_report(dir: &Path, report: &Report) -> Result<(), Failure> {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text)
            .map_err(|e| Failure::failed(format!("cannot write {}: {e}", path.display())))
    };
    write("report.md", &report.markdown())?;
    write("report.json", &serde_json::to_string_pretty(report)?)?;
    for (name, svg) in report.plots() {
        write(name, &svg)?;
    }
    output::say(format_args!("{} and its plots are written", dir.join("report.md").display()));
    Ok(())
}

fn tell(report: &Report, out: &mut Output) -> Result<(), Failure> {
    let Machine { processor, cores, server, load_before, .. } = &report.machine;
    out.line(paint(DIM, format_args!("{processor}, {cores} cores, load {load_before}; {server}")))?;
    out.line(paint(DIM, format_args!("workload: {}", report.workload)))?;
    for row in &report.rows {
        tell_row(row, out)?;
    }
    if !report.rows.is_empty() {
        out.gap()?;
        out.line(paint(TITLE, bench::tally(&report.rows)))?;
    }
    for guard in &report.guards {
        let (style, word) = if guard.held { (GOOD, "held") } else { (BAD, "NOT HELD") };
        out.gap()?;
        out.line(format_args!("risk: {}: {}", guard.risk, paint(style, word)))?;
        out.line(wrap(&guard.seen, "    ", width()))?;
    }
    if let Some(baseline) = &report.baseline {
        tell_baseline(baseline, out)?;
    }
    if let Some(load) = &report.load {
        out.gap()?;
        out.line(paint(TITLE, format_args!("On {}", load.place)))?;
        tell_operations(&load.operations, out)?;
        let told = [
            ("hit rate", bench::hit_rates(load)),
            ("pool", bench::pairs(&load.pool)),
            ("errors", bench::pairs(&load.errors)),
            ("process", bench::resources(load)),
        ];
        out.gap()?;
        for (name, value) in told {
            out.line(format_args!("{name:<10} {value}"))?;
        }
    }
    if !report.own.is_empty() {
        out.gap()?;
        out.line(paint(TITLE, "Your database, read"))?;
        tell_operations(&report.own, out)?;
    }
    out.line(paint(DIM, format_args!("\n{:.0} s", report.seconds)))
}

fn tell_row(row: &Outcome, out: &mut Output) -> Result<(), Failure> {
    let style = match row.verdict {
        bench::Verdict::Pays => GOOD,
        bench::Verdict::Negative => BAD,
        _ => FAIR,
    };
    out.gap()?;
    out.line(format_args!("{} {}: {}", row.id, paint(TITLE, row.name), paint(style, row.verdict)))?;
    if let Some(missing) = &row.missing {
        return out.line(wrap(missing, "    ", width()));
    }
    out.line(wrap(&bench::measured(row), "    ", width()))?;
    out.line(wrap(&bench::figures(row).join("; "), "    ", width()))?;
    let claim = format!("the plan: {} ({}); {}", row.claim, row.claim_met(), row.switch);
    out.line(paint(DIM, wrap(&claim, "    ", width())))
}

fn tell_baseline(baseline: &Baseline, out: &mut Output) -> Result<(), Failure> {
    for at in &baseline.at {
        out.gap()?;
        out.line(paint(
            TITLE,
            format_args!("Everything off against everything on: {}", bench::place(at)),
        ))?;
        out.line(paint(
            DIM,
            format_args!("{:<32}{:>10}{:>12}{:>12}   times", "ms", "plan", "off", "on"),
        ))?;
        for step in &at.steps {
            let plan = if step.plan == 0.0 { String::new() } else { bench::number(step.plan) };
            let (on, off) = (bench::number(step.timing.on), bench::number(step.timing.off));
            let ratio = step.timing.ratio.map_or("-".into(), |ratio| ratio.to_string());
            out.line(format_args!("{:<32}{plan:>10}{off:>12}{on:>12}   {ratio}", step.name))?;
        }
    }
    if !baseline.goals.is_empty() {
        out.gap()?;
        out.line(paint(TITLE, "Targets at 20 ms"))?;
    }
    for goal in &baseline.goals {
        let (style, word) = if goal.met { (GOOD, "met") } else { (BAD, "missed") };
        out.line(format_args!(
            "{:<48}{:>12}, wanted {:<10} {}",
            goal.name,
            goal.measured,
            goal.target,
            paint(style, word)
        ))?;
    }
    match baseline.missing {
        Some(missing) => out.line(format_args!("\n{}", wrap(missing, "", width()))),
        None => Ok(()),
    }
}

/// With a bar from p50 to p99 for each, on one logarithmic axis.
fn tell_operations(operations: &[bench::Operation], out: &mut Output) -> Result<(), Failure> {
    let positive = operations.iter().flat_map(|o| [o.p50, o.p99]).filter(|ms| *ms > 0.0);
    let (low, high) = positive.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let span = (high / low).ln().max(0.1);
    let place = |ms: f64| ((ms / low).max(1.0).ln() / span * (BAR - 1) as f64).round() as usize;
    let head = format!(
        "{:<32}{:>9}{:>9}{:>9}{:>11}  {}",
        "ms", "p50", "p95", "p99", "a second", "p50 to p99, logarithmic"
    );
    out.line(paint(DIM, head))?;
    for operation in operations {
        let bench::Operation { name, p50, p95, p99, per_s, .. } = operation;
        let (from, to) = (place(*p50), place(*p99));
        let bar = format!("{:from$}●{}", "", "━".repeat(to.saturating_sub(from)));
        let [p50, p95, p99, per_s] = [p50, p95, p99, per_s].map(|v| bench::number(*v));
        let bar = paint(super::output::CODE, bar);
        out.line(format_args!("{name:<32}{p50:>9}{p95:>9}{p99:>9}{per_s:>11}  {bar}"))?;
    }
    Ok(())
}
