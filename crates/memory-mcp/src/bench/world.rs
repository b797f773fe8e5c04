//! A side of a comparison: the program's storage with its settings, and what it did.

use std::ops::{AddAssign, Sub};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use memory_core::store::{EpisodeStore, Scope, Write};
use memory_core::{EpisodeId, Memory, SystemClock};
use memory_storage::HybridStorage;
use memory_storage_turso::TursoStore;
use memory_testkit::proxy::FaultProxy;
use tempfile::TempDir;

use super::ratio::Ratio;
use super::row::{Better, Figure, Timing};
use super::server::{Server, bytes_below};
use super::{Bench, ROUND_TRIP};
use crate::cli::Failure;
use crate::config::{Config, Flags, Surroundings, load};

/// The settings named, over the defaults: by the same way as `--set NAME=VALUE`.
pub(crate) fn configure(dir: &Path, settings: &[&str]) -> Result<Config> {
    let mut values = vec![("data_dir".to_owned(), dir.as_os_str().to_owned())];
    for setting in settings {
        let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
        values.push((name.to_owned(), value.into()));
    }
    let flags = Flags { file: None, values };
    match load(&flags, &Surroundings::default()) {
        Ok(loaded) => Ok(loaded.config),
        Err(Failure::Told { message, .. }) => Err(anyhow!(message)),
        Err(other) => Err(anyhow!("{other:?}")),
    }
}

/// One side.
pub(crate) struct Side {
    pub(crate) on: bool,
    storage: Option<Arc<HybridStorage>>,
    pub(crate) config: Config,
    dir: Arc<TempDir>,
    pub(crate) proxy: Option<FaultProxy>,
    server: Option<Server>,
}

impl Side {
    /// On a new file.
    pub(crate) async fn local(bench: &Bench, settings: &[&str]) -> Result<Self> {
        let dir = Arc::new(tempfile::tempdir_in(&bench.dir)?);
        let config = configure(dir.path(), settings)?;
        let mut side = Side { on: true, storage: None, config, dir, proxy: None, server: None };
        side.open().await?;
        Ok(side)
    }

    /// On a new server, no distance away until [`at`](Self::at) says otherwise.
    pub(crate) async fn remote(bench: &Bench, settings: &[&str]) -> Result<Self> {
        let servers = bench.servers.as_ref().context(super::server::MISSING)?;
        let dir = Arc::new(tempfile::tempdir_in(&bench.dir)?);
        let (from, below) = (servers.clone(), dir.path().to_owned());
        let server = tokio::task::spawn_blocking(move || from.start(&below)).await??;
        let proxy = FaultProxy::start(server.address).await;
        let url = format!("database.url={}", proxy.url());
        let config = configure(dir.path(), &[settings, &[url.as_str()]].concat())?;
        let mut side =
            Side { on: true, storage: None, config, dir, proxy: Some(proxy), server: Some(server) };
        side.open().await?;
        side.turso()?.ready().await?;
        Ok(side)
    }

    /// How far away the server is from now on.
    pub(crate) fn at(&self, round_trip: Duration) {
        if let Some(proxy) = &self.proxy {
            proxy.set_round_trip(round_trip);
        }
    }

    pub(crate) fn storage(&self) -> Result<&Arc<HybridStorage>> {
        self.storage.as_ref().context("the storage is closed")
    }

    pub(crate) fn turso(&self) -> Result<&TursoStore> {
        Ok(self.storage()?.durable().durable())
    }

    /// Opens the storage, by the settings as they are now.
    pub(crate) async fn open(&mut self) -> Result<()> {
        let place = self.config.place().map_err(|problem| anyhow!("database.url {problem}"))?;
        let storage = HybridStorage::open(self.config.storage(place)).await?;
        self.storage = Some(Arc::new(storage));
        Ok(())
    }

    /// Closes the storage, as the end of a process does.
    pub(crate) async fn close(&mut self) -> Result<()> {
        let storage = self.storage.take().context("the storage is closed")?;
        let storage = Arc::into_inner(storage).context("a task still uses the storage")?;
        if let Some(durable) = storage.close().await {
            durable.close().await;
        }
        Ok(())
    }

    /// The memory on this storage, which it takes along.
    pub(crate) fn memory(&mut self) -> Result<Memory<HybridStorage>> {
        let storage = self.storage.take().context("the storage is closed")?;
        let storage = Arc::into_inner(storage).context("a task still uses the storage")?;
        Ok(Memory::new(storage, Arc::new(SystemClock)))
    }

    /// The same database by other settings, as another process would open it.
    pub(crate) async fn reopen_with(&mut self, settings: &[&str]) -> Result<()> {
        if self.storage.is_some() {
            self.close().await?;
        }
        let url = format!("database.url={}", self.config.database.url);
        self.config = configure(self.dir.path(), &[settings, &[url.as_str()]].concat())?;
        self.open().await
    }

    /// Another process on the same database, by its own way to it.
    pub(crate) async fn second(&self, bench: &Bench, settings: &[&str]) -> Result<Self> {
        let dir = Arc::new(tempfile::tempdir_in(&bench.dir)?);
        let (url, proxy) = match &self.server {
            Some(server) => {
                let proxy = FaultProxy::start(server.address).await;
                proxy.set_round_trip(ROUND_TRIP);
                (proxy.url(), Some(proxy))
            }
            None => (self.file().display().to_string(), None),
        };
        let url = format!("database.url={url}");
        let config = configure(dir.path(), &[settings, &[url.as_str()]].concat())?;
        let mut side = Side { on: true, storage: None, config, dir, proxy, server: None };
        side.open().await?;
        // Else the first read would also look whose database it is.
        side.turso()?.ready().await?;
        Ok(side)
    }

    /// Saves, each of which must succeed.
    pub(crate) async fn save(&self, writes: Vec<Write>) -> Result<()> {
        for result in self.storage()?.write(writes).await? {
            result?;
        }
        Ok(())
    }

    /// Saves a thousand at a time, from no distance, and measures nothing.
    pub(crate) async fn fill(&self, bench: &Bench, project: &str, count: u64) -> Result<()> {
        self.at(Duration::ZERO);
        for from in (0..count).step_by(1_000) {
            let numbers = from..count.min(from + 1_000);
            self.save(bench.workload.saves(project, numbers)).await?;
        }
        Ok(())
    }

    /// Reads in one call, each of which must be found.
    pub(crate) async fn get(&self, ids: &[EpisodeId]) -> Result<()> {
        for found in self.storage()?.get(&Scope::All, ids).await? {
            std::hint::black_box(found.context("an episode is missing")?);
        }
        Ok(())
    }

    /// Reads one after the other; seconds for all.
    pub(crate) async fn get_each(&self, ids: &[EpisodeId]) -> Result<f64> {
        let began = Instant::now();
        for id in ids {
            self.get(std::slice::from_ref(id)).await?;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// The database file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join(crate::config::DATABASE_FILE)
    }

    /// Bytes of the database, where it is on this machine.
    pub(crate) fn bytes_on_disk(&self) -> Option<u64> {
        match &self.server {
            Some(server) => server.bytes_on_disk(),
            None => Some(bytes_below(self.dir.path())),
        }
    }

    /// Everything counted so far.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let storage = self.storage()?;
        let turso = self.turso()?;
        let (local, cache) = (turso.metrics(), storage.metrics());
        let evictions = storage.cache_metrics().map_or(0, |m| m.memory.evictions.get());
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mut counts = Counts {
            batches: local.batches.get(),
            prepared: local.prepared.get(),
            statements: local.statements.get(),
            commits: local.commits.get(),
            connections: local.connections.get(),
            hits: load(&cache.hits),
            misses: load(&cache.misses),
            query_hits: load(&cache.query_hits),
            evictions,
            ..Counts::default()
        };
        if let Some(proxy) = &self.proxy {
            let seen = proxy.counts();
            counts.batches = seen.requests;
            counts.connections = seen.connections;
            (counts.bytes_up, counts.bytes_down) = (seen.bytes_up, seen.bytes_down);
            counts.commits = turso.remote_metrics().map_or(0, |m| m.commits.get());
        }
        Ok(counts)
    }
}

/// What a side did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Questions to the database: batches on a file, requests to a server.
    pub(crate) batches: u64,
    pub(crate) statements: u64,
    pub(crate) prepared: u64,
    /// Of a file: one fsync each.
    pub(crate) commits: u64,
    pub(crate) connections: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) query_hits: u64,
    pub(crate) evictions: u64,
}

macro_rules! each_count {
    ($($field:ident),*) => {
        impl Sub for Counts {
            type Output = Counts;
            fn sub(self, before: Counts) -> Counts {
                Counts { $($field: self.$field.saturating_sub(before.$field)),* }
            }
        }
        impl AddAssign for Counts {
            fn add_assign(&mut self, more: Counts) {
                $(self.$field += more.$field;)*
            }
        }
    };
}
each_count!(
    batches,
    statements,
    prepared,
    commits,
    connections,
    bytes_up,
    bytes_down,
    hits,
    misses,
    query_hits,
    evictions
);

/// On and off.
pub(crate) struct Pair {
    pub(crate) on: Side,
    pub(crate) off: Side,
}

impl Pair {
    /// Each on a file of its own.
    pub(crate) async fn local(bench: &Bench, on: &[&str], off: &[&str]) -> Result<Self> {
        let (on, off) = (Side::local(bench, on).await?, Side::local(bench, off).await?);
        Ok(Pair { on, off: Side { on: false, ..off } })
    }

    /// Each on a server of its own, where servers are started.
    pub(crate) async fn remote(bench: &Bench, on: &[&str], off: &[&str]) -> Result<Self> {
        let (on, off) = (Side::remote(bench, on).await?, Side::remote(bench, off).await?);
        Ok(Pair { on, off: Side { on: false, ..off } })
    }

    /// On a server where there is one, else on a file.
    pub(crate) async fn anywhere(bench: &Bench, on: &[&str], off: &[&str]) -> Result<Self> {
        match bench.servers {
            Some(_) => Self::remote(bench, on, off).await,
            None => Self::local(bench, on, off).await,
        }
    }

    pub(crate) fn sides(&self) -> [&Side; 2] {
        [&self.on, &self.off]
    }

    /// Fills both with the same.
    pub(crate) async fn fill(&self, bench: &Bench, project: &str, count: u64) -> Result<()> {
        for side in self.sides() {
            side.fill(bench, project, count).await?;
            side.at(ROUND_TRIP);
        }
        Ok(())
    }

    /// Lets both sides do `once`, which returns what it took, in turns: each is first every other
    /// time. What each did is counted.
    pub(crate) async fn in_turns(
        &self,
        rounds: usize,
        mut once: impl AsyncFnMut(&Side, usize) -> Result<f64>,
    ) -> Result<Turns> {
        let mut turns = Turns::default();
        for n in 0..rounds {
            let order = if n % 2 == 0 { self.sides() } else { [&self.off, &self.on] };
            let mut took = (0.0, 0.0);
            for side in order {
                let before = side.counts()?;
                let seconds = once(side, n).await?;
                let did = side.counts()? - before;
                if side.on {
                    took.0 = seconds;
                    turns.on += did;
                } else {
                    took.1 = seconds;
                    turns.off += did;
                }
            }
            turns.rounds.push(took);
        }
        Ok(turns)
    }
}

/// What both sides did, round by round.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pub(crate) rounds: Vec<(f64, f64)>,
    pub(crate) on: Counts,
    pub(crate) off: Counts,
}

impl Turns {
    /// The times, of which each round's are divided by `per`.
    pub(crate) fn timing(&self, unit: &'static str, per: f64) -> Timing {
        let n = self.rounds.len().max(1) as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| self.rounds.iter().map(of).sum::<f64>() / n;
        Timing {
            unit,
            on: mean(|r| r.0) * per,
            off: mean(|r| r.1) * per,
            ratio: Ratio::of(&self.rounds),
        }
    }

    /// A count of both sides, over all rounds, divided by `per`; fewer is better.
    pub(crate) fn figure(
        &self,
        name: &'static str,
        per: f64,
        of: impl Fn(&Counts) -> u64,
    ) -> Figure {
        let value = |counts| of(counts) as f64 / per;
        Figure::new(name, value(&self.on), value(&self.off), Better::Lower)
    }
}
