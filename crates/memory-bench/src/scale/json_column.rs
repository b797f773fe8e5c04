//! What the index is compared with: a table with metadata as JSON, as a first design would have it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use libsql::{Connection, params};
use memory_storage_turso::TursoStore;
use memory_testkit::generate::Random;
use serde::{Deserialize, Serialize};

use super::load::episode;
use super::measure::{PAGE, below, list, of_ticket};
use crate::ratio::Ratio;

/// Beyond this one query takes longer than anybody would wait for a benchmark.
pub(super) const MAX_EPISODES: u64 = 100_000;

const ROUNDS: usize = 15;

/// Bytes of the payload beside the metadata, about those of the store's.
const PAYLOAD_BYTES: usize = 4096;

const LIKE: &str = "SELECT id, payload FROM episodes WHERE metadata LIKE ?1 \
     ORDER BY started_at DESC LIMIT 21";
const EXTRACT: &str = "SELECT id, payload FROM episodes WHERE json_extract(metadata, ?1) = ?2 \
     ORDER BY started_at DESC LIMIT 21";

/// Microseconds, and how many times those of the index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(super) index_us: f64,
    pub(super) like_us: f64,
    pub(super) extract_us: f64,
    pub(super) like_times: f64,
    pub(super) extract_times: f64,
}

/// One metadata query by index, by LIKE and by `json_extract`, in turns.
pub(super) async fn compare(store: &TursoStore, path: &Path, episodes: u64) -> Result<Times> {
    let database = libsql::Builder::new_local(path).build().await?;
    let connection = database.connect()?;
    fill(&connection, episodes).await?;
    let mut random = Random::new(4);
    let mut seconds = [0.0; 3];
    let (mut like_rounds, mut extract_rounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let n = below(&mut random, episodes);
        let index = list(store, of_ticket(n), None, PAGE).await?;
        let pattern = format!("%\"ticket\":{n}}}%");
        let like = rows(&connection, LIKE, params![pattern]).await?;
        let ticket = i64::try_from(n)?;
        let extract = rows(&connection, EXTRACT, params!["$.ticket", ticket]).await?;
        for (sum, second) in seconds.iter_mut().zip([index, like, extract]) {
            *sum += second * 1e6 / ROUNDS as f64;
        }
        like_rounds.push((index, like));
        extract_rounds.push((index, extract));
    }
    let [index_us, like_us, extract_us] = seconds;
    let times = |rounds: &[(f64, f64)]| Ratio::of(rounds).map(|r| r.mean).context("no rounds");
    let (like_times, extract_times) = (times(&like_rounds)?, times(&extract_rounds)?);
    Ok(Times { index_us, like_us, extract_us, like_times, extract_times })
}

async fn fill(connection: &Connection, episodes: u64) -> Result<()> {
    let schema = "PRAGMA synchronous = OFF; \
        CREATE TABLE episodes (id BLOB PRIMARY KEY, started_at INTEGER, metadata TEXT, payload BLOB); \
        CREATE INDEX episodes_by_start ON episodes (started_at); BEGIN";
    connection.execute_batch(schema).await?;
    let insert = "INSERT INTO episodes VALUES (?1, ?2, ?3, zeroblob(?4))";
    for n in 0..episodes {
        let episode = episode(n);
        let metadata = serde_json::to_string(&episode.metadata)?;
        let (id, at) = (episode.id.as_bytes().to_vec(), episode.started_at.0);
        let row = params![id, at, metadata, PAYLOAD_BYTES as i64];
        connection.execute(insert, row).await?;
    }
    connection.execute("COMMIT", ()).await?;
    Ok(())
}

/// Seconds until all rows are read.
async fn rows(
    connection: &Connection,
    sql: &str,
    params: impl libsql::params::IntoParams,
) -> Result<f64> {
    let began = Instant::now();
    let mut rows = connection.query(sql, params).await?;
    let mut found = 0;
    while let Some(row) = rows.next().await? {
        std::hint::black_box(row.get_value(1)?);
        found += 1;
    }
    if found != 1 {
        bail!("{sql} found {found} rows where there is one");
    }
    Ok(began.elapsed().as_secs_f64())
}
