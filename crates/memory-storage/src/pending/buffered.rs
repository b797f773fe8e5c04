//! The durable store and the file together, and what is known of running episodes.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use memory_core::clock::Clock;
use memory_core::store::{EpisodeStore, Scope};
use memory_core::{Episode, EpisodeId, Result, Step, Timestamp, WriteId};
use memory_storage_turso::pending::{PendingFile, PendingFileConfig, Target};
use tokio::sync::Notify;

use super::{PendingConfig, WhenOffline};

/// Running episodes whose copy is kept. An agent works on one or a few at a time.
const KNOWN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// Steps sent straight to the database that are remembered.
const SENT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// A durable store with a pending file in front of it.
pub(super) struct Buffered<D> {
    pub(super) durable: D,
    pub(super) file: PendingFile,
    pub(super) config: PendingConfig,
    pub(super) clock: Arc<dyn Clock>,
    /// Something was put into the file.
    pub(super) wake: Notify,
    /// Names this process in the lease.
    pub(super) holder: [u8; 16],
    url: String,
    state: Mutex<State>,
}

struct State {
    target: Option<Known>,
    /// Running episodes as the database holds them. A copy may be out of date: what rests on it is
    /// compare-and-set, or steps that find their place wherever the episode stands.
    episodes: LruCache<EpisodeId, Arc<Episode>>,
    /// Steps sent straight to the database, which knows whether it has them: a repetition of them
    /// goes there too. Journaled they would be shown twice until they are delivered.
    sent: LruCache<WriteId, ()>,
    /// The file when the feed was last read, and the episodes something waited for then.
    feed: Option<(i64, Vec<EpisodeId>)>,
}

/// The target in use.
#[derive(Clone, Copy)]
struct Known {
    target: Target,
    /// As it said itself in this process; `None`: not asked yet.
    database: Option<[u8; 16]>,
}

impl<D: EpisodeStore> Buffered<D> {
    pub(super) async fn open(
        durable: D,
        url: &str,
        config: PendingConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let PendingConfig { path, max_entries, max_bytes, .. } = config.clone();
        let file = PendingFile::open(PendingFileConfig { path, max_entries, max_bytes }).await?;
        let state = State {
            target: None,
            episodes: LruCache::new(KNOWN),
            sent: LruCache::new(SENT),
            feed: None,
        };
        Ok(Buffered {
            durable,
            file,
            config,
            holder: *WriteId::generate(clock.now()).as_bytes(),
            clock,
            wake: Notify::new(),
            url: url.to_owned(),
            state: Mutex::new(state),
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn queues(&self) -> bool {
        self.config.when_offline == WhenOffline::Queue
    }

    /// The target in use; before the first contact the one that was in use last.
    pub(super) async fn target(&self) -> Result<Target> {
        let known = self.state().target;
        match known {
            Some(known) => Ok(known.target),
            None => {
                let target = self.file.target(&self.url, None, self.now()).await?;
                self.state().target.get_or_insert(Known { target, database: None });
                Ok(target)
            }
        }
    }

    /// The target, once the database has said in this process which one it is.
    pub(super) async fn identified(&self) -> Result<Target> {
        let known = self.state().target;
        match known {
            Some(Known { target, database: Some(_) }) => Ok(target),
            _ => self.identify().await,
        }
    }

    /// Asks the database which one it is: another may have taken its place behind the URL.
    pub(super) async fn identify(&self) -> Result<Target> {
        let database = self.durable.changes(None).await?.watermark.database;
        self.is_database(database).await
    }

    /// Notes which database was reached.
    pub(super) async fn is_database(&self, database: [u8; 16]) -> Result<Target> {
        let known = self.state().target;
        if let Some(Known { target, database: Some(same) }) = known
            && same == database
        {
            return Ok(target);
        }
        let target = self.file.target(&self.url, Some(database), self.now()).await?;
        let mut state = self.state();
        if state.target.is_some_and(|known| known.target != target) {
            tracing::warn!("another database is behind the URL; what waits is for the earlier one");
            state.episodes.clear();
        }
        state.target = Some(Known { target, database: Some(database) });
        Ok(target)
    }

    /// The copy of a running episode of this scope.
    pub(super) fn known(&self, scope: &Scope, id: EpisodeId) -> Option<Arc<Episode>> {
        let mut state = self.state();
        state.episodes.get(&id).filter(|episode| scope.contains(&episode.project)).cloned()
    }

    pub(super) fn is_known(&self, id: EpisodeId) -> bool {
        self.state().episodes.contains(&id)
    }

    /// Keeps a copy just read or written, if the episode runs.
    pub(super) fn learn(&self, episode: &Arc<Episode>) {
        let mut state = self.state();
        if !episode.is_running() {
            state.episodes.pop(&episode.id);
        } else if state.episodes.peek(&episode.id).is_none_or(|k| k.version <= episode.version) {
            state.episodes.put(episode.id, episode.clone());
        }
    }

    pub(super) fn unlearn(&self, id: EpisodeId) {
        self.state().episodes.pop(&id);
    }

    pub(super) fn unlearn_before(&self, id: EpisodeId, version: u64) {
        let mut state = self.state();
        if state.episodes.peek(&id).is_some_and(|known| known.version < version) {
            state.episodes.pop(&id);
        }
    }

    pub(super) fn unlearn_all(&self) {
        self.state().episodes.clear();
    }

    /// Brings the copy to `version`, which adding `steps` has made; forgets it when that is not all
    /// that was done to the episode.
    pub(super) fn advance(&self, id: EpisodeId, steps: &[Step], version: u64, total: u32) {
        let mut state = self.state();
        let Some(known) = state.episodes.get_mut(&id) else { return };
        let (before, after) = (known.steps.len(), known.steps.len() + steps.len());
        if known.version + 1 != version || after as u64 != u64::from(total) {
            if known.version < version {
                state.episodes.pop(&id);
            }
            return;
        }
        let episode = Arc::make_mut(known);
        episode.version = version;
        episode.steps.extend_from_slice(steps);
        super::overlay::number(episode, before);
    }

    pub(super) fn note_sent(&self, write: WriteId) {
        self.state().sent.put(write, ());
    }

    pub(super) fn was_sent(&self, write: WriteId) -> bool {
        self.state().sent.contains(&write)
    }

    /// The episodes something waits for or waited for when this was last asked, unless the file is as
    /// it was then.
    pub(super) async fn touched(&self) -> Result<Vec<EpisodeId>> {
        // Before the episodes: a write in between makes the next call look again.
        let version = self.file.data_version().await?;
        if self.state().feed.as_ref().is_some_and(|(seen, _)| *seen == version) {
            return Ok(Vec::new());
        }
        let now = self.file.episodes(self.target().await?).await?;
        let before = self.state().feed.replace((version, now.clone()));
        let mut touched = now;
        touched.extend(before.into_iter().flat_map(|(_, ids)| ids));
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }

    /// The episodes something waited for when the feed was last read.
    pub(super) fn waited_for(&self, id: EpisodeId) -> bool {
        self.state().feed.as_ref().is_some_and(|(_, ids)| ids.binary_search(&id).is_ok())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
