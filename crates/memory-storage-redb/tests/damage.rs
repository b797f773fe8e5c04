//! Damaged cache files: nothing wrong is served, nobody dies of it, and the cache is built anew.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use memory_core::Episode;
use memory_core::store::{Changes, Watermark};
use memory_storage_redb::{Cache, CacheConfig, RedbMode};
use memory_testkit::generate::{self, Random};

const EPISODES: u64 = 60;
const CASES: u64 = 50;

fn open(dir: &Path) -> Cache {
    let config =
        CacheConfig { redb: RedbMode::On, dir: Some(dir.to_owned()), ..CacheConfig::default() };
    Cache::open(&config, true)
}

fn episode(n: u64) -> Arc<Episode> {
    Arc::new(generate::episode(9, n, 300 + (n as usize % 9) * 2_000))
}

fn unchanged() -> Changes {
    let watermark = Watermark { database: [9; 16], seq: 5, write_id: None };
    Changes { entries: Vec::new(), watermark, jumped: false }
}

fn fill(cache: &Cache) {
    for n in 0..EPISODES {
        cache.put(&episode(n), Instant::now());
    }
    cache.flush();
}

/// A file as a process leaves it that ended well.
fn intact() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    cache.apply(&unchanged(), true);
    fill(&cache);
    drop(cache);
    fs::read(dir.path().join("0.redb")).unwrap()
}

/// How many episodes the file has; every one that it has is the one that was put in.
fn right_ones(cache: &Cache) -> u64 {
    let mut right = 0;
    for n in 0..EPISODES {
        if let Some(entry) = cache.read_file(episode(n).id, Instant::now()) {
            assert_eq!(entry.episode(), Some(&episode(n)), "a wrong value was served");
            right += 1;
        }
    }
    right
}

/// Opens a cache on what `damage` makes of a good file, 50 times. Returns how often it was noticed.
fn survive(damage: impl Fn(&mut Random, &Path, Vec<u8>)) -> u64 {
    let good = intact();
    let mut noticed = 0;
    for case in 0..CASES {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.redb");
        damage(&mut Random::new(case), &path, good.clone());
        let cache = open(dir.path());
        let start = cache.restored().is_none();
        cache.apply(&unchanged(), start);
        let right = right_ones(&cache);
        cache.flush();
        let quarantines = cache.metrics().quarantines.get();
        assert!(right == EPISODES || quarantines == 1 || start, "case {case}: {right} kept");
        assert!(quarantines <= 1, "case {case}: {quarantines} quarantines");
        assert_eq!(dir.path().join("quarantine-1.redb").exists(), quarantines == 1);
        noticed += quarantines;

        // It goes on as if nothing had been, and so does the next process.
        fill(&cache);
        assert_eq!(right_ones(&cache), EPISODES, "case {case}: not built anew");
        drop(cache);
        let cache = open(dir.path());
        cache.apply(&unchanged(), false);
        assert_eq!(right_ones(&cache), EPISODES, "case {case}: did not survive the restart");
        assert_eq!(cache.metrics().quarantines.get(), 0);
    }
    noticed
}

#[test]
fn flipped_bits() {
    let noticed = survive(|random, path, mut bytes| {
        let at = random.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << random.below(8);
        }
        fs::write(path, bytes).unwrap();
    });
    println!("flipped bits: {noticed} of {CASES} noticed, the others were in unused parts");
    assert!(noticed > 5);
}

#[test]
fn zeroed_pages() {
    let noticed = survive(|random, path, mut bytes| {
        let pages = bytes.len() / 4096;
        let page = random.below(pages) * 4096;
        if let Some(page) = bytes.get_mut(page..page + 4096) {
            page.fill(0);
        }
        fs::write(path, bytes).unwrap();
    });
    println!("zeroed pages: {noticed} of {CASES} noticed, the others were unused");
    assert!(noticed > 5);
}

#[test]
fn truncated_files() {
    let noticed = survive(|random, path, mut bytes| {
        bytes.truncate(1 + random.below(bytes.len() - 1));
        fs::write(path, bytes).unwrap();
    });
    assert!(noticed > CASES / 2, "{noticed}");
}

#[test]
fn garbage() {
    let noticed = survive(|random, path, bytes| {
        let length = 1 + random.below(bytes.len());
        let garbage: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
        fs::write(path, garbage).unwrap();
    });
    assert_eq!(noticed, CASES);
}

#[test]
fn empty_files() {
    survive(|_, path, _| fs::write(path, b"").unwrap());
}

#[test]
fn files_of_another_version() {
    let noticed = survive(|random, path, mut bytes| {
        // redb's own version byte, right behind its magic number, god byte and padding.
        for slot in [64, 192] {
            if let Some(byte) = bytes.get_mut(slot) {
                *byte = 4 + random.below(200) as u8;
            }
        }
        fs::write(path, bytes).unwrap();
    });
    assert_eq!(noticed, CASES);
}

#[test]
fn files_of_another_format_of_ours() {
    use redb::TableDefinition;
    const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
    let noticed = survive(|random, path, bytes| {
        fs::write(path, bytes).unwrap();
        let db = redb::Database::create(path).unwrap();
        let write = db.begin_write().unwrap();
        let body = [200, random.below(127) as u8];
        let format =
            memory_core::envelope::seal(memory_core::envelope::Codec::Postcard, &body).unwrap();
        write.open_table(RECORDS).unwrap().insert("format", format.as_slice()).unwrap();
        write.commit().unwrap();
    });
    assert_eq!(noticed, CASES);
}

#[test]
fn unreadable_files() {
    let noticed = survive(|_, path, _| {
        // A directory in its place: refused whoever asks, where rights would not stop root.
        fs::create_dir(path).unwrap();
        fs::write(path.join("x"), b"x").unwrap();
    });
    assert_eq!(noticed, CASES);
}

#[test]
fn damage_under_a_running_process_is_noticed_too() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    cache.apply(&unchanged(), true);
    fill(&cache);
    drop(cache);
    let cache = open(dir.path());
    cache.apply(&unchanged(), false);
    let path = dir.path().join("0.redb");
    let zeroes = vec![0; fs::metadata(&path).unwrap().len() as usize - 8192];
    std::os::unix::fs::FileExt::write_all_at(
        &fs::OpenOptions::new().write(true).open(&path).unwrap(),
        &zeroes,
        8192,
    )
    .unwrap();
    right_ones(&cache);
    cache.flush();
    fill(&cache);
    assert_eq!(right_ones(&cache), EPISODES);
}
