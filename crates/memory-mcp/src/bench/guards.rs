//! The plan's four risks, each with something that must hold, done here and now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{Error, MetadataValue, Timestamp, WriteId};
use memory_storage_turso::{Maintenance, SchemaChange};
use serde::Serialize;
use tokio::task::JoinSet;

use super::Bench;
use super::row::Outcome;
use super::workload::{id, save_of};
use super::world::Side;

/// A risk and whether its guard held.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Guard {
    pub(crate) risk: &'static str,
    pub(crate) held: bool,
    /// With figures.
    pub(crate) seen: String,
    pub(crate) tests: &'static [&'static str],
}

const PROJECT: &str = "guards";

/// The tests that hold off the risks without a clock.
const MIGRATION: &str = "a_killed_migration_leaves_the_old_database_or_the_new_one_whole";
const REGRESSION: &str = "every_local_row_runs_and_its_two_sides_differ";
const CONSISTENCY: &str = "no_read_of_two_processes_is_older_than_the_bound";
const EXHAUSTION: &str = "full_queue_refuses_early_and_loses_nothing";

#[cfg(test)]
pub(crate) const TESTS: [&str; 4] = [MIGRATION, REGRESSION, CONSISTENCY, EXHAUSTION];

/// All four. `rows` are what was measured before.
pub(crate) async fn check(bench: &Bench, rows: &[Outcome]) -> Result<Vec<Guard>> {
    (bench.progress)("risks: migration, regression, consistency, exhaustion");
    let told = |risk, tests, seen: Result<String>| match seen {
        Ok(seen) => Guard { risk, held: true, seen, tests },
        Err(e) => Guard { risk, held: false, seen: format!("{e:#}"), tests },
    };
    Ok(vec![
        told("schema migration fails", &[MIGRATION], migration(bench).await),
        told("performance regresses", &[REGRESSION], regression(rows)),
        told("cache inconsistent", &[CONSISTENCY], consistency(bench).await),
        told("pool exhausted", &[EXHAUSTION], exhaustion(bench).await),
    ])
}

/// One step of the schema back and forward again, with everything as it was.
async fn migration(bench: &Bench) -> Result<String> {
    let mut side = Side::local(bench, &[]).await?;
    let count = bench.amount(500, 50);
    side.fill(bench, PROJECT, count).await?;
    side.close().await?;
    let database = Maintenance::open(side.config.file(side.file())).await?;
    let latest = database.steps().await?.len();
    let back = match latest {
        0 | 1 => None,
        latest => match database.migrate(Some(latest - 1)).await {
            Ok(change) => Some(change),
            Err(Error::Refused { .. }) => None,
            Err(e) => return Err(e.into()),
        },
    };
    let forward = database.migrate(None).await?;
    database.close().await;
    ensure!(forward.to == latest, "it stands at step {} of {latest}", forward.to);
    side.open().await?;
    let ids: Vec<_> = (0..count).map(|n| id(PROJECT, n)).collect();
    for (n, found) in (0..).zip(side.storage()?.get(&Scope::All, &ids).await?) {
        let found = found.with_context(|| format!("episode {n} is gone"))?;
        let mut saved = bench.workload.episode(PROJECT, n);
        // The store counts versions itself.
        Arc::make_mut(&mut saved).version = found.version;
        ensure!(found == saved, "episode {n} is another one");
    }
    Ok(match back {
        Some(back) => format!(
            "from step {latest} to {} and back: {count} of {count} episodes as they were, backed up \
             before each change ({} and {} bytes)",
            back.to,
            backed_up(&back)?,
            backed_up(&forward)?
        ),
        None => format!(
            "step {latest} cannot be taken back without loss, and was not; {count} of {count} episodes \
             as they were"
        ),
    })
}

/// The bytes of a change's backup, which must be there.
fn backed_up(change: &SchemaChange) -> Result<u64> {
    let SchemaChange { from, to, backup } = change;
    let path = backup.as_deref().with_context(|| format!("no backup before {from} to {to}"))?;
    let found = std::fs::metadata(path);
    let bytes = found.with_context(|| format!("the backup {}", path.display()))?.len();
    ensure!(bytes > 0, "the backup {} is empty", path.display());
    Ok(bytes)
}

/// Every row's two sides differ by a count that needs no clock. A row that changes nothing but when
/// things happen has no count; its guards hold it.
fn regression(rows: &[Outcome]) -> Result<String> {
    let measured: Vec<&Outcome> = rows.iter().filter(|row| row.missing.is_none()).collect();
    let (counted, timed): (Vec<&Outcome>, Vec<&Outcome>) =
        measured.into_iter().partition(|row| row.differs.is_some());
    let names = |rows: &[&Outcome]| rows.iter().map(|row| row.id).collect::<Vec<_>>().join(", ");
    let alike: Vec<&Outcome> =
        counted.iter().copied().filter(|row| row.differs == Some(false)).collect();
    ensure!(alike.is_empty(), "on is not better by what its row demands in rows {}", names(&alike));
    let n = counted.len();
    let said = format!("on is better by what its row demands in {n} of {n} rows that have a count");
    let rest = if timed.is_empty() {
        String::new()
    } else {
        format!(", those of rows {} under a clock of their own", names(&timed))
    };
    Ok(format!("{said}; tests hold the counts{rest}"))
}

/// How old a read of a file may be with the default settings. On a file no setting makes it longer.
const FILE_BOUND: Duration = Duration::from_millis(100);

/// Another process writes; what this one reads is old for the bound at most.
async fn consistency(bench: &Bench) -> Result<String> {
    let count = bench.amount(200u64, 20);
    let writer = Side::local(bench, &[]).await?;
    writer.fill(bench, PROJECT, count).await?;
    let reader = writer.second(bench, &[]).await?;
    let ids: Vec<_> = (0..count).map(|n| id(PROJECT, n)).collect();
    // The second time they come from its cache.
    reader.get(&ids).await?;
    reader.get(&ids).await?;
    ensure!(reader.counts()?.hits >= count, "the reader's cache was not used");
    let scope = Scope::All;
    let held = writer.storage()?.get(&scope, &ids).await?;
    let mut writes = Vec::new();
    for (n, episode) in (1..).zip(held) {
        let mut episode = Arc::unwrap_or_clone(episode.context("an episode is missing")?);
        let base = episode.version;
        episode.version = base + 1;
        episode.metadata.insert("changed".into(), MetadataValue::Boolean(true));
        let write_id = WriteId::generate(Timestamp(n));
        let save = Save { episode: episode.into(), base, write_id, lessons: Vec::new() };
        writes.push(Write::Save(save));
    }
    writer.save(writes).await?;
    tokio::time::sleep(FILE_BOUND).await;
    let (mut read, mut stale) = (0, 0);
    for found in reader.storage()?.get(&scope, &ids).await?.into_iter().flatten() {
        read += 1;
        stale += u64::from(!found.metadata.contains_key("changed"));
    }
    ensure!(read == count, "{read} of {count} episodes came back");
    ensure!(stale == 0, "{stale} of {count} reads were older than the bound");
    let checked = reader.storage()?.check_cache(|_, _| {}).await?;
    let compared = u64::try_from(checked.checked)?;
    ensure!(compared >= count, "{compared} of {count} episodes were cached");
    ensure!(checked.wrong == 0, "{} of {} entries were wrong", checked.wrong, checked.checked);
    Ok(format!(
        "{count} episodes changed by another process: 0 of {read} reads stale after {} ms, the bound \
         on a file; of {compared} cached entries compared with the database 0 were wrong",
        FILE_BOUND.as_millis()
    ))
}

/// More writers than the queue takes: each is served or refused, none is lost.
async fn exhaustion(bench: &Bench) -> Result<String> {
    let side = Side::local(bench, &["database.queue=8", "database.max_group=1"]).await?;
    let count = bench.amount(400, 60);
    let mut tasks = JoinSet::new();
    for n in 0..count {
        let storage = side.storage()?.clone();
        let save = save_of(bench.workload.episode(PROJECT, n));
        tasks.spawn(async move {
            let began = Instant::now();
            let results = storage.write(vec![save]).await;
            let written = results.and_then(|each| each.into_iter().collect::<Result<Vec<_>, _>>());
            (n, written, began.elapsed())
        });
    }
    let (mut stored, mut refused, mut slowest) = (Vec::new(), 0, Duration::ZERO);
    while let Some(done) = tasks.join_next().await {
        match done? {
            (n, Ok(_), _) => stored.push(id(PROJECT, n)),
            (_, Err(Error::Overloaded { .. }), took) => {
                refused += 1;
                slowest = slowest.max(took);
            }
            (n, Err(e), _) => return Err(anyhow!(e).context(format!("writer {n} failed"))),
        }
    }
    side.get(&stored).await.context("an acknowledged write is not there")?;
    let n = stored.len();
    ensure!(refused > 0, "nobody was refused: the queue was never full");
    Ok(format!(
        "{count} writers on a queue of 8: {n} stored and all there, {refused} refused, the slowest \
         after {:.1} ms",
        slowest.as_secs_f64() * 1e3
    ))
}
