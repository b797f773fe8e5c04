//! What the cache costs: CPU per hit, from memory and from its file, and resident memory.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use memory_core::EpisodeId;
use memory_core::store::{Changes, EpisodeStore, Scope, Watermark};
use memory_storage::{CacheConfig, HybridStorage, RedbMode};
use memory_storage_redb::{Cache, stored};
use memory_testkit::generate::{self, Random};
use memory_testkit::trace::synthetic::Zipf;
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::figure::{Figure, percentile};

const SEED: u64 = 0xCAC4E;
const EPISODE_BYTES: usize = 4_096;

/// Episodes in the file; every round reads each so many times, from the cache and bare, in turns.
const IN_FILE: u64 = 1_000;
const TIMES_FROM_FILE: usize = 20;
const ROUNDS: usize = 15;

/// Reads of each episode in memory in a round. The system counts CPU in ticks of 4 ms: a round has to be
/// many of them.
const TIMES_FROM_MEMORY: usize = 2_000;

const BARE: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("bare");

/// CPU of a get of one episode that is in memory, the storage's whole way. `ids` are in the database.
pub(crate) async fn from_memory(store: &HybridStorage, ids: &[EpisodeId]) -> Result<Figure> {
    let mut rounds = Vec::new();
    store.get(&Scope::All, ids).await?;
    for _ in 0..20 {
        let began = cpu_seconds()?;
        for _ in 0..TIMES_FROM_MEMORY {
            for id in ids {
                let found = store.get(&Scope::All, std::slice::from_ref(id)).await?;
                black_box(found.first().and_then(Option::as_ref).context("it is missing")?);
            }
        }
        rounds.push((cpu_seconds()? - began) / (TIMES_FROM_MEMORY * ids.len()) as f64);
    }
    Ok(Figure::new("get, from memory, CPU", percentile(&mut rounds, 0.5) * 1e6, "us"))
}

/// CPU of a read from the cache file, against a get of the storage library and a decode of the
/// format's library alone.
pub(crate) fn from_file() -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let cache = Cache::open(&with_file(dir.path()), true);
    let watermark = Watermark { database: [1; 16], seq: 1, write_id: None };
    cache.apply(&Changes { entries: Vec::new(), watermark, jumped: false }, true);
    let bare = redb::Builder::new().set_cache_size(8 << 20).create(dir.path().join("bare"))?;
    let ids = fill(&cache, &bare)?;
    let (mut cached, mut parts) = (Vec::new(), Vec::new());
    let reads = ids.len() * TIMES_FROM_FILE;
    for _ in 0..ROUNDS {
        let began = cpu_seconds()?;
        for id in ids.iter().cycle().take(reads) {
            let entry = cache.read_file(*id, Instant::now()).context("it is not in the file")?;
            black_box(entry);
        }
        let between = cpu_seconds()?;
        for id in ids.iter().cycle().take(reads) {
            let table = bare.begin_read()?.open_table(BARE)?;
            let body = table.get(id.as_bytes())?.context("it is not in the bare file")?;
            black_box(stored::decode_body(body.value())?);
        }
        let ended = cpu_seconds()?;
        cached.push((between - began) / reads as f64);
        parts.push((ended - between) / reads as f64);
    }
    let mut ratios: Vec<f64> = cached.iter().zip(&parts).map(|(c, p)| c / p).collect();
    let [cached, parts] = [&mut cached, &mut parts].map(|s| percentile(s, 0.5) * 1e6);
    Ok(vec![
        Figure::new("read from the cache file, 4 KiB, CPU", cached, "us"),
        Figure::new("bare redb get and postcard decode, CPU", parts, "us"),
        Figure::new("the one by the other", percentile(&mut ratios, 0.5), "times"),
    ])
}

/// The defaults, with a file.
fn with_file(dir: &Path) -> CacheConfig {
    CacheConfig {
        memory_bytes: 64 << 20,
        redb: RedbMode::On,
        dir: Some(dir.join("cache")),
        ..CacheConfig::default()
    }
}

/// Puts the same episodes into both.
fn fill(cache: &Cache, bare: &Database) -> Result<Vec<EpisodeId>> {
    let mut ids = Vec::new();
    let write = bare.begin_write()?;
    {
        let mut table = write.open_table(BARE)?;
        for n in 0..IN_FILE {
            let episode = Arc::new(generate::episode(SEED, n, EPISODE_BYTES));
            table.insert(episode.id.as_bytes(), stored::encode_body(&episode)?.as_slice())?;
            cache.put(&episode, Instant::now());
            if n % 100 == 0 {
                cache.flush();
            }
            ids.push(episode.id);
        }
    }
    write.commit()?;
    cache.flush();
    // Nothing stays in memory but what the reads bring.
    cache.set_memory_share(0.0);
    Ok(ids)
}

/// What [`resident`] found, in MiB.
pub(crate) struct Resident {
    /// At the peak, beyond the cache's budget.
    pub(crate) beyond: f64,
    /// After all but a sixteenth of the budget was given back, beyond that.
    pub(crate) given_back: f64,
    /// The cache file.
    pub(crate) file: f64,
}

/// Reads a million episodes of 1 to 16 KB through a cache of its default size, in front of nothing:
/// what is missing is made. Then gives memory back, and goes on reading.
pub(crate) fn resident() -> Result<Resident> {
    let dir = tempfile::tempdir()?;
    let config = with_file(dir.path());
    let cache = Cache::open(&config, true);
    let watermark = Watermark { database: [1; 16], seq: 1, write_id: None };
    cache.apply(&Changes { entries: Vec::new(), watermark, jumped: false }, true);
    let mut reader = Reader {
        ids: (0..40_000).map(|n| generate::episode(SEED, n, 1).id).collect(),
        zipf: Zipf::new(40_000, 0.9),
        random: Random::new(SEED),
    };
    reader.read(&cache, 1_000_000)?;
    ensure!(cache.metrics().memory.evictions.get() > 10_000, "the cache was never full");
    let budget = mib(config.memory_bytes);
    let beyond = status_mib("VmHWM:")? - budget;
    cache.flush();
    let file = std::fs::metadata(dir.path().join("cache/0.redb"))?;
    let file = mib(std::os::unix::fs::MetadataExt::blocks(&file) * 512);
    cache.set_memory_share(0.0);
    // The allocator keeps free pages for a second.
    std::thread::sleep(Duration::from_secs(2));
    reader.read(&cache, 20_000)?;
    let given_back = status_mib("VmRSS:")? - budget / 16.0;
    Ok(Resident { beyond, given_back, file })
}

struct Reader {
    ids: Vec<EpisodeId>,
    zipf: Zipf,
    random: Random,
}

impl Reader {
    fn read(&mut self, cache: &Cache, reads: usize) -> Result<()> {
        for _ in 0..reads {
            let n = self.zipf.draw(&mut self.random);
            let id = *self.ids.get(n).context("no such episode")?;
            if cache.get(&id).or_else(|| cache.read_file(id, Instant::now())).is_none() {
                let mark = cache.mark(Instant::now());
                let episode = Arc::new(generate::episode(SEED, n as u64, 1_000 << (n % 5)));
                ensure!(episode.id == id, "the generator's ids depend on the size");
                cache.fill(mark, id, Some(&episode));
            }
        }
        Ok(())
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Seconds of CPU of this thread so far, by its `schedstat` of proc(5).
fn cpu_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split(' ').next().context("schedstat is empty")?.parse::<u64>()?;
    Ok(nanoseconds as f64 / 1e9)
}

fn status_mib(name: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
    let kib = line.split_whitespace().nth(1).context("no value")?.parse::<f64>()?;
    Ok(kib / 1024.0)
}
