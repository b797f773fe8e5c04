//! What the database holds of an episode, and on top of it what waits for it.
//!
//! Every waiting write raises the version by one when it is delivered, so the version shown here is
//! the one the episode will have. A write based on it is compare-and-set against what the deliveries
//! have made of the episode: should anything here be mistaken, that write is a conflict and its
//! caller reads again.

use std::sync::Arc;

use memory_core::store::{AppendSteps, Write};
use memory_core::{Episode, EpisodeId, Step};
use memory_storage_turso::pending::Entry;

/// The episode `id` as it will be: `stored` with what waits for it. `reached`: `stored` is what the
/// database said, `None` included; else nothing is known but what waits.
pub(super) fn overlay(
    id: EpisodeId,
    stored: Option<Arc<Episode>>,
    waiting: &[Entry],
    reached: bool,
) -> Option<Arc<Episode>> {
    // Steps up to `matched` are those of entries that were recognised among the stored ones.
    let mut held = stored.as_ref().map_or(0, |episode| episode.steps.len());
    let mut matched = 0;
    let mut current = stored;
    for entry in waiting.iter().filter(|entry| entry.episode == Some(id)) {
        match (&entry.write, &mut current) {
            (Ok(Write::AppendSteps(append)), Some(episode)) if episode.is_running() => {
                let from = (entry.first as usize).saturating_sub(1).max(matched);
                match find(episode.steps.get(from..held).unwrap_or_default(), &append.steps) {
                    Some(at) => matched = from + at + append.steps.len(),
                    None => add(episode, append),
                }
            }
            (Ok(Write::Save(save)), episode) => {
                let follows = match episode {
                    Some(episode) => episode.version == save.base,
                    None => save.base == 0 || !reached,
                };
                if follows {
                    current = Some(save.episode.clone());
                    held = 0;
                }
            }
            (Ok(Write::Forget(_)), episode) => *episode = None,
            _ => {}
        }
    }
    current
}

fn add(episode: &mut Arc<Episode>, append: &AppendSteps) {
    let episode = Arc::make_mut(episode);
    let before = episode.steps.len();
    episode.steps.extend_from_slice(&append.steps);
    episode.version += 1;
    number(episode, before);
}

/// Numbers the steps after the first `before` ones.
pub(super) fn number(episode: &mut Episode, before: usize) {
    for (i, step) in episode.steps.iter_mut().enumerate().skip(before) {
        step.number = u32::try_from(i + 1).unwrap_or(u32::MAX);
    }
}

/// Where `steps` are among `stored`, one after the other: delivered, and not yet settled in the file.
fn find(stored: &[Step], steps: &[Step]) -> Option<usize> {
    stored
        .windows(steps.len().max(1))
        .position(|window| window.len() == steps.len() && window.iter().zip(steps).all(same))
}

/// Equal but for the number. Steps carry the time at which they were logged.
fn same((a, b): (&Step, &Step)) -> bool {
    a.action == b.action && Step { number: a.number, ..b.clone() } == *a
}
