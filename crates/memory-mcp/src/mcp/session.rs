//! What every tool call of one server process shares.

use std::sync::Arc;

use memory_core::store::Scope;
use memory_core::{EpisodeId, EpisodeStore, Memory};

use super::ServeDefaults;

/// The memory, and what holds when a call does not say otherwise.
pub(super) struct Session<S> {
    pub(super) memory: Arc<Memory<S>>,
    /// Names this process where feedback comes from no episode: its last word on a thing counts.
    pub(super) id: EpisodeId,
    defaults: ServeDefaults,
}

impl<S: EpisodeStore> Session<S> {
    pub(super) fn new(memory: Arc<Memory<S>>, defaults: ServeDefaults) -> Self {
        let id = EpisodeId::generate(memory.now());
        Session { memory, id, defaults }
    }

    /// The project a call is about.
    pub(super) fn project(&self, given: Option<String>) -> String {
        given.unwrap_or_else(|| self.defaults.project.clone())
    }

    /// What a call may see.
    pub(super) fn scope(&self, project: Option<String>) -> Scope {
        Scope::Project(self.project(project))
    }
}
