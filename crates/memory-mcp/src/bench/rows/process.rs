//! What takes a process of its own: the allocator, resident memory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::task::spawn_blocking;

use crate::bench::Bench;
use crate::bench::row::{Better, Figure, Measured, Row};
use crate::bench::world::Turns;

/// What a probe in another process printed: numbers, with spaces between them.
async fn probe(program: &Path, name: &'static str, settings: &[&str]) -> Result<Vec<f64>> {
    let mut command = std::process::Command::new(program);
    command.args(["bench", "--probe", name]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("running {}", program.display()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("{} bench --probe {name}: {}", program.display(), words.trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().map(|word| Ok(word.parse()?)).collect()
}

fn own() -> Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}

/// Refuses to compare a build with itself.
fn ensure_another(own: &Path, other: &Path) -> Result<()> {
    let read =
        |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    ensure!(
        read(own)? != read(other)?,
        "--against {} is this very build; the other one is built by `cargo build --release \
         --no-default-features --target-dir target/plain`",
        other.display()
    );
    Ok(())
}

pub(super) async fn allocator(bench: &Bench, _row: &Row) -> Result<Measured> {
    let own = own()?;
    let other = bench.against.as_deref().context("there is no other build")?;
    ensure_another(&own, other)?;
    let mut turns = Turns::default();
    let (mut resident_on, mut resident_off) = (0.0, 0.0);
    let rounds = bench.amount(6, 2);
    for n in 0..rounds {
        // Each is first every other time.
        let (on, off) = if n % 2 == 0 {
            let on = probe(&own, "work", &[]).await?;
            (on, probe(other, "work", &[]).await?)
        } else {
            let off = probe(other, "work", &[]).await?;
            (probe(&own, "work", &[]).await?, off)
        };
        let (Some([seconds_on, mib_on]), Some([seconds_off, mib_off])) =
            (on.first_chunk(), off.first_chunk())
        else {
            bail!("a probe printed too little");
        };
        turns.rounds.push((*seconds_on, *seconds_off));
        resident_on += mib_on / f64::from(rounds);
        resident_off += mib_off / f64::from(rounds);
    }
    Ok(Measured {
        timing: Some(turns.timing("s, 20,000 loads and 2,000 saves", 1.0)),
        figures: vec![Figure::timed(
            "resident at the peak, MiB",
            resident_on,
            resident_off,
            Better::Neither,
        )],
        notes: vec![
            "A pool of byte buffers loses to `Vec::with_capacity` and was not built; contexts and \
             scratch buffers of each thread were. What a save and a load allocate is counted by the \
             test named here."
                .into(),
        ],
    })
}

pub(super) async fn resident(bench: &Bench, row: &Row) -> Result<Measured> {
    let own = own()?;
    let small = bench.amount(row.settings(true), vec!["cache.memory_bytes=4194304"]);
    let large = bench.amount(row.settings(false), vec!["cache.memory_bytes=8388608"]);
    let [on, off] =
        [probe(&own, "resident", &small).await?, probe(&own, "resident", &large).await?];
    let (Some([budget_on, mib_on]), Some([budget_off, mib_off])) =
        (on.first_chunk(), off.first_chunk())
    else {
        bail!("a probe printed too little");
    };
    Ok(Measured {
        timing: None,
        figures: vec![
            Figure::new("budget, MiB", *budget_on, *budget_off, Better::Neither),
            Figure::timed("resident, MiB", *mib_on, *mib_off, Better::Lower),
            Figure::timed(
                "resident beyond the budget, MiB",
                mib_on - budget_on,
                mib_off - budget_off,
                Better::Neither,
            ),
        ],
        notes: vec![
            "redb does not map memory; its pages are part of the budget. Two budgets are compared: what \
             is beyond them is the program itself and what the allocator keeps."
                .into(),
        ],
    })
}
