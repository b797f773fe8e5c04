//! What is checked, in which order, and the summary.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::run;
use crate::say;
use crate::totals::Totals;

/// One line of the summary.
struct Gate {
    name: &'static str,
    ok: bool,
    took: Duration,
}

/// Runs every gate, also after one has failed, so that one run shows all there is to mend.
/// `Ok(true)` when all of them passed.
///
/// No gate sets `RUSTFLAGS`: the dependencies are then compiled once for lints and documentation
/// and once for the tests, and not again for each.
pub(crate) fn run_all() -> io::Result<bool> {
    let started = Instant::now();
    let mut totals = Totals::default();
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let test = cargo(&["test", "--workspace", "--no-fail-fast", "--locked"]);
    let gates = [
        gate("format", cargo(&["fmt", "--all", "--check"]), |_| {})?,
        gate("lints", cargo(&clippy), |_| {})?,
        gate("documentation", doc, |_| {})?,
        // What users build: without what tests turn on in the crates that it shares with them.
        gate("program alone", cargo(&["check", "--package", "memory-mcp", "--locked"]), |_| {})?,
        gate("tests", test, |line| totals.see(line))?,
    ];
    summary(&gates, &totals, started.elapsed())
}

fn gate(name: &'static str, mut command: Command, see: impl FnMut(&str)) -> io::Result<Gate> {
    let finished = run(&mut command, see)?;
    Ok(Gate { name, ok: finished.ok, took: finished.took })
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command
}

/// Prints a line for each gate and, only if that is what happened, that all of them passed.
fn summary(gates: &[Gate], totals: &Totals, took: Duration) -> io::Result<bool> {
    say("\n")?;
    for gate in gates {
        let verdict = if gate.ok { "ok" } else { "FAILED" };
        say(&format!("{:<14} {verdict:<7} {:>6.1} s\n", gate.name, gate.took.as_secs_f64()))?;
    }
    say(&format!("{:<14} {totals}\n", "tests run"))?;
    for name in &totals.failures {
        say(&format!("{:<14} {name}\n", "failed"))?;
    }
    // A harness that printed nothing has proved nothing, whatever its exit code.
    let ok = gates.iter().all(|gate| gate.ok) && totals.passed > 0 && totals.failed == 0;
    if ok {
        say(&format!("all gates passed in {:.0} s\n", took.as_secs_f64()))?;
    } else {
        say("not all gates passed\n")?;
    }
    Ok(ok)
}
