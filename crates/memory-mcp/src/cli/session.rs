//! What one run of the binary works with: settings, the log, the memory.

use std::sync::Arc;

use memory_core::store::Scope;
use memory_core::{Memory, SystemClock};
use memory_storage::HybridStorage;
use tracing_subscriber::EnvFilter;

use super::args::GlobalArgs;
use super::{Failure, output};
use crate::config::{self, Config, Loaded, Setting, Surroundings};

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
        log_to_stderr(&loaded.config.log)?;
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

    /// Opens the database, creating it if need be.
    pub(crate) async fn open(&self) -> Result<Arc<LocalMemory>, Failure> {
        let store = HybridStorage::open(self.config().storage()).await?;
        Ok(Arc::new(Memory::new(store, Arc::new(SystemClock))))
    }
}

/// Stdout belongs to results and to the protocol.
fn log_to_stderr(directives: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(directives).map_err(|e| {
        let shown = memory_core::error::excerpt(directives);
        Failure::usage(format!("the log setting \"{shown}\" is not valid: {e}"))
            .hint("use error, warn, info, debug or trace, or directives such as info,memory_storage=debug")
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second one in the same process (tests) keeps the first.
    let _ = subscriber.try_init();
    Ok(())
}
