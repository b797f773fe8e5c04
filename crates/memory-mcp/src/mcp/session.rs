//! What every tool call of one server process shares.

use std::sync::Arc;

use memory_core::store::{Filter, ListQuery, Page, Scope};
use memory_core::{EpisodeId, EpisodeStore, Error, Memory, Result};

use super::ServeDefaults;
use super::cursor::Cursors;

/// The projects that a caller is kept to; empty: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Projects(pub(crate) Arc<[String]>);

/// The memory, and what holds when a call does not say otherwise.
pub(crate) struct Session<S> {
    pub(super) memory: Arc<Memory<S>>,
    /// Names this process where feedback comes from no episode: its last word on a thing counts.
    pub(super) id: EpisodeId,
    defaults: Arc<ServeDefaults>,
    cursors: Arc<Cursors>,
    open: Projects,
}

impl<S: EpisodeStore> Session<S> {
    pub(crate) fn new(memory: Arc<Memory<S>>, defaults: ServeDefaults) -> Self {
        let id = EpisodeId::generate(memory.now());
        let cursors = Arc::new(Cursors::new());
        Session { memory, id, defaults: Arc::new(defaults), cursors, open: Projects::default() }
    }

    /// The same for a caller who is kept to some projects.
    pub(super) fn kept_to(&self, open: Projects) -> Self {
        Session {
            memory: self.memory.clone(),
            id: self.id,
            defaults: self.defaults.clone(),
            cursors: self.cursors.clone(),
            open,
        }
    }

    /// The project a call is about. Without one in the call it is the server's, or, for a caller
    /// who has no access to that, the first of the caller's own.
    pub(super) fn project(&self, given: Option<String>) -> Result<String> {
        let open = &self.open.0;
        let is_open = |project: &String| open.is_empty() || open.contains(project);
        match given {
            Some(project) if is_open(&project) => Ok(project),
            Some(_) => {
                let problem = format!("is not open to this token; it may use {}", open.join(", "));
                Err(Error::invalid("project", problem))
            }
            None => Ok(Some(&self.defaults.project)
                .filter(|project| is_open(project))
                .or_else(|| open.first())
                .unwrap_or(&self.defaults.project)
                .clone()),
        }
    }

    /// What a call may see.
    pub(super) fn scope(&self, project: Option<String>) -> Result<Scope> {
        self.project(project).map(Scope::Project)
    }

    /// The projects to propose: the caller's own, or the server's.
    pub(super) fn known_projects(&self) -> Vec<String> {
        match &*self.open.0 {
            [] => vec![self.defaults.project.clone()],
            own => own.to_vec(),
        }
    }

    /// A page of a project's episodes, newest first, and the cursor of the next as a client gets it.
    pub(super) async fn page(
        &self,
        project: String,
        filter: Filter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Page, Option<String>)> {
        let after = cursor.map(|cursor| self.cursors.open(&project, cursor)).transpose()?;
        let query = ListQuery { scope: Scope::Project(project.clone()), filter, after, limit };
        let page = self.memory.store().list(&query).await?;
        let next =
            page.next.as_deref().map(|next| self.cursors.seal(&project, next)).transpose()?;
        Ok((page, next))
    }
}
