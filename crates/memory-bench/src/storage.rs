//! Figures of the library: saves, gets, recall, on a local file at full durability.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use memory_core::recall::RecallQuery;
use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{EpisodeId, Memory, SystemClock, WriteId};
use memory_storage::{CacheConfig, DatabaseConfig, HybridConfig, HybridStorage, TursoConfig};
use memory_testkit::generate;

use crate::figure::{Figure, percentile};

const SEED: u64 = 0x5EED;
const EPISODES: u64 = 2_700;
const EPISODE_BYTES: usize = 4_096;

/// Saves at 1 and 64 writers, get hot and cold, recall.
pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let store = Arc::new(open(dir.path(), CacheConfig::default().memory_bytes).await?);
    let alone = saves(&store, 0, 400, 1).await?;
    let crowd = saves(&store, 400, EPISODES, 64).await?;
    let ids: Vec<EpisodeId> =
        (0..EPISODES).map(|n| generate::episode(SEED, n, EPISODE_BYTES).id).collect();
    let some = ids.get(..200).unwrap_or(&ids);
    let hot = get(&store, some, 100).await?;
    let hot_cpu = crate::cache::from_memory(&store, some).await?;
    let uncached = open(dir.path(), 0).await?;
    let cold = get(&uncached, &ids, 1).await?;
    let mut recall = recall(store).await?;
    Ok(vec![
        Figure::new("durable saves, 1 writer, 4 KiB", alone, "saves/s"),
        Figure::new("durable saves, 64 writers, 4 KiB", crowd, "saves/s"),
        Figure::new("get, from memory", hot * 1e6, "us"),
        hot_cpu,
        Figure::new("get, from the file", cold * 1e6, "us"),
        Figure::new("recall over 2,700 episodes, p50", percentile(&mut recall, 0.5) * 1e3, "ms"),
        Figure::new("recall over 2,700 episodes, p99", percentile(&mut recall, 0.99) * 1e3, "ms"),
    ])
}

async fn open(dir: &std::path::Path, memory_bytes: u64) -> Result<HybridStorage> {
    let database = DatabaseConfig::Local(TursoConfig::at(dir.join("bench.db")));
    let cache = CacheConfig { memory_bytes, ..CacheConfig::default() };
    Ok(HybridStorage::open(HybridConfig { database, cache, embeddings: None }).await?)
}

/// Saves per second, each acknowledged before its writer goes on.
async fn saves(store: &Arc<HybridStorage>, from: u64, to: u64, writers: u64) -> Result<f64> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for n in (from + writer..to).step_by(writers as usize) {
                let episode = Arc::new(generate::episode(SEED, n, EPISODE_BYTES));
                let write_id = WriteId::derive(&[episode.id.as_bytes()]);
                let save = Save { episode, base: 0, write_id, lessons: Vec::new() };
                for result in store.write(vec![Write::Save(save)]).await? {
                    result?;
                }
            }
            Ok::<_, memory_core::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok((to - from) as f64 / began.elapsed().as_secs_f64())
}

/// Seconds per get, one id at a time; every id is read once beforehand where `rounds` is above 1.
async fn get(store: &HybridStorage, ids: &[EpisodeId], rounds: usize) -> Result<f64> {
    if rounds > 1 {
        store.get(&Scope::All, ids).await?;
    }
    let began = Instant::now();
    for _ in 0..rounds {
        for id in ids {
            let found = store.get(&Scope::All, std::slice::from_ref(id)).await?;
            black_box(found.first().and_then(Option::as_ref).context("an episode is missing")?);
        }
    }
    Ok(began.elapsed().as_secs_f64() / (rounds * ids.len()) as f64)
}

/// Seconds of each of 300 recalls, with the words of recorded tasks.
async fn recall(store: Arc<HybridStorage>) -> Result<Vec<f64>> {
    let store = Arc::into_inner(store).context("a writer still holds the store")?;
    let memory = Memory::new(store, Arc::new(SystemClock));
    let mut seconds = Vec::new();
    for n in 0..300 {
        let task = generate::episode(SEED, n * 9, EPISODE_BYTES).task_description;
        let query = RecallQuery::new(task, Scope::Project("default".into()));
        let began = Instant::now();
        black_box(memory.recall(&query).await?);
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(seconds)
}
