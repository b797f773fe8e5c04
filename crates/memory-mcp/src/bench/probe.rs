//! Measurements that need a process which has done nothing else. What they print is for the process
//! that asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use memory_core::store::{Changes, EpisodeStore, Scope, Watermark};
use memory_storage::HybridStorage;
use memory_storage_redb::{Cache, CacheConfig, RedbMode};
use memory_testkit::generate::{self, Random};
use memory_testkit::trace::synthetic::Zipf;

use super::Workload;
use super::world::configure;
use crate::config::Config;

const MIB: f64 = (1 << 20) as f64;

/// Seconds for loads and saves on a file without fsync, and MiB resident at the peak.
pub(crate) async fn work(dir: &Path) -> Result<[f64; 2]> {
    const EPISODES: u64 = 2_000;
    const LOADS: usize = 20_000;
    let dir = tempfile::tempdir_in(dir)?;
    let config = configure(dir.path(), &["cache.memory_bytes=0", "database.synchronous=normal"])?;
    let place = config.place().map_err(anyhow::Error::msg)?;
    let storage = HybridStorage::open(config.storage(place)).await?;
    let workload = Workload::generated();
    let saves = workload.saves("probe", 0..EPISODES);
    let ids: Vec<_> = (0..EPISODES).map(|n| super::workload::id("probe", n)).collect();
    let began = Instant::now();
    for save in saves {
        storage.write(vec![save]).await?.pop().context("no result")??;
    }
    for id in ids.iter().cycle().take(LOADS) {
        std::hint::black_box(storage.get(&Scope::All, std::slice::from_ref(id)).await?);
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok([seconds, status_mib("VmHWM:")?])
}

/// The budget of the settings and what is resident at the peak, in MiB, of a process that reads
/// through a cache of that budget, with its file, more than it can hold.
pub(crate) fn resident(config: &Config, dir: &Path) -> Result<[f64; 2]> {
    let dir = tempfile::tempdir_in(dir)?;
    let config = CacheConfig {
        memory_bytes: config.cache.memory_bytes,
        redb: RedbMode::On,
        dir: Some(dir.path().join("cache")),
        ..CacheConfig::default()
    };
    let cache = Cache::open(&config, true);
    let watermark = Watermark { database: [1; 16], seq: 1, write_id: None };
    cache.apply(&Changes { entries: Vec::new(), watermark, jumped: false }, true);
    let (zipf, mut random) = (Zipf::new(40_000, 0.9), Random::new(7));
    // About five times what fits.
    let reads = config.memory_bytes / 200;
    for _ in 0..reads {
        let n = zipf.draw(&mut random) as u64;
        let id = generate::episode(7, n, 1).id;
        if cache.get(&id).or_else(|| cache.read_file(id, Instant::now())).is_none() {
            let mark = cache.mark(Instant::now());
            let episode = Arc::new(generate::episode(7, n, 1_000 << (n % 5)));
            cache.fill(mark, id, Some(&episode));
        }
    }
    ensure!(cache.metrics().memory.evictions.get() > 100, "the cache was never full");
    Ok([config.memory_bytes as f64 / MIB, status_mib("VmHWM:")?])
}

/// A value of this process's `status` (proc(5)), in MiB.
pub(crate) fn status_mib(name: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
    let kib = line.split_whitespace().nth(1).context("no value")?.parse::<f64>()?;
    Ok(kib / 1024.0)
}

/// CPU of this process so far, all threads, in seconds; the system counts it in ticks of 10 ms.
pub(crate) fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}
