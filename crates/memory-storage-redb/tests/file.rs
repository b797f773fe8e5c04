//! The cache file: what survives, what never comes back, and what it may cost.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use memory_core::store::{Change, Changes, Watermark};
use memory_core::{Episode, EpisodeId};
use memory_storage_redb::{Cache, CacheConfig, Policy, RedbMode};
use memory_testkit::generate;

fn config(dir: &Path) -> CacheConfig {
    CacheConfig { redb: RedbMode::On, dir: Some(dir.to_owned()), ..CacheConfig::default() }
}

fn open(dir: &Path) -> Cache {
    Cache::open(&config(dir), true)
}

fn episode(n: u64, version: u64) -> Arc<Episode> {
    let mut episode = generate::episode(7, n, 1_000 + (n as usize % 7) * 2_500);
    episode.version = version;
    Arc::new(episode)
}

fn at(seq: u64) -> Watermark {
    Watermark { database: [7; 16], seq, write_id: None }
}

fn changed(seq: u64, ids: &[(EpisodeId, Option<u64>)]) -> Changes {
    let entries = ids.iter().map(|(id, version)| Change { seq, id: *id, version: *version });
    Changes { entries: entries.collect(), watermark: at(seq), jumped: false }
}

/// A cache that has read the feed from its start.
fn started(dir: &Path) -> Cache {
    let cache = open(dir);
    cache.apply(&changed(1, &[]), true);
    cache
}

fn held(cache: &Cache, id: EpisodeId) -> Option<u64> {
    cache.read_file(id, Instant::now()).map(|entry| entry.version())
}

#[test]
fn entries_survive_a_restart_and_what_changed_meanwhile_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let cache = started(dir.path());
    for n in 0..20 {
        cache.put(&episode(n, 1), Instant::now());
    }
    drop(cache);

    let cache = open(dir.path());
    assert_eq!(cache.restored(), Some(&at(1)));
    let gone = (episode(3, 1).id, None);
    let newer = (episode(4, 1).id, Some(2));
    let known = (episode(5, 1).id, Some(1));
    cache.apply(&changed(9, &[gone, newer, known]), false);
    assert_eq!(held(&cache, gone.0), None);
    assert_eq!(held(&cache, newer.0), None);
    for n in (0..20).filter(|n| ![3, 4].contains(n)) {
        let entry = cache.read_file(episode(n, 1).id, Instant::now()).unwrap();
        assert_eq!(entry.episode(), Some(&episode(n, 1)));
    }
    drop(cache);

    let cache = open(dir.path());
    assert_eq!(cache.restored(), Some(&at(9)));
    assert_eq!((held(&cache, gone.0), held(&cache, newer.0)), (None, None));
}

#[test]
fn a_jump_of_the_feed_drops_everything_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let cache = started(dir.path());
    cache.put(&episode(1, 5), Instant::now());
    cache.apply(&Changes { entries: Vec::new(), watermark: at(2), jumped: true }, false);
    assert_eq!(held(&cache, episode(1, 5).id), None);
    drop(cache);
    assert_eq!(held(&open(dir.path()), episode(1, 5).id), None);
}

#[test]
fn a_slow_fetch_cannot_land_after_its_invalidation() {
    let dir = tempfile::tempdir().unwrap();
    let cache = started(dir.path());
    let (old, new) = (episode(1, 1), episode(1, 2));
    let mark = cache.mark(Instant::now());
    cache.apply(&changed(2, &[(old.id, Some(2))]), false);
    assert!(!cache.fill(mark, old.id, Some(&old)));
    let mark = cache.mark(Instant::now());
    cache.put(&new, Instant::now());
    assert!(!cache.fill(mark, old.id, Some(&old)));
    assert_eq!(cache.get(&old.id).unwrap().version(), 2);
    // Nor may the knowledge that it does not exist land after its creation.
    assert!(!cache.fill(mark, old.id, None));
    cache.flush();
    assert_eq!(held(&cache, old.id), Some(2));
    let mark = cache.mark(Instant::now());
    cache.clear();
    assert!(!cache.fill(mark, old.id, Some(&old)));
}

#[test]
fn forgotten_invalidations_refuse_rather_than_guess() {
    let cache = Cache::open(&CacheConfig::default(), false);
    let mark = cache.mark(Instant::now());
    for n in 0..5_000u64 {
        cache.invalidate(EpisodeId::derive(&[&n.to_le_bytes()]));
    }
    let one = episode(1, 1);
    assert!(!cache.fill(mark, one.id, Some(&one)));
    assert!(cache.fill(cache.mark(Instant::now()), one.id, Some(&one)));
}

#[test]
fn a_replaced_entry_is_never_served_from_the_file_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = started(dir.path());
    for version in 1..300 {
        cache.put(&episode(1, version), Instant::now());
        if let Some(seen) = held(&cache, episode(1, 1).id) {
            assert_eq!(seen, version);
        }
        cache.invalidate(episode(1, 1).id);
        assert_eq!(held(&cache, episode(1, 1).id), None);
    }
    assert_eq!(cache.metrics().quarantines.get(), 0);
}

#[test]
fn each_process_gets_a_file_of_its_own_and_the_ninth_does_without() {
    let dir = tempfile::tempdir().unwrap();
    let caches: Vec<Cache> = (0..9).map(|_| started(dir.path())).collect();
    assert_eq!(caches.iter().filter(|cache| cache.file().is_some()).count(), 8);
    for cache in &caches {
        cache.put(&episode(1, 1), Instant::now());
        cache.flush();
        assert_eq!(cache.get(&episode(1, 1).id).unwrap().version(), 1);
    }
    let mut names: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let slots = (0..8).map(|slot| format!("{slot}.redb"));
    assert_eq!(names, slots.chain(["README".to_owned()]).collect::<Vec<_>>());
    drop(caches);
    assert!(started(dir.path()).file().is_some());
}

#[test]
fn the_most_used_are_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cache = started(dir.path());
    for n in 0..50 {
        cache.put(&episode(n, 1), Instant::now());
        for _ in 0..n {
            cache.get(&episode(n, 1).id);
        }
    }
    drop(cache);
    let cache = open(dir.path());
    let changed = changed(2, &[(episode(48, 1).id, Some(2))]);
    cache.apply(&changed, false);
    let wanted = cache.wanted(3);
    let expected = [(49, true), (48, false), (47, true)].map(|(n, held)| (episode(n, 1).id, held));
    assert_eq!(wanted, expected);
}

#[test]
fn the_file_keeps_to_its_budget_of_allocated_pages() {
    use std::os::unix::fs::MetadataExt;
    for policy in Policy::ALL {
        let dir = tempfile::tempdir().unwrap();
        let disk_bytes = 16 << 20;
        let cache = Cache::open(&CacheConfig { disk_bytes, policy, ..config(dir.path()) }, true);
        cache.apply(&changed(1, &[]), true);
        for round in 0..4 {
            for n in 0..1_500 {
                cache.put(&episode(n, round + 1), Instant::now());
                if n % 100 == 0 {
                    cache.flush();
                    let used = std::fs::metadata(dir.path().join("0.redb")).unwrap().blocks() * 512;
                    assert!(used * 10 <= disk_bytes * 12, "{policy:?}: {used} bytes after {n}");
                }
            }
        }
        let metrics = cache.metrics();
        assert!(metrics.disk.evictions.get() > 1_000);
        assert!(metrics.disk.bytes.get() > disk_bytes / 2, "{}", metrics.disk.bytes.get());
        assert_eq!(metrics.quarantines.get(), 0);
    }
}

#[test]
fn memory_is_given_back_and_taken_again() {
    let cache =
        Cache::open(&CacheConfig { memory_bytes: 1 << 20, ..CacheConfig::default() }, false);
    let fill = || (0..400).for_each(|n| cache.put(&episode(n, 1), Instant::now()));
    fill();
    let before = cache.metrics().memory.bytes.get();
    assert!(before > 700 << 10 && before <= 1 << 20, "{before}");
    cache.set_memory_share(0.25);
    assert!(cache.metrics().memory.bytes.get() <= 256 << 10);
    fill();
    assert!(cache.metrics().memory.bytes.get() <= 256 << 10);
    cache.set_memory_share(1.0);
    fill();
    assert!(cache.metrics().memory.bytes.get() > 700 << 10);
}
