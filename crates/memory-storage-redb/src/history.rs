//! How often each episode was asked for, over restarts: what the warm-up goes by.

use std::collections::HashMap;

use memory_core::EpisodeId;

/// Ids remembered. Beyond it the lesser half is forgotten.
const REMEMBERED: usize = 16_384;

/// Uses per episode; earlier runs of the program count for less.
#[derive(Debug, Default)]
pub(crate) struct History {
    uses: HashMap<EpisodeId, f32>,
    changed: bool,
}

/// As it is stored.
pub(crate) type Stored = Vec<(EpisodeId, f32)>;

impl History {
    /// What an earlier run left, at half its worth.
    pub(crate) fn restored(stored: Stored) -> Self {
        let finite = stored.into_iter().filter(|(_, uses)| uses.is_finite());
        History { uses: finite.map(|(id, uses)| (id, uses / 2.0)).collect(), changed: false }
    }

    pub(crate) fn add(&mut self, id: EpisodeId, uses: u32) {
        if uses == 0 {
            return;
        }
        self.changed = true;
        *self.uses.entry(id).or_default() += uses as f32;
        if self.uses.len() > REMEMBERED {
            let keep = self.ranked().into_iter().take(REMEMBERED / 2);
            self.uses = keep.collect();
        }
    }

    pub(crate) fn forget(&mut self, id: &EpisodeId) {
        self.changed |= self.uses.remove(id).is_some();
    }

    /// The most used first.
    pub(crate) fn ranked(&self) -> Stored {
        let mut ranked: Stored = self.uses.iter().map(|(id, uses)| (*id, *uses)).collect();
        ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked
    }

    /// What is to be stored, if anything changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Option<Stored> {
        std::mem::take(&mut self.changed).then(|| self.ranked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_used_are_remembered_and_early_runs_fade() {
        let id = |n: usize| EpisodeId::derive(&[&n.to_le_bytes()]);
        let mut history = History::default();
        for n in 0..REMEMBERED + 10 {
            history.add(id(n), 1 + u32::from(n % 100 == 0) * 5);
        }
        let stored = history.take_changes().unwrap();
        assert!(stored.len() <= REMEMBERED && stored[0].1 == 6.0);
        assert!(history.take_changes().is_none());
        let mut later = History::restored(stored);
        later.add(id(1), 4);
        assert_eq!(later.ranked()[0].0, id(1));
    }
}
