//! What an episode owes to those around it.
//!
//! A turn of a conversation or a short note says little by itself: the answer follows the question
//! that names its subject. So a short episode is lent a part of what those just before and after it
//! are worth.

use std::collections::HashMap;
use std::sync::Arc;

use crate::episode::{Episode, EpisodeId};
use crate::store::SearchHit;

/// Parts of a neighbour's worth: an answer comes after its question.
const BEFORE: f64 = 0.25;
const AFTER: f64 = 0.2;
const TWO_BEFORE: f64 = 0.15;
const TWO_AFTER: f64 = 0.1;

/// What each of `episodes` is lent, by the worth of those near it.
pub(super) fn lent(
    episodes: &[(&Arc<Episode>, &str)],
    hits: &HashMap<EpisodeId, &SearchHit>,
    worth: &[f64],
) -> Vec<f64> {
    let places: HashMap<EpisodeId, usize> =
        episodes.iter().enumerate().map(|(place, (e, _))| (e.id, place)).collect();
    let mut near: HashMap<(usize, usize), usize> = HashMap::new();
    for hit in hits.values().filter(|hit| !hit.nearby.is_empty()) {
        let Some(&own) = places.get(&hit.id) else { continue };
        for (side, distance) in sides(own, hit, episodes, &places) {
            near.insert((own, side), distance);
            near.insert((side, own), distance);
        }
    }
    let mut lent = vec![0.0; episodes.len()];
    for ((to, from), distance) in near {
        let (Some((borrower, _)), Some((lender, _))) = (episodes.get(to), episodes.get(from))
        else {
            continue;
        };
        let before = (lender.started_at, lender.id) < (borrower.started_at, borrower.id);
        let part = match (distance, before) {
            (0, true) => BEFORE,
            (0, false) => AFTER,
            (_, true) => TWO_BEFORE,
            (_, false) => TWO_AFTER,
        };
        if let (Some(slot), Some(worth)) = (lent.get_mut(to), worth.get(from)) {
            *slot += part * worth;
        }
    }
    lent
}

/// The places of what is near a hit, with how many stand between.
fn sides(
    own: usize,
    hit: &SearchHit,
    episodes: &[(&Arc<Episode>, &str)],
    places: &HashMap<EpisodeId, usize>,
) -> Vec<(usize, usize)> {
    let Some((center, _)) = episodes.get(own) else { return Vec::new() };
    let key = |place: usize| episodes.get(place).map(|(e, _)| (e.started_at, e.id));
    let known = hit.nearby.iter().filter_map(|id| places.get(id).copied());
    let (mut before, mut after): (Vec<usize>, Vec<usize>) =
        known.partition(|place| key(*place) < Some((center.started_at, center.id)));
    before.sort_by_key(|place| std::cmp::Reverse(key(*place)));
    after.sort_by_key(|place| key(*place));
    let numbered = |list: Vec<usize>| list.into_iter().enumerate().map(|(d, p)| (p, d));
    numbered(before).chain(numbered(after)).collect()
}
