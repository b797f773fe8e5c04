//! Two real processes write and read the same episodes on a real server, 100,000 operations in all,
//! each behind a line that now and then holds an answer back until after it was overtaken. Every
//! process notes what it did and when; afterwards the notes are laid beside each other.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use memory_core::store::{AppendSteps, EpisodeStore, Save, Scope, Write};
use memory_core::{Clock, Episode, EpisodeId, Step, SystemClock, Timestamp, WriteId};
use memory_storage::{CacheConfig, HybridStorage, Place, RemoteConfig};
use memory_storage_turso::TursoStore;
use memory_testkit::generate::Random;
use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::sqld::{Options, Server};
use memory_testkit::trace::synthetic::Zipf;

/// Of each of the two processes.
const OPERATIONS: u64 = 50_000;

/// One operation in so many is a write.
const WRITE_EVERY: u64 = 100;

/// Tasks of a process that work side by side.
const TASKS: u64 = 4;

const EPISODES: usize = 40;

const BOUND: Duration = Duration::from_millis(250);

/// Some seconds for an episode.
const DRIP: Fault = Fault::Drip(Duration::from_micros(100));

const URL: &str = "MEMORY_TEST_URL";
const NOTES: &str = "MEMORY_TEST_NOTES";
const SEED: &str = "MEMORY_TEST_SEED";

fn id(n: usize) -> EpisodeId {
    EpisodeId::derive(&[b"staleness", &n.to_le_bytes()])
}

async fn open(url: &str, dir: &Path) -> HybridStorage<TursoStore> {
    let turso = TursoStore::connect(RemoteConfig { warm_connections: 0, ..RemoteConfig::at(url) });
    let cache = CacheConfig {
        max_staleness: BOUND,
        dir: Some(dir.join("cache")),
        ..CacheConfig::default()
    };
    HybridStorage::new(turso.unwrap(), Place::Remote, &cache)
}

/// One process: its notes go to a file, a line for each operation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the other test, as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the only way in through the test harness")]
async fn runs() {
    let Some(notes) = std::env::var_os(NOTES).map(PathBuf::from) else { return };
    let seed: u64 = std::env::var(SEED).unwrap().parse().unwrap();
    let url = std::env::var(URL).unwrap();
    let storage = Arc::new(open(&url, notes.parent().unwrap()).await);
    let tasks: Vec<_> =
        (0..TASKS).map(|task| tokio::spawn(work(storage.clone(), seed * TASKS + task))).collect();
    let mut told = String::new();
    for task in tasks {
        told.push_str(&task.await.unwrap());
    }
    let refused = storage.cache_metrics().unwrap().refused_fills.get();
    writeln!(told, "refused {refused} 0 0").unwrap();
    let hits = storage.metrics().hits.load(std::sync::atomic::Ordering::Relaxed);
    writeln!(told, "hits {hits} 0 0").unwrap();
    std::fs::write(notes, told).unwrap();
}

async fn work(storage: Arc<HybridStorage<TursoStore>>, seed: u64) -> String {
    let (zipf, mut random) = (Zipf::new(EPISODES, 0.8), Random::new(seed));
    let mut told = String::new();
    for operation in 0..OPERATIONS / TASKS {
        let n = zipf.draw(&mut random);
        let began = SystemClock.now().0;
        if operation % WRITE_EVERY == 0 {
            let steps = vec![Step { action: format!("{seed}"), ..Step::default() }];
            let write_id = WriteId::derive(&[&seed.to_le_bytes(), &operation.to_le_bytes()]);
            let append = AppendSteps {
                id: id(n),
                scope: Scope::All,
                steps,
                first: None,
                write_id,
                recalled: vec![],
            };
            let written = storage.write(vec![Write::AppendSteps(append)]).await;
            match written.and_then(|mut results| results.remove(0)) {
                Ok(done) => {
                    writeln!(told, "wrote {n} {} {}", done.version, SystemClock.now().0).unwrap();
                }
                // Its answer took too long: nobody was told that it is stored.
                Err(e) => {
                    assert!(e.is_retryable(), "{e}");
                    writeln!(told, "unknown {n} 0 0").unwrap();
                }
            }
        } else {
            let Ok(mut found) = storage.get(&Scope::All, &[id(n)]).await else {
                writeln!(told, "unknown {n} 0 0").unwrap();
                continue;
            };
            let version = found.remove(0);
            // An answer that takes too long to confirm what is held counts as none.
            let kind = if storage.freshness().stale_possible { "marked" } else { "read" };
            writeln!(told, "{kind} {n} {} {began}", version.unwrap().version).unwrap();
        }
        // Between bursts, others' writes go unheard until somebody asks.
        if operation % 2_500 == 0 {
            tokio::time::sleep(BOUND / 2).await;
        }
    }
    told
}

struct Notes {
    /// Episode, version, when it was acknowledged.
    writes: Vec<(usize, u64, i64)>,
    /// Episode, version, when the read began.
    reads: Vec<(usize, u64, i64)>,
    /// Reads that said themselves that they may be stale.
    marked: u64,
    /// Operations without an answer in time.
    unknown: u64,
    refused: u64,
    hits: u64,
}

fn gathered(files: &[PathBuf]) -> Notes {
    let (writes, reads) = (Vec::new(), Vec::new());
    let mut notes = Notes { writes, reads, marked: 0, unknown: 0, refused: 0, hits: 0 };
    for line in files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    }) {
        let mut words = line.split(' ');
        let kind = words.next().unwrap().to_owned();
        let numbers: Vec<i64> = words.map(|word| word.parse().unwrap()).collect();
        let [first, second, at] = *numbers.as_slice() else { unreachable!() };
        match kind.as_str() {
            "wrote" => notes.writes.push((first as usize, second as u64, at)),
            "read" => notes.reads.push((first as usize, second as u64, at)),
            "marked" => notes.marked += 1,
            "unknown" => notes.unknown += 1,
            "refused" => notes.refused += first as u64,
            _ => notes.hits += first as u64,
        }
    }
    notes
}

/// For each read, how long before it a later version than it saw was acknowledged, at the most.
fn ages(notes: &Notes) -> Vec<i64> {
    let mut written: Vec<Vec<(i64, u64)>> = vec![Vec::new(); EPISODES];
    for (n, version, at) in &notes.writes {
        written.get_mut(*n).unwrap().push((*at, *version));
    }
    let age = |(n, version, at): &(usize, u64, i64)| {
        let missed = written.get(*n).unwrap().iter().filter(|(_, v)| v > version);
        missed.map(|(acknowledged, _)| at - acknowledged).max().unwrap_or(0).max(0)
    };
    notes.reads.iter().map(age).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_read_of_two_processes_is_older_than_the_bound() {
    let Some(server) = Server::start(Options::default()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let filler = open(&server.url(), &directory.path().join("filler")).await;
    for n in 0..EPISODES {
        let episode = Arc::new(Episode::start(id(n), "default", "deploy", Timestamp(1)));
        let write_id = WriteId::derive(&[id(n).as_bytes()]);
        let save = Save { episode, base: 0, write_id, lessons: Vec::new() };
        filler.write(vec![Write::Save(save)]).await.unwrap().remove(0).unwrap();
    }
    let mut children = Vec::new();
    for seed in 0..2u64 {
        let proxy = FaultProxy::start(server.address()).await;
        let place = directory.path().join(seed.to_string());
        std::fs::create_dir(&place).unwrap();
        let notes = place.join("notes");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "runs", "--nocapture"])
            .env(URL, proxy.url())
            .env(NOTES, &notes)
            .env(SEED, seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        children.push((child, proxy, notes));
    }
    let (mut running, mut turn) = (true, 0);
    while running {
        turn += 1;
        // An answer that arrives drop by drop is overtaken by others on its way.
        if turn % 20 == 0 && turn <= 120 {
            children.iter().for_each(|(_, proxy, _)| proxy.fault_next(DRIP, 1));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        running = false;
        for (child, ..) in &mut children {
            running |= child.try_wait().unwrap().is_none();
        }
    }
    let mut files = Vec::new();
    for (mut child, _, notes) in children {
        assert!(child.wait().unwrap().success());
        files.push(notes);
    }
    let notes = gathered(&files);
    let (reads, writes) = (notes.reads.len() as u64, notes.writes.len() as u64);
    assert_eq!(reads + writes + notes.marked + notes.unknown, 2 * OPERATIONS);
    let ages = ages(&notes);
    let stale = ages.iter().filter(|age| **age > 0).count();
    let oldest = Duration::from_micros(ages.iter().max().copied().unwrap_or(0) as u64);
    println!(
        "{reads} reads and {writes} writes of two processes: {} hits, {stale} reads of an earlier \
         version, the oldest by {oldest:?} with a bound of {BOUND:?}; {} late answers not kept, {} reads marked, {} operations without an answer in time",
        notes.hits, notes.refused, notes.marked, notes.unknown
    );
    assert!(oldest <= BOUND, "{oldest:?}");
    assert!(
        (notes.marked + notes.unknown) * 20 < reads && notes.hits > reads / 2 && stale > 0,
        "no test of anything"
    );
}
