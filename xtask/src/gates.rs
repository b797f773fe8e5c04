//! What is checked, in which order, and the summary.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::run;
use crate::totals::Totals;
use crate::{Workspace, say, testkit};

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
pub(crate) fn run_all(workspace: &Workspace) -> io::Result<bool> {
    let started = Instant::now();
    let ok = testkit::install(workspace)?;
    let mut gates = vec![Gate { name: "setup", ok, took: started.elapsed() }];

    let fmt = &["fmt", "--all", "--check"];
    gates.push(gate("format", cargo(workspace, fmt), |_| {})?);
    let clippy = &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    gates.push(gate("lints", cargo(workspace, clippy), |_| {})?);
    let mut doc = cargo(workspace, &["doc", "--workspace", "--no-deps", "--locked"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    gates.push(gate("documentation", doc, |_| {})?);
    let mut totals = Totals::default();
    let test = &["test", "--workspace", "--locked", "--no-fail-fast"];
    gates.push(gate("tests", cargo(workspace, test), |line| totals.see(line))?);

    summary(&gates, &totals, started.elapsed())
}

fn gate(name: &'static str, mut command: Command, see: impl FnMut(&str)) -> io::Result<Gate> {
    let finished = run(&mut command, see)?;
    Ok(Gate { name, ok: finished.ok, took: finished.took })
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(&workspace.root);
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
    // A harness that printed nothing has proved nothing, whatever its exit code.
    let ok = gates.iter().all(|gate| gate.ok) && totals.passed > 0 && totals.failed == 0;
    if ok {
        say(&format!("all gates passed in {:.0} s\n", took.as_secs_f64()))?;
    } else {
        say("not all gates passed\n")?;
    }
    Ok(ok)
}
