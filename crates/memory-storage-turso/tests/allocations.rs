//! How many heap allocations a save and a load cost, from the call to the answer, the writer thread
//! included. One test in a binary of its own: nobody else may allocate meanwhile.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{Episode, WriteId};
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::generate;

/// Each figure may be exceeded by a tenth. A change that needs more says here why.
const SAVE: [(usize, u64); 3] = [(500, 308), (4_000, 765), (20_000, 2824)];
const LOAD: [(usize, u64); 3] = [(500, 40), (4_000, 69), (20_000, 203)];

const ROUNDS: u64 = 50;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator; it only counts and passes on")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn save(episode: &Arc<Episode>) -> Vec<Write> {
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    vec![Write::Save(Save { episode: episode.clone(), base: 0, write_id, lessons: Vec::new() })]
}

/// Allocations per save and per load of episodes of about `bytes`.
async fn count(store: &TursoStore, bytes: usize) -> (u64, u64) {
    let episodes: Vec<Arc<Episode>> =
        (0..ROUNDS * 2).map(|n| Arc::new(generate::episode(bytes as u64, n, bytes))).collect();
    let (warm_up, counted) = episodes.split_at(ROUNDS as usize);
    for episode in warm_up {
        store.write(save(episode)).await.unwrap().remove(0).unwrap();
        store.get(&Scope::All, &[episode.id]).await.unwrap();
    }
    let before = ALLOCATIONS.load(Relaxed);
    for episode in counted {
        black_box(store.write(save(episode)).await.unwrap());
    }
    let saved = ALLOCATIONS.load(Relaxed);
    for episode in counted {
        black_box(store.get(&Scope::All, &[episode.id]).await.unwrap());
    }
    let loaded = ALLOCATIONS.load(Relaxed);
    ((saved - before) / ROUNDS, (loaded - saved) / ROUNDS)
}

#[test]
fn saves_and_loads_allocate_no_more_than_they_did() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let config = TursoConfig::at(directory.path().join("memory.db"));
        let store = TursoStore::open(config).await.unwrap();
        for ((bytes, save), (_, load)) in SAVE.into_iter().zip(LOAD) {
            let (saved, loaded) = count(&store, bytes).await;
            println!("{bytes} bytes: {saved} allocations per save, {loaded} per load");
            assert!(saved <= save + save / 10, "{saved} per save of {bytes} bytes, was {save}");
            assert!(loaded <= load + load / 10, "{loaded} per load of {bytes} bytes, was {load}");
        }
    });
}
