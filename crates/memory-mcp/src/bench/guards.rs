//! The plan's four risks, each with something that must hold, done here and now.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{MetadataValue, Timestamp, WriteId};
use memory_storage_turso::Maintenance;
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

/// All four. `rows` are what was measured before.
pub(crate) async fn check(bench: &Bench, rows: &[Outcome]) -> Result<Vec<Guard>> {
    (bench.progress)("risks: migration, regression, consistency, exhaustion");
    let told = |risk, tests, seen: Result<String>| match seen {
        Ok(seen) => Guard { risk, held: true, seen, tests },
        Err(e) => Guard { risk, held: false, seen: format!("{e:#}"), tests },
    };
    Ok(vec![
        told(
            "schema migration fails",
            &["a_killed_migration_leaves_the_old_database_or_the_new_one_whole"],
            migration(bench).await,
        ),
        told(
            "performance regresses",
            &["every_local_row_runs_and_its_two_sides_differ"],
            regression(rows),
        ),
        told(
            "cache inconsistent",
            &["no_read_of_two_processes_is_older_than_the_bound"],
            consistency(bench).await,
        ),
        told(
            "pool exhausted",
            &["full_queue_refuses_early_and_loses_nothing"],
            exhaustion(bench).await,
        ),
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
            Err(memory_core::Error::Refused { .. }) => None,
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
        let saved = bench.workload.episode(PROJECT, n);
        ensure!(found.steps == saved.steps, "episode {n} is another one");
    }
    Ok(match back {
        Some(back) => format!(
            "from step {latest} to {} and back: {count} of {count} episodes as they were, backed up \
             before",
            back.to
        ),
        None => format!(
            "step {latest} cannot be taken back without loss, and was not; {count} of {count} episodes \
             as they were"
        ),
    })
}

/// Every row's two sides differ by a count that needs no clock. A row that changes nothing but when
/// things happen has no count; its guards hold it.
fn regression(rows: &[Outcome]) -> Result<String> {
    let measured: Vec<&Outcome> = rows.iter().filter(|row| row.missing.is_none()).collect();
    let (counted, timed): (Vec<&Outcome>, Vec<&Outcome>) =
        measured.into_iter().partition(|row| row.measured.figures.iter().any(|f| !f.timed));
    let names = |rows: &[&Outcome]| rows.iter().map(|row| row.id).collect::<Vec<_>>().join(", ");
    let alike: Vec<&Outcome> = counted.iter().copied().filter(|row| !row.differs).collect();
    ensure!(alike.is_empty(), "on and off count the same in rows {}", names(&alike));
    let n = counted.len();
    let said = format!("on and off differ by a count in {n} of {n} rows that have one");
    let rest = if timed.is_empty() {
        String::new()
    } else {
        format!(", those of rows {} under a clock of their own", names(&timed))
    };
    Ok(format!("{said}; tests hold the counts{rest}"))
}

/// Another process writes; what this one reads is old for the bound at most.
async fn consistency(bench: &Bench) -> Result<String> {
    let bound = Duration::from_millis(100);
    let count = bench.amount(200u64, 20);
    let writer = Side::local(bench, &[]).await?;
    writer.fill(bench, PROJECT, count).await?;
    let reader = writer.second(bench, &["cache.max_staleness_ms=100"]).await?;
    let ids: Vec<_> = (0..count).map(|n| id(PROJECT, n)).collect();
    reader.get(&ids).await?;
    let scope = Scope::All;
    let held = writer.storage()?.get(&scope, &ids).await?;
    let mut writes = Vec::new();
    for (n, episode) in (1..).zip(held.into_iter().flatten()) {
        let mut episode = episode.as_ref().clone();
        let base = episode.version;
        episode.version = base + 1;
        episode.metadata.insert("changed".into(), MetadataValue::Boolean(true));
        let write_id = WriteId::generate(Timestamp(n));
        let save = Save { episode: episode.into(), base, write_id, lessons: Vec::new() };
        writes.push(Write::Save(save));
    }
    writer.save(writes).await?;
    tokio::time::sleep(bound).await;
    let mut stale = 0;
    for found in reader.storage()?.get(&scope, &ids).await?.into_iter().flatten() {
        stale += u64::from(!found.metadata.contains_key("changed"));
    }
    ensure!(stale == 0, "{stale} of {count} reads were older than the bound");
    let checked = reader.storage()?.check_cache(|_, _| {}).await?;
    ensure!(checked.wrong == 0, "{} of {} entries were wrong", checked.wrong, checked.checked);
    Ok(format!(
        "{count} episodes changed by another process: 0 stale reads after {} ms; of {} cached entries \
         compared with the database 0 were wrong",
        bound.as_millis(),
        checked.checked
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
        tasks.spawn(async move { (n, storage.write(vec![save]).await.is_ok()) });
    }
    let (mut stored, mut refused) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        match done? {
            (n, true) => stored.push(id(PROJECT, n)),
            (_, false) => refused += 1,
        }
    }
    side.get(&stored).await.context("an acknowledged write is not there")?;
    let n = stored.len();
    ensure!(refused > 0, "nobody was refused: the queue was never full");
    Ok(format!(
        "{count} writers on a queue of 8: {n} stored and all there, {refused} refused at once"
    ))
}
