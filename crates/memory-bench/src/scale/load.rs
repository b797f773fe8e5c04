//! Filling a file with generated episodes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use memory_core::store::{EpisodeStore, Save, Write};
use memory_core::{Episode, MetadataValue, WriteId};
use memory_storage_turso::TursoStore;
use memory_testkit::generate;

const SEED: u64 = 0x5CA1E;

/// Mean bytes of text; from half to one and a half times as many.
const MEAN_BYTES: u64 = 4096;

const BATCH: u64 = 1000;

/// Different values of `repo`: what an organisation has.
pub(super) const REPOSITORIES: u64 = 1000;

/// The `n`th episode.
pub(super) fn episode(n: u64) -> Episode {
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
    let bytes = MEAN_BYTES / 2 + spread * MEAN_BYTES / 4096;
    let mut episode = generate::episode(SEED, n, bytes as usize);
    let repository = format!("repo-{}", spread.wrapping_mul(31).wrapping_add(n) % REPOSITORIES);
    let attempts = i64::from((spread % 5) as u32) + 1;
    episode.metadata.insert("repo".into(), repository.as_str().into());
    episode.metadata.insert("attempts".into(), attempts.into());
    episode.metadata.insert("share".into(), MetadataValue::Real(spread as f64 / 4096.0));
    episode
}

/// Saves `episodes` in batches, the next one generated meanwhile. Returns episodes per second.
pub(super) async fn fill(store: &TursoStore, episodes: u64) -> Result<f64> {
    let batch = |from: u64| {
        tokio::task::spawn_blocking(move || {
            (from..episodes.min(from + BATCH)).map(|n| Write::Save(save(n))).collect::<Vec<_>>()
        })
    };
    let began = Instant::now();
    let mut next = batch(0);
    let mut from = 0;
    while from < episodes {
        let writes = next.await?;
        from += BATCH;
        next = batch(from);
        for result in store.write(writes).await? {
            result?;
        }
    }
    Ok(episodes as f64 / began.elapsed().as_secs_f64())
}

fn save(n: u64) -> Save {
    let episode = episode(n);
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Save { episode: Arc::new(episode), base: 0, write_id, lessons: Vec::new() }
}
