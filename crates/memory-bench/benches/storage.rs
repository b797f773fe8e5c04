//! The storage on a local file, as statistics over many runs: `cargo bench -p memory-bench`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memory_core::recall::RecallQuery;
use memory_core::store::{EpisodeStore, Filter, ListQuery, Save, Scope, Write};
use memory_core::{Condition, EpisodeId, Memory, SystemClock, WriteId};
use memory_storage::{CacheConfig, DatabaseConfig, HybridConfig, HybridStorage, TursoConfig};
use memory_testkit::generate;
use tokio::runtime::Runtime;

const SEED: u64 = 0xBE;
const BYTES: usize = 4_000;
const EPISODES: u64 = 2_000;

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn save(n: u64) -> Write {
    let episode = Arc::new(generate::episode(SEED, n, BYTES));
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Write::Save(Save { episode, base: 0, write_id, lessons: Vec::new() })
}

fn id(n: u64) -> EpisodeId {
    EpisodeId::derive(&[&SEED.to_le_bytes(), &n.to_le_bytes()])
}

fn open(runtime: &Runtime, dir: &std::path::Path, memory_bytes: u64) -> HybridStorage {
    let database = DatabaseConfig::Local(TursoConfig::at(dir.join("bench.db")));
    let cache = CacheConfig { memory_bytes, ..CacheConfig::default() };
    runtime
        .block_on(HybridStorage::open(HybridConfig { database, cache, embeddings: None }))
        .unwrap()
}

fn storage(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cached = open(&runtime, dir.path(), 64 << 20);
    let bare = open(&runtime, dir.path(), 0);
    let all: Vec<Write> = (0..EPISODES).map(save).collect();
    runtime.block_on(cached.write(all)).unwrap();

    let mut next = EPISODES;
    let mut fresh = |count: u64| -> Vec<Write> {
        next += count;
        (next - count..next).map(save).collect()
    };
    let mut group = c.benchmark_group("store");
    group.bench_function("one, durable", |b| {
        b.iter_batched(
            || fresh(1),
            |writes| runtime.block_on(cached.write(writes)).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.throughput(Throughput::Elements(1_000)).sample_size(10);
    group.bench_function("batch of 1,000", |b| {
        b.iter_batched(
            || fresh(1_000),
            |writes| runtime.block_on(cached.write(writes)).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let mut group = c.benchmark_group("get");
    let some: Vec<EpisodeId> = (0..100).map(id).collect();
    let mut turn = some.iter().cycle();
    for (name, storage) in [("cached", &cached), ("from the file", &bare)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let one = turn.next().unwrap();
                let get = storage.get(&Scope::All, std::slice::from_ref(one));
                black_box(runtime.block_on(get).unwrap())
            });
        });
    }
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 from the file", |b| {
        b.iter(|| black_box(runtime.block_on(bare.get(&Scope::All, &some)).unwrap()));
    });
    group.finish();

    let mut n = 0;
    c.bench_function("metadata query", |b| {
        b.iter(|| {
            n = (n + 7) % EPISODES as i64;
            let metadata = Some(Condition::equals("ticket", n));
            let filter = Filter { metadata, ..Filter::default() };
            let query = ListQuery { scope: Scope::All, filter, after: None, limit: 20 };
            black_box(runtime.block_on(bare.list(&query)).unwrap())
        });
    });

    let memory = Memory::new(bare, Arc::new(SystemClock));
    let mut n = 0;
    c.bench_function("recall", |b| {
        b.iter_batched(
            || {
                n = (n + 13) % EPISODES;
                let task = generate::episode(SEED, n, BYTES).task_description;
                RecallQuery::new(task, Scope::Project("default".into()))
            },
            |query| black_box(runtime.block_on(memory.recall(&query)).unwrap()),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, storage);
criterion_main!(benches);
