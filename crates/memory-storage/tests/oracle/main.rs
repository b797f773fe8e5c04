//! Two storages with caches on one real database, against what the database itself holds: whatever
//! happens in between, a read that is not marked as possibly stale returns exactly that.
//!
//! - `shaky`: the database, with a connection that fails on command
//! - `sequences`: what once failed
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod sequences;
mod shaky;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memory_core::store::{
    AppendSteps, EpisodeStore, Filter, Forget, LessonQuery, ListQuery, Save, Scope, Write,
};
use memory_core::{Episode, EpisodeId, Outcome, OutcomeKind, Step, Timestamp, WriteId};
use memory_storage::{CacheConfig, HybridStorage, Place, RedbMode, Synchronous, TursoConfig};
use memory_storage_turso::TursoStore;
use memory_testkit::rounds::{Rounds, size};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use shaky::Shaky;

const IDS: u8 = 5;

/// Operations of a case.
fn operations() -> usize {
    size(60, 100)
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Save { who: u8, n: u8, complete: bool },
    SaveOnAnOldVersion { who: u8, n: u8 },
    Append { who: u8, n: u8 },
    Forget { who: u8, n: u8 },
    Get { who: u8, n: u8 },
    GetAll { who: u8 },
    Recollect { who: u8 },
    List { who: u8 },
    NextWrite { fails: u8 },
    Outage { on: bool },
    Reopen { who: u8 },
    DamageAndReopen { who: u8, at: u16 },
}

impl Op {
    /// The same by the only client there is.
    fn by(mut self, clients: Clients) -> Self {
        use Op::*;
        if let Save { who, .. }
        | SaveOnAnOldVersion { who, .. }
        | Append { who, .. }
        | Forget { who, .. }
        | Get { who, .. }
        | GetAll { who }
        | Recollect { who }
        | List { who }
        | Reopen { who }
        | DamageAndReopen { who, .. } = &mut self
            && clients == Clients::One
        {
            *who = 0;
        }
        self
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (who, n) = (0..2u8, 0..IDS);
    let pair = (who.clone(), n);
    let op = prop_oneof![
        5 => (pair.clone(), any::<bool>())
            .prop_map(|((who, n), complete)| Op::Save { who, n, complete }),
        1 => pair.clone().prop_map(|(who, n)| Op::SaveOnAnOldVersion { who, n }),
        4 => pair.clone().prop_map(|(who, n)| Op::Append { who, n }),
        1 => pair.clone().prop_map(|(who, n)| Op::Forget { who, n }),
        8 => pair.prop_map(|(who, n)| Op::Get { who, n }),
        3 => who.clone().prop_map(|who| Op::GetAll { who }),
        2 => who.clone().prop_map(|who| Op::Recollect { who }),
        3 => who.clone().prop_map(|who| Op::List { who }),
        2 => (1..3u8).prop_map(|fails| Op::NextWrite { fails }),
        2 => prop::bool::weighted(0.3).prop_map(|on| Op::Outage { on }),
        1 => who.clone().prop_map(|who| Op::Reopen { who }),
        1 => (who, any::<u16>()).prop_map(|(who, at)| Op::DamageAndReopen { who, at }),
    ];
    prop::collection::vec(op, operations())
}

/// What one case works with. Each case has ids and a project of its own, on the same database.
struct World {
    shaky: Shaky,
    dirs: [tempfile::TempDir; 2],
    storages: [Option<HybridStorage<Shaky>>; 2],
    clients: Clients,
    case: u64,
    /// Everything that each id was ever seen to be, for reads that may be stale.
    been: Vec<HashSet<String>>,
    writes: u64,
}

fn shown(episode: Option<&Arc<Episode>>) -> String {
    format!("{episode:?}")
}

/// Who works on the database.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Clients {
    /// Two storages, so every read has to be confirmed: then what is right does not depend on time.
    Two,
    /// One storage that asks nobody: what it wrote itself it must know.
    One,
}

impl World {
    async fn new(store: Arc<TursoStore>, case: u64, clients: Clients) -> Self {
        let shaky = Shaky {
            store,
            next_write: Arc::default(),
            outage: Arc::default(),
            deaf: Arc::default(),
        };
        let dirs = [directory(), directory()];
        let open = |who: usize| Some(open(&shaky, dirs[who].path().to_owned(), clients));
        let storages = [open(0), open(1)];
        let been = vec![HashSet::from([shown(None)]); IDS as usize];
        World { shaky, dirs, storages, clients, case, been, writes: 0 }
    }

    fn id(&self, n: u8) -> EpisodeId {
        EpisodeId::derive(&[&self.case.to_le_bytes(), &[n]])
    }

    fn project(&self) -> String {
        format!("case {}", self.case)
    }

    fn storage(&self, who: u8) -> &HybridStorage<Shaky> {
        self.storages[who as usize].as_ref().unwrap()
    }

    async fn truth(&self, n: u8) -> Option<Arc<Episode>> {
        self.shaky.store.get(&Scope::All, &[self.id(n)]).await.unwrap().remove(0)
    }

    async fn note(&mut self) {
        let ids: Vec<EpisodeId> = (0..IDS).map(|n| self.id(n)).collect();
        let now = self.shaky.store.get(&Scope::All, &ids).await.unwrap();
        for (been, now) in self.been.iter_mut().zip(&now) {
            been.insert(shown(now.as_ref()));
        }
    }

    fn write_id(&mut self) -> WriteId {
        self.writes += 1;
        WriteId::derive(&[&self.case.to_le_bytes(), &self.writes.to_le_bytes()])
    }

    async fn write(&mut self, who: u8, write: Write) {
        // Refusals and lost answers are part of the game.
        let _ = self.storage(who).write(vec![write]).await;
        self.note().await;
    }

    async fn save(&mut self, who: u8, n: u8, complete: bool, behind: u64) {
        let truth = self.truth(n).await;
        let base = truth.as_ref().map_or(0, |e| e.version).saturating_sub(behind);
        let (id, project) = (self.id(n), self.project());
        let fresh = || Episode::start(id, project, format!("task {n}"), Timestamp(1_000));
        let mut episode = truth.map_or_else(fresh, |e| (*e).clone());
        episode.version = base + 1;
        episode.task_description = format!("task {n}, write {}", self.writes);
        if complete {
            episode.outcome = Some(Outcome::new(OutcomeKind::Success, "done"));
        }
        let write_id = self.write_id();
        let save = Save { episode: Arc::new(episode), base, write_id, lessons: Vec::new() };
        self.write(who, Write::Save(save)).await;
    }

    fn check(
        &self,
        lenient: bool,
        n: u8,
        got: Option<&Arc<Episode>>,
        truth: &str,
    ) -> Result<(), String> {
        let got = shown(got);
        let right = if lenient { self.been[n as usize].contains(&got) } else { got == truth };
        if right { Ok(()) } else { Err(format!("id {n}: read {got}, the database has {truth}")) }
    }

    async fn read(&self, who: u8, ns: &[u8], recollect: bool) -> Result<(), String> {
        let storage = self.storage(who);
        let before = storage.freshness().stale_possible;
        let ids: Vec<EpisodeId> = ns.iter().map(|n| self.id(*n)).collect();
        let got = if recollect {
            let query = LessonQuery {
                scope: Scope::All,
                episodes: ids.clone(),
                kinds: Vec::new(),
                limit: 5,
            };
            storage.recollect(&ids, &query).await.map(|found| found.episodes)
        } else {
            storage.get(&Scope::All, &ids).await
        };
        let outage = self.shaky.outage.load(Ordering::SeqCst);
        let lenient = before || outage || storage.freshness().stale_possible;
        let got = match got {
            Ok(got) => got,
            Err(_) if lenient => return Ok(()),
            Err(e) => return Err(format!("a read failed: {e}")),
        };
        let truth = self.shaky.store.get(&Scope::All, &ids).await.unwrap();
        for ((n, got), truth) in ns.iter().zip(&got).zip(&truth) {
            self.check(lenient, *n, got.as_ref(), &shown(truth.as_ref()))?;
        }
        Ok(())
    }

    async fn list(&self, who: u8) -> Result<(), String> {
        let storage = self.storage(who);
        let before = storage.freshness().stale_possible;
        let scope = Scope::Project(self.project());
        let query = ListQuery { scope, filter: Filter::default(), after: None, limit: 3 };
        let got = storage.list(&query).await;
        let truth = self.shaky.store.list(&query).await.unwrap();
        if before || self.shaky.outage.load(Ordering::SeqCst) || storage.freshness().stale_possible
        {
            return Ok(());
        }
        let got = got.map_err(|e| format!("a listing failed: {e}"))?;
        if got.episodes == truth.episodes && got.next == truth.next {
            return Ok(());
        }
        Err(format!("listed {:?}, the database has {:?}", got.episodes, truth.episodes))
    }

    async fn reopen(&mut self, who: u8, damage: Option<u16>) {
        let storage = self.storages[who as usize].take().unwrap();
        storage.close().await;
        let dir = self.dirs[who as usize].path().to_owned();
        if let Some(at) = damage {
            flip(&dir.join("0.redb"), at);
        }
        self.storages[who as usize] = Some(open(&self.shaky, dir, self.clients));
    }

    async fn run(&mut self, op: Op) -> Result<(), String> {
        let all: Vec<u8> = (0..IDS).collect();
        match op {
            Op::Save { who, n, complete } => self.save(who, n, complete, 0).await,
            Op::SaveOnAnOldVersion { who, n } => self.save(who, n, false, 1).await,
            Op::Append { who, n } => {
                let steps = vec![Step { action: format!("{}", self.writes), ..Step::default() }];
                let (id, write_id) = (self.id(n), self.write_id());
                let append = AppendSteps {
                    id,
                    scope: Scope::All,
                    steps,
                    first: None,
                    write_id,
                    recalled: vec![],
                };
                self.write(who, Write::AppendSteps(append)).await;
            }
            Op::Forget { who, n } => {
                let forget = Forget { id: self.id(n), scope: Scope::All, at: Timestamp(5) };
                self.write(who, Write::Forget(forget)).await;
            }
            Op::Get { who, n } => return self.read(who, &[n], false).await,
            Op::GetAll { who } => return self.read(who, &all, false).await,
            Op::Recollect { who } => return self.read(who, &all, true).await,
            Op::List { who } => return self.list(who).await,
            Op::NextWrite { fails } => self.shaky.next_write.store(fails, Ordering::SeqCst),
            Op::Outage { on } => self.shaky.outage.store(on, Ordering::SeqCst),
            Op::Reopen { who } => self.reopen(who, None).await,
            Op::DamageAndReopen { who, at } => self.reopen(who, Some(at)).await,
        }
        Ok(())
    }
}

fn open(shaky: &Shaky, dir: PathBuf, clients: Clients) -> HybridStorage<Shaky> {
    let asks_nobody = Duration::from_secs(3600);
    let cache = CacheConfig {
        memory_bytes: 1 << 20,
        redb: RedbMode::On,
        max_staleness: if clients == Clients::One { asks_nobody } else { Duration::ZERO },
        dir: Some(dir),
        ..CacheConfig::default()
    };
    HybridStorage::new(shaky.clone(), Place::Remote, &cache)
}

/// Flips a bit of the first pages, where everything is that a small file holds.
fn flip(path: &std::path::Path, at: u16) {
    let Ok(mut bytes) = fs::read(path) else { return };
    let place = at as usize * 7 % bytes.len().clamp(1, 64 * 1024);
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1 << (at % 8);
    }
    fs::write(path, bytes).unwrap();
}

fn hold(
    world: &tokio::runtime::Runtime,
    store: &Arc<TursoStore>,
    clients: Clients,
    ops: &[Op],
) -> Result<(), String> {
    static CASE: AtomicU64 = AtomicU64::new(0);
    let case = CASE.fetch_add(1, Ordering::Relaxed);
    world.block_on(async {
        let mut world = World::new(store.clone(), case, clients).await;
        for (place, op) in ops.iter().enumerate() {
            let held = world.run(op.by(clients)).await;
            held.map_err(|problem| format!("operation {place}, {op:?}: {problem}"))?;
        }
        Ok(())
    })
}

/// In memory where that can be had: thousands of files are made, and nothing is about the disk.
fn directory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn database() -> (tempfile::TempDir, tokio::runtime::Runtime, Arc<TursoStore>) {
    let dir = directory();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = dir.path().join("memory.db");
    let config = TursoConfig { synchronous: Synchronous::Normal, ..TursoConfig::at(path) };
    let store = Arc::new(runtime.block_on(TursoStore::open(config)).unwrap());
    (dir, runtime, store)
}

/// Random operations on a database of their own, in each of the tests below, which run side by side.
fn random_operations(name: &'static str, clients: Clients) {
    let (_dir, runtime, store) = database();
    for mut round in Rounds::new(name, 500, 5_000) {
        let seed: Vec<u8> = (0..4).flat_map(|_| round.random.bits().to_le_bytes()).collect();
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), random);
        let ops = ops().new_tree(&mut runner).unwrap().current();
        let hold = |ops: &[Op]| hold(&runtime, &store, clients, ops);
        if hold(&ops).is_err() {
            let ops = reduced(ops, |ops| hold(ops).is_err());
            let problem = hold(&ops);
            panic!("to be kept in `sequences`: {problem:?}\n{ops:?}");
        }
    }
}

/// The operations that are left when every one is taken out without which it still fails.
fn reduced(mut ops: Vec<Op>, fails: impl Fn(&[Op]) -> bool) -> Vec<Op> {
    let mut place = ops.len();
    while place > 0 {
        place -= 1;
        let mut fewer = ops.clone();
        fewer.remove(place);
        if fails(&fewer) {
            ops = fewer;
        }
    }
    ops
}

#[test]
fn no_read_differs_from_the_database() {
    random_operations("no_read_differs_from_the_database", Clients::Two);
}

#[test]
fn no_read_differs_from_the_database_either() {
    random_operations("no_read_differs_from_the_database_either", Clients::Two);
}

#[test]
fn no_read_differs_from_the_database_with_a_third_seed() {
    random_operations("no_read_differs_from_the_database_with_a_third_seed", Clients::Two);
}

#[test]
fn no_read_differs_from_the_database_with_a_fourth_seed() {
    random_operations("no_read_differs_from_the_database_with_a_fourth_seed", Clients::Two);
}

#[test]
fn nothing_is_asked_to_know_what_was_written_here() {
    random_operations("nothing_is_asked_to_know_what_was_written_here", Clients::One);
}

#[test]
fn a_check_finds_and_drops_what_the_feed_did_not_tell() {
    let (_dir, runtime, store) = database();
    runtime.block_on(async {
        let mut world = World::new(store, 0, Clients::Two).await;
        for n in 0..IDS {
            world.save(0, n, true, 0).await;
        }
        world.read(0, &[0, 1, 2, 3, 4], false).await.unwrap();
        world.shaky.deaf.store(true, Ordering::SeqCst);
        world.save(1, 2, true, 0).await;
        let forget = Forget { id: world.id(3), scope: Scope::All, at: Timestamp(5) };
        world.write(1, Write::Forget(forget)).await;
        world.read(0, &[2], false).await.unwrap_err();

        let mut told = Vec::new();
        let found = world.storage(0).check_cache(|done, all| told.push((done, all))).await.unwrap();
        assert_eq!((found.checked, found.wrong), (5, 2));
        assert_eq!(told, [(5, 5)]);
        world.read(0, &[0, 1, 2, 3, 4], false).await.unwrap();
        let found = world.storage(0).check_cache(|_, _| ()).await.unwrap();
        assert_eq!((found.checked, found.wrong), (4, 0));
    });
}
