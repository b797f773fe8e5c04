//! Items as episodes, questions as recalls, in a temporary store: the product's own way from a text
//! to its place in a ranking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::recall::RecallQuery;
use memory_core::record::Record;
use memory_core::store::Scope;
use memory_core::{
    Episode, EpisodeId, Error, Memory, Outcome, OutcomeKind, Result, SystemClock, Timestamp,
};
use memory_storage::HybridStorage;
use tempfile::TempDir;

use super::figures::DEPTH;
use super::items::{Group, Item};
use crate::config::{Config, DATABASE_FILE, Place};

/// Items of one write.
const BATCH: usize = 500;

/// A store that is gone with this value.
pub struct Bench {
    memory: Memory<HybridStorage>,
    _dir: TempDir,
}

/// What came back for a question.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Places of items in their group, best first, whatever the cut-off says.
    pub places: Vec<usize>,
    /// How many of them a recall returns: 0 when it says that nothing is relevant.
    pub nothing_relevant: bool,
    /// From the question to the ranking.
    pub took: Duration,
}

impl Bench {
    /// An empty store in a temporary directory.
    pub async fn open() -> Result<Self> {
        let dir = tempfile::tempdir().map_err(|e| Error::Engine {
            context: "making a temporary directory".into(),
            message: e.to_string(),
        })?;
        let file = Place::File(dir.path().join(DATABASE_FILE));
        let config = Config::defaults(dir.path().to_owned());
        let store = HybridStorage::open(config.storage(file)).await?;
        Ok(Bench { memory: Memory::new(store, Arc::new(SystemClock)), _dir: dir })
    }

    /// The memory, for what else is to be taken in or asked.
    pub fn memory(&self) -> &Memory<HybridStorage> {
        &self.memory
    }

    /// Takes in the items of a group, telling how many are done. Returns what was refused, by place.
    pub async fn take_in(
        &self,
        group: &Group,
        number: usize,
        done: impl Fn(u64),
    ) -> Result<Vec<(usize, Error)>> {
        let mut refused = Vec::new();
        let times = times(&group.items, self.memory.now());
        let places: Vec<usize> = (0..group.items.len()).collect();
        for batch in places.chunks(BATCH) {
            let of = |place: &usize| Some((group.items.get(*place)?, *times.get(*place)?));
            let records = batch.iter().filter_map(|place| {
                let (item, at) = of(place)?;
                Some(Record::Episode(Box::new(episode(item, *place, at, number))))
            });
            let taken = self.memory.take_in(records.collect()).await?;
            for (place, result) in batch.iter().zip(taken) {
                refused.extend(result.err().map(|e| (*place, e)));
            }
            done(batch.len() as u64);
        }
        Ok(refused)
    }

    /// Asks a question of a group.
    pub async fn ask(&self, query: &str, number: usize) -> Result<Found> {
        let begun = Instant::now();
        let mut query = RecallQuery::new(query, Self::scope(number));
        query.limit = RecallQuery::MAX_LIMIT;
        let ranking = self.memory.ranking(&query).await?;
        let took = begun.elapsed();
        let places = ranking.order.iter().take(DEPTH).map(|id| place_in(*id)).collect();
        Ok(Found { places, nothing_relevant: ranking.nothing_relevant.is_some(), took })
    }

    /// Where the items of a group are.
    pub fn scope(number: usize) -> Scope {
        Scope::Project(project(number))
    }

    /// The items of a group as they were taken in.
    pub fn episodes(&self, group: &Group, number: usize) -> Vec<Episode> {
        let times = times(&group.items, self.memory.now());
        let places = group.items.iter().zip(times).enumerate();
        places.map(|(place, (item, at))| episode(item, place, at, number)).collect()
    }

    /// Closes the store and removes it.
    pub async fn close(self) {
        self.memory.store().durable().close().await;
    }
}

fn project(group: usize) -> String {
    format!("group {group}")
}

/// Begin of each item: its own time, or that of the item before; in the order of time, and within
/// one time in that of the file, so that what stood next to each other still does.
fn times(items: &[Item], now: Timestamp) -> Vec<Timestamp> {
    let first = items.iter().find_map(|item| item.at).unwrap_or(now);
    let mut at = first;
    let begun: Vec<Timestamp> = items
        .iter()
        .map(|item| {
            at = item.at.unwrap_or(at);
            at
        })
        .collect();
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|place| begun.get(*place));
    let mut times = begun.clone();
    let mut last = Timestamp(i64::MIN);
    for place in order {
        if let Some(time) = times.get_mut(place) {
            last = Timestamp(time.0.max(last.0.saturating_add(1)));
            *time = last;
        }
    }
    times
}

fn episode(item: &Item, place: usize, at: Timestamp, group: usize) -> Episode {
    let mut episode = Episode::start(id_of(place, group), project(group), item.text.as_str(), at);
    episode.ended_at = Some(at);
    episode.outcome = Some(Outcome::new(OutcomeKind::Unjudged, ""));
    episode
}

/// The id of an item: its group and place, so that they can be read from it.
fn id_of(place: usize, group: usize) -> EpisodeId {
    let mut bytes = [0u8; 16];
    let (high, low) = bytes.split_at_mut(8);
    high.copy_from_slice(&(group as u64).to_be_bytes());
    low.copy_from_slice(&(place as u64).to_be_bytes());
    EpisodeId::from_bytes(bytes)
}

fn place_in(id: EpisodeId) -> usize {
    let bytes = *id.as_bytes();
    let low = bytes.iter().skip(8).fold(0u64, |n, byte| (n << 8) | u64::from(*byte));
    usize::try_from(low).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_keep_their_order_in_time() {
        let item =
            |at: Option<i64>| Item { id: String::new(), text: "x".into(), at: at.map(Timestamp) };
        let of = |ats: &[Option<i64>]| -> Vec<i64> {
            let items: Vec<Item> = ats.iter().map(|at| item(*at)).collect();
            times(&items, Timestamp(7)).iter().map(|t| t.0).collect()
        };
        assert_eq!(of(&[Some(5), Some(5), None, Some(9)]), [5, 6, 7, 9]);
        assert_eq!(of(&[None, None]), [7, 8]);
        assert_eq!(of(&[Some(9), Some(5), Some(5)]), [9, 5, 6]);
    }

    #[test]
    fn an_id_tells_the_place() {
        assert_eq!(place_in(id_of(70_000, 3)), 70_000);
        assert_ne!(id_of(1, 2), id_of(2, 1));
    }
}
