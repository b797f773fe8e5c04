//! The conformance story: what every [`EpisodeStore`] promises, told once and run against each:
//! local file, real server, server behind a proxy, store behind a cache.
//!
//! Every chapter works in projects of its own with fresh ids, so the story can be told on a database
//! that holds other things, and twice on the same one. Only [`feed`] expects to be the only writer.
//!
//! - [`saving`], [`steps`], [`forgetting`], [`lessons`], [`relations`]: writes
//! - [`reading`], [`conditions`], [`scanning`], [`feed`]: reads

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a promise that is not kept fails the test"
)]

pub mod activity;
pub mod conditions;
pub mod feed;
pub mod forgetting;
pub mod lessons;
pub mod reading;
pub mod relations;
pub mod saving;
pub mod scanning;
pub mod steps;

use std::sync::Arc;

use memory_core::recall::text::query_terms;
use memory_core::store::{
    AppendSteps, Filter, Forget, ListQuery, Save, Scope, SearchQuery, Write, Written,
};
use memory_core::{
    Episode, EpisodeId, EpisodeStore, Outcome, OutcomeKind, Result, Step, Timestamp, WriteId,
};

/// The time at which stories take place.
pub const NOW: Timestamp = Timestamp(1_760_000_000_000_000);

/// Tells every chapter, one after the other.
pub async fn tell<S: EpisodeStore>(store: &S) {
    saving::tell(store).await;
    steps::tell(store).await;
    forgetting::tell(store).await;
    lessons::tell(store).await;
    relations::tell(store).await;
    reading::tell(store).await;
    conditions::tell(store).await;
    scanning::tell(store).await;
    feed::tell(store).await;
    activity::tell(store).await;
}

/// A project that nothing else uses.
pub fn project(name: &str) -> String {
    format!("{name}-{}", EpisodeId::generate(NOW))
}

/// One project, as a scope.
pub fn only(project: &str) -> Scope {
    Scope::Project(project.to_owned())
}

/// A fresh write id.
pub fn write_id() -> WriteId {
    WriteId::generate(NOW)
}

/// A running episode of `project`, with a fresh id.
pub fn running(project: &str, task: &str) -> Episode {
    Episode::start(EpisodeId::generate(NOW), project, task, NOW)
}

/// A completed one.
pub fn completed(project: &str, task: &str, kind: OutcomeKind) -> Episode {
    let mut episode = running(project, task);
    episode.ended_at = Some(Timestamp(NOW.0 + 60_000_000));
    episode.outcome = Some(Outcome::new(kind, "as the checker says"));
    episode
}

/// A step that did `action`.
pub fn step(action: &str) -> Step {
    Step { action: action.to_owned(), ..Step::default() }
}

/// A save of `episode` on top of `base`, without lessons.
pub fn save_of(episode: &Episode, base: u64) -> Save {
    Save { episode: Arc::new(episode.clone()), base, write_id: write_id(), lessons: Vec::new() }
}

/// Steps for a running episode, with a fresh write id.
pub fn steps_of(episode: &Episode, actions: &[&str]) -> AppendSteps {
    AppendSteps {
        id: episode.id,
        scope: only(&episode.project),
        steps: actions.iter().map(|action| step(action)).collect(),
        first: None,
        write_id: write_id(),
        recalled: Vec::new(),
    }
}

/// The order to forget an episode.
pub fn forget_of(episode: &Episode) -> Forget {
    Forget { id: episode.id, scope: only(&episode.project), at: Timestamp(NOW.0 + 1) }
}

/// One write, with its own result.
pub async fn write<S: EpisodeStore>(store: &S, write: Write) -> Result<Written> {
    let mut results = store.write(vec![write]).await?;
    assert_eq!(results.len(), 1, "one write has one result");
    results.remove(0)
}

/// Saves an episode on top of `base`.
pub async fn save<S: EpisodeStore>(store: &S, episode: &Episode, base: u64) -> Result<Written> {
    write(store, Write::Save(save_of(episode, base))).await
}

/// The episode as stored, seen from its own project.
pub async fn get<S: EpisodeStore>(store: &S, episode: &Episode) -> Option<Arc<Episode>> {
    store.get(&only(&episode.project), &[episode.id]).await.unwrap().remove(0)
}

/// The ids that a listing returns, newest first.
pub async fn listed<S: EpisodeStore>(store: &S, project: &str, filter: Filter) -> Vec<EpisodeId> {
    let query = ListQuery { scope: only(project), filter, after: None, limit: 100 };
    store.list(&query).await.unwrap().episodes.iter().map(|e| e.id).collect()
}

/// The ids that a search returns, best first.
pub async fn found<S: EpisodeStore>(store: &S, project: &str, words: &str) -> Vec<EpisodeId> {
    let terms = query_terms(words);
    assert!(!terms.is_empty(), "{words:?} has no terms");
    let query = SearchQuery {
        scope: only(project),
        terms,
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit: 100,
    };
    store.search(&query).await.unwrap().hits.iter().map(|hit| hit.id).collect()
}
