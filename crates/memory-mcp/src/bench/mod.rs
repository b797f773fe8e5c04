//! What `memory-mcp bench` measures: every optimization on against off, everything on against
//! everything off, and what a user waits for.
//!
//! A side of a comparison is the program's own storage, opened by the settings that a user would set;
//! so what is measured is what can be had in production, and every row can be rolled back there.
//!
//! - `world`: a side: settings, a file or a server behind a proxy, what it did as counters
//! - `server`: where libSQL servers come from
//! - `workload`: recorded runs, or generated ones of their size and shape
//! - `row`: a row of the table: its settings, the plan's claim, what was measured, the verdict
//! - `rows`: all of them
//! - `guards`: what must hold against the plan's risks
//! - `baseline`: everything off against everything on, and the targets
//! - `load`: what a user waits for, with the plan's six metrics
//! - `probe`: measurements that need a process of their own
//! - [`ratio`]: on against off, with an interval
//! - [`staleness`]: what bounds the age of cached episodes, in virtual time
//! - [`machine`]: what it all ran on
//! - `report`, `plot`: Markdown and SVG

mod baseline;
mod guards;
mod load;
pub mod machine;
mod plot;
pub(crate) mod probe;
pub mod ratio;
mod report;
mod row;
mod rows;
mod server;
pub mod staleness;
mod workload;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

pub(crate) use baseline::Baseline;
pub(crate) use guards::check as check_guards;
pub(crate) use load::{Load, Operation, own_database};
pub(crate) use report::{Report, figures, hit_rates, measured, pairs, place, resources, tally};
pub(crate) use row::{Outcome, Row, Verdict, number};
pub(crate) use rows::{ROWS, find};
pub(crate) use server::Servers;
pub(crate) use workload::Workload;

/// How far away a server is, unless a row says otherwise: the plan's targets are for 20 ms.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What everything is measured with.
pub(crate) struct Bench {
    /// Little of everything: shows that it runs and that on and off differ, not how well.
    pub(crate) quick: bool,
    /// `None`: what needs a server is left out.
    pub(crate) servers: Option<Servers>,
    /// The episodes.
    pub(crate) workload: Workload,
    /// Where temporary databases are made: on the disk that the user's is on.
    pub(crate) dir: PathBuf,
    /// Another build of this program to compare with.
    pub(crate) against: Option<PathBuf>,
    /// Hears what is being measured.
    pub(crate) progress: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Bench {
    /// `full`, or `quick` where that is what was asked for.
    pub(crate) fn amount<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Measures one row. What it needs and cannot have is an outcome, not an error.
    pub(crate) async fn measure(&self, row: &'static Row) -> Result<Outcome> {
        (self.progress)(&format!("{} {}", row.id, row.name));
        if let Some(missing) = row.missing(self) {
            return Ok(Outcome::missing(row, missing));
        }
        Ok(Outcome::of(row, (row.measure)(self, row).await?))
    }
}
