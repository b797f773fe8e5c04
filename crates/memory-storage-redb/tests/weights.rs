//! What entries are said to weigh, against what the allocator was asked for.
#![expect(unsafe_code, clippy::unwrap_used, reason = "an allocator is unsafe to write; tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use memory_storage_redb::{Cache, CacheConfig};
use memory_testkit::generate;

/// Counts the bytes that are allocated now.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is the system allocator's; counting touches no memory of its callers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promises are those that the system allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Fills a cache three times over with episodes of about `text` bytes. Bytes allocated for it, and
/// bytes it says it holds; after filling it and after half of it was given back.
fn fill(text: usize) -> [(usize, usize); 2] {
    let memory_bytes = 8 << 20;
    let before = ALLOCATED.load(Ordering::SeqCst);
    let cache = Cache::open(&CacheConfig { memory_bytes, ..CacheConfig::default() }, false);
    let read = |n: u64| {
        let mut episode = generate::episode(3, n, text);
        // Spare room of the generator's vectors is not the cache's.
        episode = episode.clone();
        if cache.get(&episode.id).is_none() {
            cache.fill(cache.mark(Instant::now()), episode.id, Some(&Arc::new(episode)));
        }
    };
    let count = 3 * memory_bytes / text as u64;
    (0..count).for_each(|n| read(n / 2 + n % 2));
    let measure = || {
        let said = usize::try_from(cache.metrics().memory.bytes.get()).unwrap();
        (ALLOCATED.load(Ordering::SeqCst) - before, said)
    };
    let full = measure();
    cache.set_memory_share(0.5);
    [full, measure()]
}

#[test]
fn the_cache_allocates_what_it_says_it_holds() {
    for text in [400, 4_000, 40_000] {
        let [full, halved] = fill(text);
        for (allocated, said) in [full, halved] {
            println!("{text} bytes of text: {allocated} allocated, {said} said");
            // The history of uses is bounded by itself: a megabyte at most, kept when memory is short.
            assert!(allocated <= said + (1 << 20), "{allocated} allocated, {said} said");
            assert!(allocated * 4 > said * 3, "{allocated} allocated, {said} said");
        }
        assert!(full.1 > 5 << 20 && halved.1 <= 4 << 20, "{full:?} {halved:?}");
    }
}
