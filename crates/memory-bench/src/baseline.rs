//! The store against what it would cost by hand: the engine alone, with the same encoding,
//! compression, rows and text index, in the same run and taking turns.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use libsql::{Connection, Statement, Value};
use memory_core::recall::document::Document;
use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{Episode, EpisodeId, MetadataValue, Step, WriteId};
use memory_storage_turso::payload::Payloads;
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::generate;

use crate::ratio::Ratio;

const SEED: u64 = 0xBA5E;
const BYTES: usize = 4_000;

const ROUNDS: u64 = 8;
const READS: u64 = 20_000;
const SAVES: u64 = 400;
const BULK: u64 = 2_000;
const BULK_BATCH: usize = 1_000;

const INSERT: &str = "\
INSERT INTO episodes (id, project, task_type, domain, language, started_at, ended_at, outcome, reward,
    archived_at, version, write_id, step_count, text_bytes, payload)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

const INSERT_METADATA: &str = "\
INSERT INTO episode_metadata (episode, key, value, project, started_at) VALUES (?1, ?2, ?3, ?4, ?5)";

const INSERT_TEXT: &str = "\
INSERT INTO episode_text (rowid, task, context, steps, reflection) VALUES (?1, ?2, ?3, ?4, ?5)";

const INSERT_CHANGE: &str = "\
INSERT INTO changes (kind, id, version, write_id) VALUES ('episode', ?1, ?2, ?3)";

/// How many times more the store takes than the loop by hand.
pub(crate) struct Baselines {
    read: Ratio,
    save: Ratio,
    bulk: Ratio,
    /// Statements prepared for all saves and reads, statements run, connections.
    statements: [u64; 3],
}

impl std::fmt::Display for Baselines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line =
            |ratio: &Ratio| format!("{:.2} ({:.2} to {:.2})", ratio.mean, ratio.low, ratio.high);
        let [prepared, run, connections] = self.statements;
        writeln!(f, "CPU of a point read, times that of the bare engine: {}", line(&self.read))?;
        writeln!(f, "CPU of a durable save, times that of a loop by hand: {}", line(&self.save))?;
        writeln!(f, "rate of a bulk load, of that of a loop by hand: {}", line(&self.bulk))?;
        write!(f, "{prepared} statements prepared for {run} run, on {connections} connections")
    }
}

/// Measures all of it.
pub(crate) async fn measure() -> Result<Baselines> {
    let directory = tempfile::tempdir()?;
    let ours = TursoStore::open(TursoConfig::at(directory.path().join("ours.db"))).await?;
    let path = directory.path().join("bare.db");
    // For the schema alone.
    TursoStore::open(TursoConfig::at(&path)).await?.close().await;
    let bare = Bare::open(&path).await?;

    let (mut saves, mut bulks, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = 0;
    for _ in 0..ROUNDS {
        let episodes = generated(&mut next, SAVES);
        let own = cpu(async { each_saved(&ours, &episodes).await }).await?;
        let theirs = cpu(async { bare.save_each(&episodes).await }).await?;
        saves.push((theirs, own));
        let episodes = generated(&mut next, BULK);
        let began = Instant::now();
        for batch in episodes.chunks(BULK_BATCH) {
            saved(&ours, batch).await?;
        }
        let own = began.elapsed().as_secs_f64();
        let began = Instant::now();
        for batch in episodes.chunks(BULK_BATCH) {
            bare.save_together(batch).await?;
        }
        // Of rates, so the other way round than of times.
        bulks.push((own, began.elapsed().as_secs_f64()));
    }
    let ids: Vec<EpisodeId> = generated(&mut 0, 2_000).iter().map(|episode| episode.id).collect();
    for _ in 0..ROUNDS {
        let own = cpu(async { read(&ours, &ids).await }).await?;
        let theirs = cpu(async { bare.read(&ids).await }).await?;
        reads.push((theirs, own));
    }
    let metrics = ours.metrics();
    let statements = [metrics.prepared.get(), metrics.statements.get(), metrics.connections.get()];
    let ratio = |rounds: &[(f64, f64)]| Ratio::of(rounds).context("too few rounds");
    Ok(Baselines { read: ratio(&reads)?, save: ratio(&saves)?, bulk: ratio(&bulks)?, statements })
}

fn generated(next: &mut u64, count: u64) -> Vec<Arc<Episode>> {
    let from = std::mem::replace(next, *next + count);
    (from..from + count).map(|n| Arc::new(generate::episode(SEED, n, BYTES))).collect()
}

/// Seconds of CPU that the whole process takes meanwhile.
async fn cpu(work: impl Future<Output = Result<()>>) -> Result<f64> {
    let before = used()?;
    work.await?;
    Ok(used()? - before)
}

/// User and system time of this process, in seconds (proc_pid_stat(5); a tick is 10 ms).
fn used() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>().context("/proc/self/stat")? / 100.0)
}

fn write_of(episode: &Arc<Episode>) -> Write {
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Write::Save(Save { episode: episode.clone(), base: 0, write_id, lessons: Vec::new() })
}

async fn saved(store: &TursoStore, episodes: &[Arc<Episode>]) -> Result<()> {
    for result in store.write(episodes.iter().map(write_of).collect()).await? {
        result?;
    }
    Ok(())
}

async fn each_saved(store: &TursoStore, episodes: &[Arc<Episode>]) -> Result<()> {
    for episode in episodes {
        saved(store, std::slice::from_ref(episode)).await?;
    }
    Ok(())
}

async fn read(store: &TursoStore, ids: &[EpisodeId]) -> Result<()> {
    for id in ids.iter().cycle().take(READS as usize) {
        black_box(store.get(&Scope::All, std::slice::from_ref(id)).await?);
    }
    Ok(())
}

/// The engine by hand.
struct Bare {
    connection: Connection,
    payloads: Payloads,
    select: Statement,
    insert: Statement,
    metadata: Statement,
    text: Statement,
    change: Statement,
}

impl Bare {
    async fn open(path: &Path) -> Result<Self> {
        let connection = libsql::Builder::new_local(path).build().await?.connect()?;
        connection.execute("PRAGMA synchronous = FULL", ()).await?;
        let select = "SELECT version, payload FROM episodes WHERE id = ?1";
        Ok(Bare {
            payloads: Payloads::default(),
            select: connection.prepare(select).await?,
            insert: connection.prepare(INSERT).await?,
            metadata: connection.prepare(INSERT_METADATA).await?,
            text: connection.prepare(INSERT_TEXT).await?,
            change: connection.prepare(INSERT_CHANGE).await?,
            connection,
        })
    }

    async fn read(&self, ids: &[EpisodeId]) -> Result<()> {
        for id in ids.iter().cycle().take(READS as usize) {
            let mut rows = self.select.query([Value::Blob(id.as_bytes().to_vec())]).await?;
            let row = rows.next().await?.context("an episode is missing")?;
            let (version, payload): (u64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            drop(rows);
            self.select.reset();
            black_box(self.payloads.decode_episode(*id, version, &payload)?);
        }
        Ok(())
    }

    async fn save_each(&self, episodes: &[Arc<Episode>]) -> Result<()> {
        for episode in episodes {
            self.save_together(std::slice::from_ref(episode)).await?;
        }
        Ok(())
    }

    async fn save_together(&self, episodes: &[Arc<Episode>]) -> Result<()> {
        self.connection.execute("BEGIN IMMEDIATE", ()).await?;
        for episode in episodes {
            self.save(episode).await?;
        }
        self.connection.execute("COMMIT", ()).await?;
        Ok(())
    }

    async fn save(&self, e: &Episode) -> Result<()> {
        let blob = |bytes: &[u8]| Value::Blob(bytes.to_vec());
        let text = |text: &str| Value::Text(text.to_owned());
        let whole = |n: usize| Value::Integer(n as i64);
        let write_id = WriteId::derive(&[e.id.as_bytes()]);
        let bytes = e.task_description.len() + e.steps.iter().map(Step::size_bytes).sum::<usize>();
        let row = vec![
            blob(e.id.as_bytes()),
            text(&e.project),
            text(&e.task_type),
            text(&e.context.domain),
            text(&e.context.language),
            Value::Integer(e.started_at.0),
            e.ended_at.map_or(Value::Null, |at| Value::Integer(at.0)),
            text(e.state()),
            e.reward.as_ref().map_or(Value::Null, |reward| Value::Real(reward.score)),
            Value::Null,
            whole(1),
            blob(write_id.as_bytes()),
            whole(e.steps.len()),
            whole(bytes),
            Value::Blob(self.payloads.encode_episode(e)?),
        ];
        run(&self.insert, row).await?;
        let rid = self.connection.last_insert_rowid();
        for (key, value) in &e.metadata {
            let value = match value {
                MetadataValue::Text(value) => text(value),
                MetadataValue::Integer(n) => Value::Integer(*n),
                MetadataValue::Real(x) => Value::Real(*x),
                MetadataValue::Boolean(b) => text(if *b { "true" } else { "false" }),
            };
            let started = Value::Integer(e.started_at.0);
            let entry = vec![Value::Integer(rid), text(key), value, text(&e.project), started];
            run(&self.metadata, entry).await?;
        }
        let Document { task, context, steps, reflection } = Document::of(e);
        let mut fields = vec![Value::Integer(rid)];
        fields.extend([task, context, steps, reflection].map(Value::Text));
        run(&self.text, fields).await?;
        run(&self.change, vec![blob(e.id.as_bytes()), whole(1), blob(write_id.as_bytes())]).await
    }
}

async fn run(statement: &Statement, params: Vec<Value>) -> Result<()> {
    statement.execute(params).await?;
    statement.reset();
    Ok(())
}
