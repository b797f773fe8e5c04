//! The server, the proxy in front of it, and the two ways to reach it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use memory_core::store::{EpisodeStore, Save, Scope, Write};
use memory_core::{Episode, EpisodeId, WriteId};
use memory_storage_turso::{RemoteConfig, TursoStore};
use memory_testkit::generate;
use memory_testkit::proxy::{Counts, FaultProxy};
use memory_testkit::sqld::{Options, Server};
use serde::Serialize;

use super::{EPISODE_BYTES, ROUND_TRIP};

const SEED: u64 = 0xFA12;

/// A fresh server behind a proxy that delays and counts.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) proxy: FaultProxy,
}

impl World {
    pub(super) async fn start() -> Result<Self> {
        let started = tokio::task::block_in_place(|| Server::start(Options::default()));
        let server =
            started.context("the libSQL server is not available; the line above says why")?;
        let proxy = FaultProxy::start(server.address()).await;
        proxy.set_round_trip(ROUND_TRIP);
        Ok(World { server, proxy })
    }

    /// Everything on: the defaults.
    pub(super) fn on(&self) -> RemoteConfig {
        RemoteConfig::at(self.proxy.url())
    }

    /// Everything off: a connection for every operation, a request for every statement, nothing
    /// gathered, nothing opened ahead.
    pub(super) fn off(&self) -> RemoteConfig {
        RemoteConfig {
            idle_timeout: Duration::ZERO,
            pipeline: false,
            max_group: 1,
            warm_connections: 0,
            ..self.on()
        }
    }

    /// A store whose database is ready and whose connections are open.
    pub(super) async fn store(&self, config: RemoteConfig) -> Result<TursoStore> {
        let store = TursoStore::connect(config)?;
        store.ready().await?;
        while store.remote_metrics().is_some_and(|metrics| metrics.warm.get() == 0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(store)
    }

    /// What `work` cost, as the proxy saw it.
    pub(super) async fn cost<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(Cost, T)> {
        let before = self.proxy.counts();
        let result = work.await?;
        Ok((Cost::between(before, self.proxy.counts()), result))
    }
}

/// What went through the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Cost {
    pub(super) requests: u64,
    pub(super) connections: u64,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
}

impl Cost {
    fn between(before: Counts, after: Counts) -> Self {
        Cost {
            requests: after.requests - before.requests,
            connections: after.connections - before.connections,
            bytes_up: after.bytes_up - before.bytes_up,
            bytes_down: after.bytes_down - before.bytes_down,
        }
    }
}

/// Episode number `n` of a project.
pub(super) fn episode(project: &str, n: u64) -> Episode {
    let mut episode = generate::episode(SEED, n, EPISODE_BYTES);
    episode.id = EpisodeId::derive(&[project.as_bytes(), &n.to_le_bytes()]);
    project.clone_into(&mut episode.project);
    episode
}

/// The write that saves it for the first time.
pub(super) fn save_of(episode: Episode) -> Write {
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Write::Save(Save { episode: Arc::new(episode), base: 0, write_id, lessons: Vec::new() })
}

/// Writes in one call, each of which must succeed.
pub(super) async fn write(store: &impl EpisodeStore, writes: Vec<Write>) -> Result<()> {
    for result in store.write(writes).await? {
        result?;
    }
    Ok(())
}

/// Gets in one call, each of which must be found.
pub(super) async fn get(store: &impl EpisodeStore, scope: &Scope, ids: &[EpisodeId]) -> Result<()> {
    for found in store.get(scope, ids).await? {
        found.context("an episode is missing")?;
    }
    Ok(())
}
