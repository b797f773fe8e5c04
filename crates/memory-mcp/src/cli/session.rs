//! What one run of the binary works with: settings, the log, the memory.

use std::sync::Arc;

use memory_core::store::Scope;
use memory_core::{Memory, SystemClock};
use memory_storage::HybridStorage;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use super::args::GlobalArgs;
use super::{Failure, output};
use crate::config::{self, Config, Loaded, LogFormat, Place, Setting, Surroundings};

/// The memory as the binary puts it together.
pub(crate) type LocalMemory = Memory<HybridStorage>;

/// Settings and log of this run.
pub(crate) struct Session {
    loaded: Loaded,
}

impl Session {
    /// Reads the settings and turns on the log.
    pub(crate) fn begin(args: &GlobalArgs) -> Result<Self, Failure> {
        let loaded = config::load(&args.flags()?, &Surroundings::of_process())?;
        log_to_stderr(&loaded.config.log, loaded.config.log_format)?;
        for warning in &loaded.warnings {
            output::warn(warning);
        }
        Ok(Session { loaded })
    }

    /// The settings.
    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Each setting with its origin.
    pub(crate) fn settings(&self) -> &[Setting] {
        &self.loaded.settings
    }

    /// What commands for people look at: one project if one was named, else everything.
    pub(crate) fn scope(&self) -> Scope {
        match self.config().project.as_str() {
            "" => Scope::All,
            project => Scope::Project(project.to_owned()),
        }
    }

    /// Where the database is.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        // Checked when the settings were read.
        self.config().place().map_err(|problem| Failure::usage(format!("database.url {problem}")))
    }

    /// Opens the database, creating the file if need be. A server is not asked for anything yet.
    pub(crate) async fn open(&self) -> Result<Arc<LocalMemory>, Failure> {
        let store = HybridStorage::open(self.config().storage(self.place()?)).await?;
        Ok(Arc::new(Memory::new(store, Arc::new(SystemClock))))
    }
}

/// Stdout belongs to results and to the protocol.
fn log_to_stderr(directives: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = filter(directives).ok_or_else(|| {
        let shown = memory_core::error::excerpt(directives);
        Failure::usage(format!("log is \"{shown}\", which is no level")).hint(
            "use off, error, warn, info, debug or trace, or info,memory_storage=debug and the like",
        )
    })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().boxed(),
    };
    let layer = layer.with_filter(filter);
    // A second one in the same process keeps the first.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Levels by crate or module. A bare word must be a level: the library would take a misspelt one
/// for a module, and log nothing.
fn filter(directives: &str) -> Option<Targets> {
    let bare = directives.split(',').filter(|part| !part.contains('='));
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let all_levels = bare.map(str::trim).all(is_level);
    let targets: Targets = directives.parse().ok().filter(|_| all_levels)?;
    if directives.contains("rmcp") {
        return Some(targets);
    }
    // The protocol library logs whole messages, with whatever the agent saw, secrets included; and as
    // a warning each error that a client was answered with, which may repeat what it asked for.
    let level = targets.default_level().unwrap_or(LevelFilter::OFF).min(LevelFilter::ERROR);
    Some(targets.with_target("rmcp", level))
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn a_misspelt_level_is_refused_rather_than_taken_for_a_module() {
        for good in ["warn", "off", "info,memory_storage=debug", "memory_core=trace"] {
            assert!(filter(good).is_some(), "{good}");
        }
        for wrong in ["wran", "", "info,memory_storage", "memory_core=loud"] {
            assert!(filter(wrong).is_none(), "{wrong}");
        }
    }
}
