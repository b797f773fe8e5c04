//! Vectors of the episodes that have none, made in the background by one process at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use memory_core::recall::similar::embedding_text;
use memory_core::redact::redact_text;
use memory_core::store::Scope;
use memory_core::{Episode, EpisodeId, EpisodeStore, Error, Result};
use memory_storage_turso::TursoStore;
use memory_storage_turso::vectors::{DueVectors, MadeVector, VectorLease};

use super::Embeddings;
use super::endpoint::Problem;
use super::matrix::stored;

/// Episodes stored with one write.
const BATCH: usize = 64;

/// Texts in one request, and requests at a time. An endpoint on a laptop takes seconds for as many.
const TEXTS: usize = 16;
const REQUESTS: usize = 4;

/// How long a request may take: less than the lease, which is renewed behind it.
const WITHIN: Duration = Duration::from_secs(15);

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    /// Episodes that got a vector.
    pub embedded: u64,
    /// Episodes whose text the endpoint refused; they get none until they change.
    pub refused: u64,
    /// Another process is at it, so that nothing was left to do here.
    pub is_busy: bool,
}

impl Embeddings {
    /// Makes the vectors that are missing, and tells `progress` after each batch. Stopped at any point,
    /// whoever calls it next goes on from there.
    ///
    /// # Errors
    ///
    /// Those of the database. [`Error::Refused`]: the endpoint does not work, with what it says.
    pub async fn fill(
        &self,
        store: &TursoStore,
        mut progress: impl FnMut(&Filled) + Send,
    ) -> Result<Filled> {
        let mut filled = Filled::default();
        // Most of the time there is nothing, and nobody is to be kept from anything.
        if self.due().await?.is_none() {
            return Ok(filled);
        }
        let lease = VectorLease::default();
        if !self.vectors.take_lease(lease).await? {
            return Ok(Filled { is_busy: true, ..filled });
        }
        // Again under the lease: whoever held it until now may just have made those.
        let Some(mut due) = self.due().await? else {
            self.vectors.give_lease(lease).await?;
            return Ok(filled);
        };
        loop {
            let made = match self.make(store, &due, &mut filled).await {
                Ok(made) => made,
                Err(e) => {
                    self.vectors.give_lease(lease).await?;
                    return Err(e);
                }
            };
            self.vectors.put(&self.model, made, due.up_to, lease).await?;
            progress(&filled);
            if due.is_end {
                self.vectors.finish(&self.model, lease).await?;
                return Ok(filled);
            }
            due = self.vectors.due(&self.model, due.up_to, BATCH).await?;
        }
    }

    /// What is to be looked at, from where the last process to make vectors got to. None: nothing.
    async fn due(&self) -> Result<Option<DueVectors>> {
        let after = self.vectors.progress(&self.model).await?;
        let due = self.vectors.due(&self.model, after, BATCH).await?;
        let is_nothing = due.is_end && due.episodes.is_empty() && due.up_to == after;
        Ok((!is_nothing).then_some(due))
    }

    async fn make(
        &self,
        store: &TursoStore,
        due: &DueVectors,
        filled: &mut Filled,
    ) -> Result<Vec<MadeVector>> {
        let found = readable(store, due).await?;
        // One that changed meanwhile is due again, by its later change.
        let current = found.into_iter().zip(&due.episodes);
        let current = current.filter_map(|(episode, due)| Some((episode?, due)));
        let texts: Vec<((_, _), String)> = current
            .filter(|(episode, (_, version))| episode.version == *version)
            .map(|(episode, due)| (*due, redact_text(&embedding_text(&episode)).into_owned()))
            .collect();
        let asked: Vec<_> = texts.chunks(TEXTS).map(|some| self.embed_some(some)).collect();
        let mut answers = stream::iter(asked).buffered(REQUESTS);
        let mut made = Vec::with_capacity(texts.len());
        while let Some(answer) = answers.next().await {
            for vector in answer? {
                match vector {
                    Some(vector) => {
                        filled.embedded += 1;
                        made.push(vector);
                    }
                    None => filled.refused += 1,
                }
            }
        }
        if made.is_empty() && !texts.is_empty() {
            // Some servers say of a wrong key or model what they say of a wrong text. What is marked as
            // looked at now would get no vector when that is set right.
            let probe = self.endpoint.embed(&["ok".to_owned()], WITHIN).await;
            probe.map_err(|problem| refused(&problem))?;
        }
        Ok(made)
    }

    /// Where the endpoint refuses some texts, each is tried alone: the others are not to suffer.
    async fn embed_some(
        &self,
        some: &[((EpisodeId, u64), String)],
    ) -> Result<Vec<Option<MadeVector>>> {
        let texts: Vec<String> = some.iter().map(|(_, text)| text.clone()).collect();
        let vectors: Vec<Option<Vec<f32>>> = match self.endpoint.embed(&texts, WITHIN).await {
            Ok(vectors) => vectors.into_iter().map(Some).collect(),
            Err(Problem::Texts(_)) if texts.len() > 1 => {
                let mut each = Vec::with_capacity(texts.len());
                for text in texts {
                    each.push(self.embed_one(text).await?);
                }
                each
            }
            Err(Problem::Texts(reason)) => {
                tracing::warn!(reason, "an episode gets no embedding");
                vec![None]
            }
            Err(problem) => return Err(refused(&problem)),
        };
        let made = some.iter().zip(vectors).map(|(((episode, version), _), vector)| {
            let vector = stored(&vector?);
            Some(MadeVector { episode: *episode, version: *version, vector })
        });
        Ok(made.collect())
    }

    async fn embed_one(&self, text: String) -> Result<Option<Vec<f32>>> {
        match self.endpoint.embed(&[text], WITHIN).await {
            Ok(vectors) => Ok(vectors.into_iter().next()),
            Err(Problem::Texts(reason)) => {
                tracing::warn!(reason, "an episode gets no embedding");
                Ok(None)
            }
            Err(problem) => Err(refused(&problem)),
        }
    }
}

/// The episodes that are due, as far as they can be read: one that is damaged gets no vector.
async fn readable(store: &TursoStore, due: &DueVectors) -> Result<Vec<Option<Arc<Episode>>>> {
    let ids: Vec<EpisodeId> = due.episodes.iter().map(|(id, _)| *id).collect();
    match store.get(&Scope::All, &ids).await {
        Err(Error::Corrupt { .. }) => {}
        found => return found,
    }
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        match store.get(&Scope::All, &[id]).await {
            Err(e @ Error::Corrupt { .. }) => {
                tracing::warn!(episode = %id, "it gets no embedding: {e}");
                found.push(None);
            }
            one => found.extend(one?),
        }
    }
    Ok(found)
}

fn refused(problem: &Problem) -> Error {
    Error::Refused {
        problem: problem.text().to_owned(),
        hint: "check embeddings.url, embeddings.model and the key; what is missing is made later"
            .into(),
    }
}
