//! A libSQL server at a distance: what the remote transport makes of it, everything on against
//! everything off.
//!
//! - `world`: the server, the proxy in front of it, the two ways to reach it
//! - `save_load`: one at a time and in bulk
//! - `burst`: the adaptive limit under load that comes and goes
//! - `restart`: many clients when the server goes away and comes back
//! - `counters`: requests, connections and bytes of each operation
//! - `report`: all of it as Markdown and plots

mod burst;
mod counters;
mod report;
mod restart;
mod save_load;
mod world;

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

pub(crate) use report::{burst_plot, markdown, restart_markdown, restart_plot};

use crate::machine::Machine;

/// The distance of the server: a request and its answer take this long on the way.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// About the text of the episodes used, in bytes.
const EPISODE_BYTES: usize = 4_096;

/// How much is measured.
pub(crate) struct Effort {
    save_load: save_load::Effort,
    burst: burst::Effort,
    restart: restart::Effort,
}

impl Effort {
    /// Ten minutes.
    pub(crate) const FULL: Effort = Effort {
        save_load: save_load::Effort { rounds: 5, singles: 25, bulk_on: 1_000, bulk_off: 200 },
        burst: burst::Effort { repeats: 2, burst: Duration::from_secs(6) },
        restart: restart::Effort { repeats: 2, clients: 100, after: Duration::from_secs(8) },
    };
    /// Under two minutes.
    pub(crate) const QUICK: Effort = Effort {
        save_load: save_load::Effort { rounds: 2, singles: 3, bulk_on: 200, bulk_off: 10 },
        burst: burst::Effort { repeats: 1, burst: Duration::from_secs(1) },
        restart: restart::Effort { repeats: 1, clients: 20, after: Duration::from_secs(3) },
    };
}

/// All measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    round_trip_ms: u64,
    episode_bytes: usize,
    save_load: save_load::SaveLoad,
    burst: Vec<burst::Run>,
    pub(crate) restart: Vec<restart::Run>,
    operations: Vec<counters::Operation>,
    compression: Vec<counters::Compression>,
}

/// Measures everything, one thing after the other, each on a fresh server.
pub(crate) async fn measure(effort: &Effort) -> Result<Report> {
    let machine = Machine::observe(pinned_server());
    let operations = counters::operations().await?;
    let compression = counters::compression().await?;
    let save_load = save_load::measure(&effort.save_load).await?;
    let burst = burst::measure(&effort.burst).await?;
    let restart = restart::measure(&effort.restart).await?;
    Ok(Report {
        machine,
        round_trip_ms: ROUND_TRIP.as_millis() as u64,
        episode_bytes: EPISODE_BYTES,
        save_load,
        burst,
        restart,
        operations,
        compression,
    })
}

/// Measures what a restart of the server looks like, alone.
pub(crate) async fn restarts(effort: &Effort) -> Result<Vec<restart::Run>> {
    restart::measure(&effort.restart).await
}

/// The libSQL server, as its npm package says.
fn pinned_server() -> String {
    let pinned = include_str!("../../../memory-testkit/package.json");
    let package: serde_json::Value = serde_json::from_str(pinned).unwrap_or_default();
    let version = package.pointer("/dependencies/@sqld~1linux-x64");
    format!("sqld {}", version.and_then(|v| v.as_str()).unwrap_or("of unknown version"))
}
