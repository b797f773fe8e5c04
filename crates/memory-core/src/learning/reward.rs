//! Scoring a completed episode.

use std::collections::{BTreeMap, HashSet};

use super::trace::step_error;
use crate::episode::{Complexity, Episode, OutcomeKind, Reward, RewardSource, Step};

/// Share of the outcome in a computed score; the rest is how the outcome was reached.
const OUTCOME_WEIGHT: f64 = 0.7;

/// Share of efficiency: few steps, none of them twice.
const EFFICIENCY_WEIGHT: f64 = 0.15;

/// Share of clean work: few steps that failed.
const CLEAN_WEIGHT: f64 = 0.15;

/// Steps that a task of each complexity may take before efficiency falls.
const fn expected_steps(complexity: Option<Complexity>) -> f64 {
    match complexity {
        Some(Complexity::Simple) => 5.0,
        Some(Complexity::Moderate) | None => 15.0,
        Some(Complexity::Complex) => 40.0,
    }
}

/// The reward of an episode: the one it was given, else one computed from outcome and steps; `None`
/// for a running one and one that nobody judged.
///
/// ```text
/// score = o * (0.7 + 0.15 * efficiency + 0.15 * clean)
/// o          = success 1, partial 0.5, abstained 0.2, failure and abandoned 0
/// efficiency = min(1, expected steps / steps) * distinct actions / steps
/// clean      = 1 - failed steps / steps
/// ```
///
/// The outcome multiplies the rest: to fail quickly and cleanly is still to fail.
pub fn score(episode: &Episode) -> Option<Reward> {
    if episode.reward.is_some() {
        return episode.reward.clone();
    }
    let outcome = match episode.outcome.as_ref()?.kind {
        OutcomeKind::Success => 1.0,
        OutcomeKind::Partial => 0.5,
        OutcomeKind::Abstained => 0.2,
        OutcomeKind::Failure | OutcomeKind::Abandoned => 0.0,
        OutcomeKind::Unjudged => return None,
    };
    let efficiency = efficiency(&episode.steps, episode.context.complexity);
    let clean = clean(&episode.steps);
    let score = outcome * (OUTCOME_WEIGHT + EFFICIENCY_WEIGHT * efficiency + CLEAN_WEIGHT * clean);
    let components = BTreeMap::from([
        ("outcome".to_owned(), outcome),
        ("efficiency".to_owned(), efficiency),
        ("clean".to_owned(), clean),
    ]);
    Some(Reward { score: score.clamp(0.0, 1.0), source: RewardSource::Computed, components })
}

fn efficiency(steps: &[Step], complexity: Option<Complexity>) -> f64 {
    if steps.is_empty() {
        return 1.0;
    }
    let count = steps.len() as f64;
    let distinct: HashSet<_> =
        steps.iter().map(|s| (&s.tool, &s.action, s.parameters.as_str())).collect();
    (expected_steps(complexity) / count).min(1.0) * distinct.len() as f64 / count
}

fn clean(steps: &[Step]) -> f64 {
    if steps.is_empty() {
        return 1.0;
    }
    let failed = steps.iter().filter(|step| step_error(step).is_some()).count();
    1.0 - failed as f64 / steps.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpisodeId, Outcome, Timestamp};

    fn episode(kind: OutcomeKind, actions: &[(&str, bool)]) -> Episode {
        let mut e = Episode::start(EpisodeId::derive(&[b"x"]), "p", "task", Timestamp(0));
        e.outcome = Some(Outcome::new(kind, ""));
        e.steps = actions
            .iter()
            .map(|(action, ok)| Step {
                tool: "bash".into(),
                action: (*action).into(),
                success: Some(*ok),
                ..Step::default()
            })
            .collect();
        e
    }

    fn value(e: &Episode) -> f64 {
        score(e).unwrap().score
    }

    #[test]
    fn a_given_reward_is_taken_as_it_is() {
        let mut e = episode(OutcomeKind::Success, &[]);
        let components = BTreeMap::new();
        let given = Reward { score: 0.25, source: RewardSource::Environment, components };
        e.reward = Some(given.clone());
        assert_eq!(score(&e), Some(given));
    }

    #[test]
    fn the_outcome_decides_and_the_way_shades_it() {
        let clean = episode(OutcomeKind::Success, &[("a", true), ("b", true)]);
        let messy = episode(OutcomeKind::Success, &[("a", false), ("a", false), ("b", true)]);
        let partial = episode(OutcomeKind::Partial, &[("a", true)]);
        let failure = episode(OutcomeKind::Failure, &[("a", true)]);
        assert_eq!(value(&clean), 1.0);
        assert!(value(&messy) < 1.0 && value(&messy) >= 0.7);
        assert!(value(&partial) <= 0.5 && value(&partial) > 0.0);
        assert_eq!(value(&failure), 0.0);
    }

    #[test]
    fn nobodys_word_is_no_reward() {
        assert_eq!(score(&episode(OutcomeKind::Unjudged, &[("a", true)])), None);
        let mut running = episode(OutcomeKind::Success, &[]);
        running.outcome = None;
        assert_eq!(score(&running), None);
    }
}
