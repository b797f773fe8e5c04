//! Concurrent misses of one id become one fetch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::{Episode, EpisodeId, Result};
use tokio::sync::watch;

/// What a fetch of one id found.
type Found = Result<Option<Arc<Episode>>>;
type Waiter = watch::Receiver<Option<Found>>;

/// The fetches under way.
#[derive(Default)]
pub struct SingleFlight {
    flights: Mutex<HashMap<EpisodeId, Waiter>>,
}

/// Ids that this caller must fetch, and those that somebody fetches already.
pub struct Shares<'a> {
    /// To be fetched and then [`land`](Lead::land)ed.
    pub lead: Lead<'a>,
    /// Places in the request that wait for others, with what they wait for.
    pub waiting: Vec<(usize, EpisodeId, Waiter)>,
}

/// The ids that this caller fetches. Dropped without landing, their waiters fetch for themselves.
pub struct Lead<'a> {
    owner: &'a SingleFlight,
    /// Places in the request and their ids.
    pub ids: Vec<(usize, EpisodeId)>,
    senders: Vec<watch::Sender<Option<Found>>>,
    waiters: Vec<Waiter>,
}

impl SingleFlight {
    /// Divides the missing ids of a request into those to fetch and those under way.
    pub fn share(&self, missing: impl Iterator<Item = (usize, EpisodeId)>) -> Shares<'_> {
        let mut flights = self.lock();
        let mut lead =
            Lead { owner: self, ids: Vec::new(), senders: Vec::new(), waiters: Vec::new() };
        let mut waiting = Vec::new();
        for (place, id) in missing {
            if let Some(waiter) = flights.get(&id) {
                waiting.push((place, id, waiter.clone()));
            } else {
                let (sender, waiter) = watch::channel(None);
                lead.waiters.push(waiter.clone());
                flights.insert(id, waiter);
                lead.ids.push((place, id));
                lead.senders.push(sender);
            }
        }
        Shares { lead, waiting }
    }

    /// Lets nobody join the fetch of `id` any more: it may have read the value before a write.
    pub fn detach(&self, id: EpisodeId) {
        self.lock().remove(&id);
    }

    /// Lets nobody join any fetch under way.
    pub fn detach_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EpisodeId, Waiter>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead<'_> {
    /// Hands the results to everybody who waits for them, in the order of `ids`.
    pub fn land(mut self, found: &[Found]) {
        for (sender, found) in self.senders.drain(..).zip(found) {
            // Nobody waiting is fine.
            let _ = sender.send(Some(found.clone()));
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut flights = self.owner.lock();
        for ((_, id), waiter) in self.ids.iter().zip(&self.waiters) {
            // A flight that was detached may have a successor: that one is not ours to remove.
            if flights.get(id).is_some_and(|current| current.same_channel(waiter)) {
                flights.remove(id);
            }
        }
    }
}

/// Waits for somebody else's fetch; `None` when that somebody gave up.
pub async fn wait(mut waiter: Waiter) -> Option<Found> {
    let landed = waiter.wait_for(Option::is_some).await.ok()?;
    landed.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> EpisodeId {
        EpisodeId::derive(&[name.as_bytes()])
    }

    #[tokio::test]
    async fn the_second_caller_waits_for_the_first() {
        let flights = SingleFlight::default();
        let first = flights.share([(0, id("a"))].into_iter());
        let mut second = flights.share([(0, id("a")), (1, id("b"))].into_iter());
        assert_eq!(second.lead.ids, [(1, id("b"))]);
        let (_, _, waiter) = second.waiting.remove(0);
        first.lead.land(&[Ok(None)]);
        assert!(matches!(wait(waiter).await, Some(Ok(None))));
        assert_eq!(flights.share([(0, id("a"))].into_iter()).lead.ids.len(), 1);
    }

    #[tokio::test]
    async fn nobody_joins_a_fetch_that_began_before_a_write() {
        let flights = SingleFlight::default();
        let before = flights.share([(0, id("a"))].into_iter());
        flights.detach(id("a"));
        let after = flights.share([(0, id("a"))].into_iter());
        assert_eq!(after.lead.ids.len(), 1);
        drop(before);
        assert_eq!(flights.share([(0, id("a"))].into_iter()).waiting.len(), 1);
    }

    #[tokio::test]
    async fn a_leader_that_is_cancelled_leaves_nobody_waiting() {
        let flights = SingleFlight::default();
        let first = flights.share([(0, id("a"))].into_iter());
        let mut second = flights.share([(0, id("a"))].into_iter());
        let (_, _, waiter) = second.waiting.remove(0);
        drop(first);
        assert!(wait(waiter).await.is_none());
    }
}
