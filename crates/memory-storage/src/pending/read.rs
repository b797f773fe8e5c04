//! Reads: what the database holds, and on top of it what waits.
//!
//! What waits is read before the database. A delivery in between is then seen twice, which the
//! overlay recognises; the other way round it would be missed.

use std::sync::Arc;

use memory_core::store::{
    Carried, Change, Changes, EpisodeStore, LessonQuery, ListQuery, Page, Recollection, Scope,
    Watermark,
};
use memory_core::{Episode, EpisodeId, Result};
use memory_storage_turso::pending::Entry;

use super::buffered::Buffered;
use super::overlay::overlay;

impl<D: EpisodeStore> Buffered<D> {
    pub(super) async fn get(
        &self,
        scope: &Scope,
        ids: &[EpisodeId],
    ) -> Result<Vec<Option<Arc<Episode>>>> {
        let waiting = self.file.waiting(self.target().await?, ids).await?;
        match self.durable.get(scope, ids).await {
            Ok(found) => Ok(self.complete(scope, ids, found, &waiting)),
            Err(e) if e.is_retryable() => offline(scope, ids, &waiting).ok_or(e),
            Err(e) => Err(e),
        }
    }

    /// The copy that is known, when there is one, at no round trip.
    pub(super) async fn get_base(
        &self,
        scope: &Scope,
        id: EpisodeId,
    ) -> Result<Option<Arc<Episode>>> {
        let Some(known) = self.known(scope, id) else {
            return Ok(self.get(scope, &[id]).await?.into_iter().next().flatten());
        };
        let waiting = self.file.waiting(self.target().await?, &[id]).await?;
        Ok(overlay(id, Some(known), &waiting, true))
    }

    pub(super) async fn recollect(
        &self,
        ids: &[EpisodeId],
        lessons: &LessonQuery,
    ) -> Result<Recollection> {
        let waiting = self.file.waiting(self.target().await?, ids).await?;
        let found = self.durable.recollect(ids, lessons).await?;
        let episodes = self.complete(&lessons.scope, ids, found.episodes, &waiting);
        Ok(Recollection { episodes, ..found })
    }

    pub(super) async fn list(&self, query: &ListQuery) -> Result<Page> {
        let target = self.target().await?;
        let ids = self.file.episodes(target).await?;
        let waiting = self.file.waiting(target, &ids).await?;
        let mut page = self.durable.list(query).await?;
        for episode in page.episodes.iter_mut().filter(|episode| episode.is_running()) {
            if let Some(whole) = overlay(episode.id, Some(episode.clone()), &waiting, true) {
                *episode = whole;
            }
        }
        Ok(page)
    }

    /// The database's feed. An episode for which something waits, here or in another process, is
    /// reported without a version: what it has is not the database's.
    pub(super) async fn changes(&self, since: Option<&Watermark>) -> Result<Changes> {
        let changes = self.durable.changes(since).await?;
        self.observed(since, changes).await
    }

    /// As [`changes`](Self::changes), of what came along with other operations.
    pub(super) async fn carried(&self, since: &Watermark) -> Result<Option<Carried>> {
        let Some(Carried { changes, at }) = self.durable.carried(since).await? else {
            return Ok(None);
        };
        let changes = self.observed(Some(since), changes).await?;
        Ok(Some(Carried { changes, at }))
    }

    async fn observed(&self, since: Option<&Watermark>, mut changes: Changes) -> Result<Changes> {
        self.is_database(changes.watermark.database).await?;
        if changes.jumped {
            self.unlearn_all();
        }
        for Change { id, version, .. } in &changes.entries {
            match version {
                Some(version) => self.unlearn_before(*id, *version),
                None => self.unlearn(*id),
            }
        }
        let touched = self.touched().await?;
        for change in &mut changes.entries {
            if self.waited_for(change.id) {
                change.version = None;
            }
        }
        if since.is_some() && !changes.jumped {
            let seq = changes.watermark.seq;
            let waiting = touched.into_iter().map(|id| Change { seq, id, version: None });
            changes.entries.extend(waiting);
        }
        Ok(changes)
    }

    fn complete(
        &self,
        scope: &Scope,
        ids: &[EpisodeId],
        mut found: Vec<Option<Arc<Episode>>>,
        waiting: &[Entry],
    ) -> Vec<Option<Arc<Episode>>> {
        found.iter().flatten().for_each(|episode| self.learn(episode));
        if !waiting.is_empty() {
            for (id, slot) in ids.iter().zip(&mut found) {
                *slot = overlay(*id, slot.take(), waiting, true)
                    .filter(|episode| scope.contains(&episode.project));
            }
        }
        found
    }
}

/// Without the database: episodes that wait here in full, if those are all that is wanted.
fn offline(
    scope: &Scope,
    ids: &[EpisodeId],
    waiting: &[Entry],
) -> Option<Vec<Option<Arc<Episode>>>> {
    ids.iter()
        .map(|id| {
            let whole = overlay(*id, None, waiting, false)?;
            scope.contains(&whole.project).then_some(Some(whole))
        })
        .collect()
}
