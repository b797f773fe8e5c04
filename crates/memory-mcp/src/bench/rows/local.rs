//! On a file: statements, the index of metadata, group commit.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libsql::{Connection, params};
use memory_core::Condition;
use memory_core::store::{EpisodeStore, Filter, ListQuery, Scope};
use memory_storage_turso::Maintenance;
use tokio::task::JoinSet;

use crate::bench::Bench;
use crate::bench::row::{Better, Figure, Measured, Row};
use crate::bench::workload::{id, save_of};
use crate::bench::world::{Pair, Side};

const PROJECT: &str = "bench";

pub(super) async fn statements(bench: &Bench, row: &Row) -> Result<Measured> {
    let pair = Pair::local(bench, &row.settings(true), &row.settings(false)).await?;
    let episodes = bench.amount(500, 50);
    pair.fill(bench, PROJECT, episodes).await?;
    let ids: Vec<_> = (0..episodes).map(|n| id(PROJECT, n)).collect();
    let (rounds, times) = (bench.amount(12, 3), bench.amount(8, 1));
    for side in pair.sides() {
        side.get_each(&ids).await?;
    }
    let turns = pair
        .in_turns(rounds, async |side, _| {
            let mut seconds = 0.0;
            for _ in 0..times {
                seconds += side.get_each(&ids).await?;
            }
            Ok(seconds)
        })
        .await?;
    let reads = ids.len() as f64 * f64::from(times);
    let all = reads * rounds as f64 / 1e3;
    Ok(Measured {
        timing: Some(turns.timing("us a read from the file", 1e6 / reads)),
        figures: vec![
            turns.figure("statements prepared per 1,000 reads", all, |c| c.prepared),
            turns.figure("statements run per 1,000 reads", all, |c| c.statements),
        ],
        notes: Vec::new(),
    })
}

const LIKE: &str = "SELECT id, payload FROM episodes WHERE metadata LIKE ?1 \
     ORDER BY started_at DESC LIMIT 21";

pub(super) async fn metadata(bench: &Bench, row: &Row) -> Result<Measured> {
    let side = Side::local(bench, &row.settings(true)).await?;
    let episodes = bench.amount(10_000u64, 500);
    side.fill(bench, PROJECT, episodes).await?;
    let path = side.file().with_file_name("json.db");
    let plain = libsql::Builder::new_local(&path).build().await?.connect()?;
    fill_json(bench, &plain, episodes).await?;
    let mut rounds = Vec::new();
    let step = (episodes / bench.amount(20, 4)).max(1);
    for (turn, n) in (0..episodes).step_by(usize::try_from(step)?).enumerate() {
        let (on, off);
        if turn % 2 == 0 {
            on = by_index(&side, n).await?;
            off = by_like(&plain, n).await?;
        } else {
            off = by_like(&plain, n).await?;
            on = by_index(&side, n).await?;
        }
        rounds.push((on, off));
    }
    let turns = crate::bench::world::Turns { rounds, ..Default::default() };
    Ok(Measured {
        timing: Some(turns.timing("us a query", 1e6)),
        figures: vec![Figure::new(
            "full scans in the query plan",
            scans_of_the_store(&side).await?,
            scans(&plain, &LIKE.replace("?1", "'%7%'")).await?,
            Better::Lower,
        )],
        notes: vec![format!(
            "Of {episodes} episodes; LIKE grows with their number, the index hardly \
             (`memory-bench scale`). No setting turns the index off: it is the schema. The plans are \
             those of the store's own statements, for getting, searching and lessons too."
        )],
    })
}

/// Seconds to find the one episode of a ticket, as the program does it.
async fn by_index(side: &Side, n: u64) -> Result<f64> {
    let began = Instant::now();
    let page = side.storage()?.list(&of_ticket(n)).await?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(page.episodes.len() == 1, "ticket {n} was found {} times", page.episodes.len());
    Ok(seconds)
}

/// The same by LIKE.
async fn by_like(plain: &Connection, n: u64) -> Result<f64> {
    let began = Instant::now();
    let mut rows = plain.query(LIKE, params![format!("%\"ticket\":{n}}}%")]).await?;
    let row = rows.next().await?.context("LIKE found nothing")?;
    std::hint::black_box(row.get_value(1)?);
    ensure!(rows.next().await?.is_none(), "LIKE found too much");
    Ok(began.elapsed().as_secs_f64())
}

/// Tables that the store's own reads go through from one end to the other.
async fn scans_of_the_store(side: &Side) -> Result<f64> {
    let database = Maintenance::open(side.config.file(side.file())).await?;
    let scans = database.full_scans().await;
    database.close().await;
    Ok(scans?.context("the file does not explain its plans")?.len() as f64)
}

fn of_ticket(n: u64) -> ListQuery {
    let ticket = i64::try_from(n).unwrap_or(i64::MAX);
    let metadata = Some(Condition::equals("ticket", ticket));
    let filter = Filter { metadata, ..Filter::default() };
    ListQuery { scope: Scope::Project(PROJECT.into()), filter, after: None, limit: 20 }
}

/// The table that the plan starts from: metadata as JSON in a column.
async fn fill_json(bench: &Bench, connection: &Connection, episodes: u64) -> Result<()> {
    let schema = "PRAGMA synchronous = OFF; \
        CREATE TABLE episodes (id BLOB PRIMARY KEY, started_at INTEGER, metadata TEXT, payload BLOB); \
        CREATE INDEX episodes_by_start ON episodes (started_at); BEGIN";
    connection.execute_batch(schema).await?;
    for n in 0..episodes {
        let mut episode = bench.workload.episode(PROJECT, n).as_ref().clone();
        // At the end, where the pattern looks for it.
        let ticket = episode.metadata.remove("ticket").context("no ticket")?;
        let mut metadata = serde_json::to_string(&episode.metadata)?;
        metadata.pop();
        let comma = if episode.metadata.is_empty() { "" } else { "," };
        metadata += &format!("{comma}\"ticket\":{}}}", serde_json::to_string(&ticket)?);
        let row = params![episode.id.as_bytes().to_vec(), episode.started_at.0, metadata, 4096];
        let insert = "INSERT INTO episodes VALUES (?1, ?2, ?3, zeroblob(?4))";
        connection.execute(insert, row).await?;
    }
    connection.execute("COMMIT", ()).await?;
    Ok(())
}

/// Tables that a query goes through from one end to the other, by its plan.
async fn scans(connection: &Connection, sql: &str) -> Result<f64> {
    let mut rows = connection.query(&format!("EXPLAIN QUERY PLAN {sql}"), ()).await?;
    let mut scans = 0.0;
    while let Some(row) = rows.next().await? {
        let detail: String = row.get(3)?;
        scans += f64::from(u8::from(detail.starts_with("SCAN")));
    }
    Ok(scans)
}

pub(super) async fn grouping(bench: &Bench, row: &Row) -> Result<Measured> {
    let pair = Pair::local(bench, &row.settings(true), &row.settings(false)).await?;
    let rounds = bench.amount(6, 2);
    let each = bench.amount(10u64, 2);
    let mut figures = Vec::new();
    let mut timing = None;
    let crowds = [
        (1, "commits per 1,000 saves, 1 writer"),
        (8, "commits per 1,000 saves, 8 writers"),
        (64, "commits per 1,000 saves, 64 writers"),
    ];
    for (writers, name) in crowds {
        let turns = pair
            .in_turns(rounds, async |side, n| {
                let project = format!("grouping-{writers}-{n}");
                let episodes: Vec<_> =
                    (0..writers * each).map(|n| bench.workload.episode(&project, n)).collect();
                let began = Instant::now();
                let mut tasks = JoinSet::new();
                for part in episodes.chunks(usize::try_from(each)?) {
                    let (storage, part) = (side.storage()?.clone(), part.to_vec());
                    tasks.spawn(async move {
                        for episode in part {
                            storage
                                .write(vec![save_of(episode)])
                                .await?
                                .pop()
                                .context("none")??;
                        }
                        Ok::<_, anyhow::Error>(())
                    });
                }
                while let Some(done) = tasks.join_next().await {
                    done??;
                }
                Ok(began.elapsed().as_secs_f64())
            })
            .await?;
        let saves = (writers * each) as f64;
        figures.push(turns.figure(name, saves * rounds as f64 / 1e3, |c| c.commits));
        timing = Some(turns.timing("us a save, 64 writers", 1e6 / saves));
    }
    Ok(Measured {
        timing,
        figures,
        notes: vec![
            "A commit is an fsync at the default durability. 1 writer waits for each.".into(),
        ],
    })
}
