//! What each operation costs on the way: figures that hardly depend on the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use memory_core::memory::{Completion, NewEpisode};
use memory_core::recall::RecallQuery;
use memory_core::recall::text::query_terms;
use memory_core::store::{EpisodeStore, Filter, ListQuery, Scope, SearchQuery};
use memory_core::{
    Condition, EpisodeId, Memory, Outcome, OutcomeKind, Reflection, Step, SystemClock,
};
use memory_storage::{PendingConfig, PendingStore};
use memory_storage_turso::{RemoteConfig, TursoStore};
use serde::Serialize;
use tokio::task::JoinSet;

use super::ROUND_TRIP;
use super::world::{Cost, World, episode, get, save_of, write};
use crate::figure::percentile;

const PROJECT: &str = "counters";
const TASK: &str = "fix the login of the billing service";

/// What one operation costs with everything on, and off.
#[derive(Debug, Serialize)]
pub(crate) struct Operation {
    pub(super) name: &'static str,
    pub(super) on: Cost,
    pub(super) off: Cost,
}

/// What compressed answers save, and cost.
#[derive(Debug, Serialize)]
pub(crate) struct Compression {
    pub(super) name: &'static str,
    pub(super) plain_bytes_down: u64,
    pub(super) compressed_bytes_down: u64,
    pub(super) plain_ms: f64,
    pub(super) compressed_ms: f64,
}

/// Counts every operation, on and off.
pub(super) async fn operations() -> Result<Vec<Operation>> {
    let on = Costs::count(true).await?;
    let off = Costs::count(false).await?;
    Ok(on.into_iter().zip(off).map(|((name, on), (_, off))| Operation { name, on, off }).collect())
}

struct Costs {
    world: World,
    store: Arc<TursoStore>,
    config: RemoteConfig,
    batched: bool,
    scope: Scope,
}

impl Costs {
    async fn count(batched: bool) -> Result<Vec<(&'static str, Cost)>> {
        let world = World::start().await?;
        // Nothing in the background, so that every request is one of the operation's.
        let config = match batched {
            true => RemoteConfig { warm_connections: 0, ..world.on() },
            false => world.off(),
        };
        let store = TursoStore::connect(config.clone())?;
        store.ready().await?;
        // Off, nothing depends on time: no need to wait for a distance.
        world.proxy.set_round_trip(if batched { ROUND_TRIP } else { Duration::ZERO });
        let scope = Scope::Project(PROJECT.into());
        let costs = Costs { world, store: Arc::new(store), config, batched, scope };
        Ok(vec![
            ("save an episode", costs.save().await?),
            ("save 1,000 episodes", costs.bulk().await?),
            ("64 saves at the same time", costs.concurrent_saves().await?),
            ("get an episode", costs.get(1, costs.batched).await?),
            ("get 100 episodes", costs.get(100, costs.batched).await?),
            ("1,000 gets, one after the other", costs.get(1_000, false).await?),
            ("list 20 by metadata", costs.list().await?),
            ("full-text search", costs.search().await?),
            ("recall", costs.recall().await?),
            ("start, 8 steps, complete", costs.lifecycle().await?),
        ])
    }

    async fn save(&self) -> Result<Cost> {
        let save = vec![save_of(episode(PROJECT, 0))];
        Ok(self.world.cost(write(&*self.store, save)).await?.0)
    }

    async fn bulk(&self) -> Result<Cost> {
        let saves: Vec<_> = (1..=1_000).map(|n| save_of(episode(PROJECT, n))).collect();
        let work = async {
            if self.batched {
                return write(&*self.store, saves).await;
            }
            for save in saves {
                write(&*self.store, vec![save]).await?;
            }
            Ok(())
        };
        Ok(self.world.cost(work).await?.0)
    }

    async fn concurrent_saves(&self) -> Result<Cost> {
        let work = async {
            let mut saves = JoinSet::new();
            for n in 2_000..2_064 {
                let (store, save) = (self.store.clone(), save_of(episode(PROJECT, n)));
                saves.spawn(async move { write(&*store, vec![save]).await });
            }
            while let Some(done) = saves.join_next().await {
                done??;
            }
            Ok(())
        };
        Ok(self.world.cost(work).await?.0)
    }

    async fn get(&self, count: u64, together: bool) -> Result<Cost> {
        let ids: Vec<EpisodeId> = (1..=count).map(|n| episode(PROJECT, n).id).collect();
        let at_a_time = if together { ids.len() } else { 1 };
        let work = async {
            for ids in ids.chunks(at_a_time) {
                get(&*self.store, &self.scope, ids).await?;
            }
            Ok(())
        };
        Ok(self.world.cost(work).await?.0)
    }

    async fn list(&self) -> Result<Cost> {
        let metadata = Some(Condition::equals("ticket", 500));
        let filter = Filter { metadata, ..Filter::default() };
        let query = ListQuery { scope: self.scope.clone(), filter, after: None, limit: 20 };
        let work = async { Ok(self.store.list(&query).await?) };
        let (cost, page) = self.world.cost(work).await?;
        page.episodes.first().context("the listing found nothing")?;
        Ok(cost)
    }

    async fn search(&self) -> Result<Cost> {
        let (scope, terms) = (self.scope.clone(), query_terms(TASK));
        let query = SearchQuery {
            scope,
            terms,
            synonyms: Vec::new(),
            filter: Filter::default(),
            limit: 20,
        };
        let work = async { Ok(self.store.search(&query).await?) };
        let (cost, found) = self.world.cost(work).await?;
        found.hits.first().context("the search found nothing")?;
        Ok(cost)
    }

    async fn recall(&self) -> Result<Cost> {
        let store = TursoStore::connect(self.config.clone())?;
        store.ready().await?;
        let memory = Memory::new(store, Arc::new(SystemClock));
        let query = RecallQuery::new(TASK, self.scope.clone());
        let work = async { Ok(memory.recall(&query).await?) };
        let (cost, recalled) = self.world.cost(work).await?;
        recalled.items.first().context("nothing was recalled")?;
        Ok(cost)
    }

    /// On, with the journal of steps in front of the database.
    async fn lifecycle(&self) -> Result<Cost> {
        let server = TursoStore::connect(self.config.clone())?;
        server.ready().await?;
        if !self.batched {
            return self.live(server).await;
        }
        let dir = tempfile::tempdir()?;
        let pending =
            PendingConfig { path: dir.path().join("pending.db"), ..PendingConfig::default() };
        let url = self.world.proxy.url();
        let store = PendingStore::open(server, &url, pending, Arc::new(SystemClock)).await?;
        self.live(store).await
    }

    async fn live(&self, store: impl EpisodeStore) -> Result<Cost> {
        let memory = Memory::new(store, Arc::new(SystemClock));
        // Once before, because the first one also looks whose database it is.
        self.live_once(&memory).await?;
        let (cost, ()) = self.world.cost(self.live_once(&memory)).await?;
        Ok(cost)
    }

    async fn live_once(&self, memory: &Memory<impl EpisodeStore>) -> Result<()> {
        let new =
            NewEpisode { project: PROJECT.into(), task: TASK.into(), ..NewEpisode::default() };
        let id = memory.start(new).await?.id;
        for n in 0..8 {
            let step = Step { action: format!("run test {n}"), ..Step::default() };
            memory.log_steps(&self.scope, id, vec![step], None).await?;
        }
        let outcome = Outcome::new(OutcomeKind::Success, "the tests pass");
        let completion = Completion { outcome, reward: None, reflection: Reflection::default() };
        let completed = memory.complete(&self.scope, id, completion).await?;
        anyhow::ensure!(completed.episode.steps.len() == 8, "steps are missing");
        Ok(())
    }
}

/// Reads with answers compressed by the server and not, in turns.
pub(super) async fn compression() -> Result<Vec<Compression>> {
    const TURNS: usize = 10;
    let world = World::start().await?;
    let compressing = RemoteConfig { compression: true, ..world.on() };
    let stores = [world.store(world.on()).await?, world.store(compressing).await?];
    let [plain, compressed] = &stores;
    write(plain, (0..100).map(|n| save_of(episode(PROJECT, n))).collect()).await?;
    let scope = Scope::Project(PROJECT.into());
    let mut rows = Vec::new();
    for (name, count) in [("get an episode", 1), ("get 100 episodes", 100)] {
        let ids: Vec<EpisodeId> = (0..count).map(|n| episode(PROJECT, n).id).collect();
        let mut bytes = [0; 2];
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for ((store, bytes), times) in
                [plain, compressed].iter().zip(&mut bytes).zip(&mut times)
            {
                let began = Instant::now();
                let (cost, ()) = world.cost(get(*store, &scope, &ids)).await?;
                times.push(began.elapsed().as_secs_f64() * 1e3);
                *bytes = cost.bytes_down;
            }
        }
        let [mut plain, mut compressed] = times;
        rows.push(Compression {
            name,
            plain_bytes_down: bytes[0],
            compressed_bytes_down: bytes[1],
            plain_ms: percentile(&mut plain, 0.5),
            compressed_ms: percentile(&mut compressed, 0.5),
        });
    }
    Ok(rows)
}
