//! Saving and loading one at a time and in bulk, on against off, interleaved.

use std::time::Instant;

use anyhow::Result;
use memory_core::store::{EpisodeStore, Scope, Write};
use memory_storage_turso::TursoStore;
use serde::Serialize;

use super::world::{World, episode, get, save_of, write};
use crate::ratio::Ratio;

/// How much of it.
pub(crate) struct Effort {
    /// Rounds; each measures everything once.
    pub(super) rounds: usize,
    /// Saves and loads one at a time in a round, in each mode.
    pub(super) singles: u64,
    /// Episodes in bulk in a round, on.
    pub(super) bulk_on: u64,
    /// And off.
    pub(super) bulk_off: u64,
}

/// What it took, in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct SaveLoad {
    pub(super) bulk_on_episodes: u64,
    pub(super) bulk_off_episodes: u64,
    pub(super) rounds: Vec<Round>,
}

/// Milliseconds per episode in one round.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Round {
    pub(super) on: Mode,
    pub(super) off: Mode,
    /// Off but for one thing: the whole bulk is one transaction.
    pub(super) off_in_one_transaction: f64,
}

/// Milliseconds per episode with everything on, or off.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct Mode {
    pub(super) save: f64,
    pub(super) load: f64,
    pub(super) bulk: f64,
}

impl SaveLoad {
    /// The mean over the rounds.
    pub(super) fn mean(&self, of: impl Fn(&Round) -> f64) -> f64 {
        self.rounds.iter().map(of).sum::<f64>() / self.rounds.len().max(1) as f64
    }

    pub(super) fn ratio(&self, of: impl Fn(&Round) -> (f64, f64)) -> Option<Ratio> {
        Ratio::of(&self.rounds.iter().map(of).collect::<Vec<_>>())
    }
}

pub(super) async fn measure(effort: &Effort) -> Result<SaveLoad> {
    let world = World::start().await?;
    let on = world.store(world.on()).await?;
    let off = TursoStore::connect(world.off())?;
    off.ready().await?;
    let mut rounds = Vec::new();
    for n in 0..effort.rounds {
        let mut round = Round::default();
        // In turns, so that neither always goes first.
        for is_on in [n % 2 == 0, n % 2 != 0] {
            let project = format!("round-{n}-{is_on}");
            if is_on {
                round.on = singles(&on, &project, effort.singles).await?;
                round.on.bulk = together(&on, &project, effort.bulk_on).await?;
            } else {
                round.off = singles(&off, &project, effort.singles).await?;
                round.off.bulk = one_by_one(&off, &project, effort.bulk_off).await?;
                let few = effort.bulk_off / 4;
                let project = format!("{project}-together");
                round.off_in_one_transaction = together(&off, &project, few).await?;
            }
        }
        rounds.push(round);
    }
    let Effort { bulk_on, bulk_off, .. } = *effort;
    Ok(SaveLoad { bulk_on_episodes: bulk_on, bulk_off_episodes: bulk_off, rounds })
}

/// Saves an episode and loads it again, `count` times.
async fn singles(store: &TursoStore, project: &str, count: u64) -> Result<Mode> {
    let scope = Scope::Project(project.to_owned());
    let (mut save, mut load) = (0.0, 0.0);
    for n in 0..count {
        let episode = episode(project, n);
        let id = episode.id;
        let began = Instant::now();
        write(store, vec![save_of(episode)]).await?;
        save += ms(began);
        let began = Instant::now();
        get(store, &scope, &[id]).await?;
        load += ms(began);
    }
    Ok(Mode { save: save / count as f64, load: load / count as f64, bulk: 0.0 })
}

/// Saves many in one call; milliseconds per episode.
async fn together(store: &impl EpisodeStore, project: &str, count: u64) -> Result<f64> {
    let writes = bulk(project, count);
    let began = Instant::now();
    write(store, writes).await?;
    Ok(ms(began) / count as f64)
}

/// Saves many, each in a call of its own; milliseconds per episode.
async fn one_by_one(store: &impl EpisodeStore, project: &str, count: u64) -> Result<f64> {
    let writes = bulk(project, count);
    let began = Instant::now();
    for one in writes {
        write(store, vec![one]).await?;
    }
    Ok(ms(began) / count as f64)
}

/// Episodes that the singles have not used.
fn bulk(project: &str, count: u64) -> Vec<Write> {
    (0..count).map(|n| save_of(episode(project, 1_000_000 + n))).collect()
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
