//! The change feed rides on every batch that goes to a server: what others changed is learned at no
//! request of its own as long as there is any traffic.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use memory_core::store::{Carried, Change, Changes, Watermark};

use crate::batch::{Batch, StatementResult};
use crate::read::changes;

/// Changes that are kept for whoever wants them; beyond it the feed has jumped for him.
const MAX_KEPT: usize = 1000;

/// What came along since it was last asked for.
#[derive(Debug, Default)]
pub(crate) struct Rider {
    /// Nothing is asked of the server before somebody has read the feed for the first time.
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    /// Where the feed stood when this was last asked for.
    base: Watermark,
    /// Where it stands now.
    now: Watermark,
    entries: Vec<Change>,
    jumped: bool,
    /// When the latest batch that brought news was sent.
    at: Option<Instant>,
}

/// The part of a batch that reads the feed.
pub(crate) struct Ride {
    since: Watermark,
    sent_at: Instant,
    statements: usize,
}

impl Rider {
    /// Puts the reading of the feed in front of a batch, so that it shares its snapshot.
    pub(crate) fn mount(&self, batch: &mut Batch) -> Option<Ride> {
        let since = self.lock().as_ref()?.now.clone();
        let feed = changes::changes(Some(&since)).statements;
        let statements = feed.len();
        batch.statements.splice(0..0, feed);
        Some(Ride { since, sent_at: Instant::now(), statements })
    }

    /// Takes the feed's results off those of the batch.
    pub(crate) fn dismount(
        &self,
        ride: Ride,
        mut results: Vec<StatementResult>,
    ) -> memory_core::Result<Vec<StatementResult>> {
        let own = results.split_off(ride.statements.min(results.len()));
        let news = changes::result(Some(&ride.since), results)?;
        if let Some(state) = self.lock().as_mut() {
            state.learn(&ride, news);
        }
        Ok(own)
    }

    /// The feed was read to here by itself.
    pub(crate) fn read_to(&self, watermark: &Watermark) {
        *self.lock() = Some(State {
            base: watermark.clone(),
            now: watermark.clone(),
            entries: Vec::new(),
            jumped: false,
            at: None,
        });
    }

    /// What came along after `since`, once.
    pub(crate) fn take(&self, since: &Watermark) -> Option<Carried> {
        let mut guard = self.lock();
        let state = guard.as_mut()?;
        let at = state.at.filter(|_| state.base == *since)?;
        state.base = state.now.clone();
        state.at = None;
        let entries = std::mem::take(&mut state.entries);
        let jumped = std::mem::take(&mut state.jumped);
        Some(Carried { changes: Changes { entries, watermark: state.now.clone(), jumped }, at })
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn learn(&mut self, ride: &Ride, news: Changes) {
        // Batches overtake each other: one that was sent earlier, or to a database that is no longer
        // this one, knows nothing new.
        let is_late = self.at.is_some_and(|at| ride.sent_at < at);
        if is_late || ride.since.database != self.now.database {
            return;
        }
        self.at = Some(ride.sent_at);
        let newer = news.entries.into_iter().filter(|change| change.seq > self.now.seq);
        self.entries.extend(newer);
        if news.jumped || self.entries.len() > MAX_KEPT {
            self.entries.clear();
            self.jumped = true;
        }
        if news.jumped || news.watermark.seq > self.now.seq {
            self.now = news.watermark;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::EpisodeId;
    use std::time::Duration;

    fn watermark(seq: u64) -> Watermark {
        Watermark { database: [1; 16], seq, write_id: None }
    }

    fn news(seqs: &[u64]) -> Changes {
        let id = EpisodeId::derive(&[b"x"]);
        let entries = seqs.iter().map(|seq| Change { seq: *seq, id, version: Some(1) }).collect();
        let watermark = watermark(seqs.last().copied().unwrap_or(0));
        Changes { entries, watermark, jumped: false }
    }

    fn ride(since: u64, sent_at: Instant) -> Ride {
        Ride { since: watermark(since), sent_at, statements: 2 }
    }

    fn learn(rider: &Rider, ride: &Ride, news: Changes) {
        rider.lock().as_mut().unwrap().learn(ride, news);
    }

    #[test]
    fn news_is_given_once_and_to_the_one_who_stands_where_it_begins() {
        let rider = Rider::default();
        assert!(rider.take(&watermark(0)).is_none());
        rider.read_to(&watermark(3));
        assert!(rider.take(&watermark(3)).is_none(), "nothing came along yet");
        learn(&rider, &ride(3, Instant::now()), news(&[4, 5]));
        assert!(rider.take(&watermark(2)).is_none());
        let taken = rider.take(&watermark(3)).unwrap().changes;
        assert_eq!((taken.entries.len(), taken.watermark.seq), (2, 5));
        assert!(rider.take(&watermark(5)).is_none());
    }

    #[test]
    fn batches_that_overtake_each_other_neither_repeat_nor_lose_news() {
        let rider = Rider::default();
        rider.read_to(&watermark(3));
        let early = Instant::now();
        let late = early + Duration::from_millis(5);
        learn(&rider, &ride(3, late), news(&[4, 5, 6]));
        learn(&rider, &ride(3, early), news(&[4]));
        let taken = rider.take(&watermark(3)).unwrap();
        assert_eq!(taken.at, late);
        let seqs: Vec<u64> = taken.changes.entries.iter().map(|change| change.seq).collect();
        assert_eq!(seqs, [4, 5, 6]);
        assert_eq!(taken.changes.watermark.seq, 6);
    }

    #[test]
    fn a_jump_and_too_much_news_are_told_as_a_jump() {
        let rider = Rider::default();
        rider.read_to(&watermark(3));
        let jump = Changes { jumped: true, ..news(&[1]) };
        learn(&rider, &ride(3, Instant::now()), Changes { entries: Vec::new(), ..jump });
        let taken = rider.take(&watermark(3)).unwrap().changes;
        assert!(taken.jumped && taken.watermark.seq == 1);

        let many: Vec<u64> = (2..=MAX_KEPT as u64 + 3).collect();
        learn(&rider, &ride(1, Instant::now()), news(&many));
        assert!(rider.take(&watermark(1)).unwrap().changes.jumped);
    }
}
