//! The measures of a ranking.

use std::collections::HashSet;

use serde::Serialize;

/// Places of a ranking that are looked at for the reciprocal rank.
pub const DEPTH: usize = 50;

/// Averages over questions, each 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Figures {
    /// Share with a relevant item in the first place ...
    #[serde(rename = "any@1")]
    pub any_1: f64,
    /// ... among the first 5 ...
    #[serde(rename = "any@5")]
    pub any_5: f64,
    /// ... and among the first 10.
    #[serde(rename = "any@10")]
    pub any_10: f64,
    /// Share with all relevant items among the first 10.
    #[serde(rename = "all@10")]
    pub all_10: f64,
    /// Normalized discounted cumulative gain of the first 10, relevance 0 or 1 (Järvelin and
    /// Kekäläinen 2002).
    #[serde(rename = "ndcg@10")]
    pub ndcg_10: f64,
    /// Mean of 1 / place of the first relevant item, 0 beyond [`DEPTH`].
    pub mrr: f64,
}

impl Figures {
    /// Of one ranking, best first.
    pub fn of(ranking: &[&str], relevant: &HashSet<String>) -> Self {
        let hits: Vec<usize> = ranking
            .iter()
            .take(DEPTH)
            .enumerate()
            .filter(|(_, id)| relevant.contains(**id))
            .map(|(place, _)| place)
            .collect();
        let within = |n: usize| hits.iter().filter(|place| **place < n).count();
        let share = |yes: bool| f64::from(u8::from(yes));
        let gain: f64 = hits.iter().filter(|place| **place < 10).map(|p| discount(*p)).sum();
        let ideal: f64 = (0..relevant.len().min(10)).map(discount).sum();
        Figures {
            any_1: share(within(1) > 0),
            any_5: share(within(5) > 0),
            any_10: share(within(10) > 0),
            all_10: share(within(10) == relevant.len()),
            ndcg_10: if ideal > 0.0 { gain / ideal } else { 0.0 },
            mrr: hits.first().map_or(0.0, |place| 1.0 / (place + 1) as f64),
        }
    }

    /// The mean of many.
    pub fn mean(all: &[Figures]) -> Self {
        let mean =
            |of: fn(&Figures) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Figures {
            any_1: mean(|f| f.any_1),
            any_5: mean(|f| f.any_5),
            any_10: mean(|f| f.any_10),
            all_10: mean(|f| f.all_10),
            ndcg_10: mean(|f| f.ndcg_10),
            mrr: mean(|f| f.mrr),
        }
    }

    /// Each with its name, in the order in which they are shown.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("any@1", self.any_1),
            ("any@5", self.any_5),
            ("any@10", self.any_10),
            ("all@10", self.all_10),
            ("NDCG@10", self.ndcg_10),
            ("MRR", self.mrr),
        ]
    }
}

fn discount(place: usize) -> f64 {
    1.0 / ((place + 2) as f64).log2()
}

/// Milliseconds below which a share of all values lies.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranking: &[&str], relevant: &[&str]) -> Figures {
        Figures::of(ranking, &relevant.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn figures_are_those_of_the_textbook() {
        let perfect = of(&["a", "b", "x"], &["a", "b"]);
        assert!(perfect.named().iter().all(|(_, value)| *value == 1.0), "{perfect:?}");
        let second = of(&["x", "a"], &["a"]);
        assert_eq!((second.any_1, second.any_5, second.mrr), (0.0, 1.0, 0.5));
        assert!((second.ndcg_10 - 1.0 / 3f64.log2()).abs() < 1e-12);
        let half = of(&["a", "x"], &["a", "b"]);
        assert_eq!((half.any_10, half.all_10), (1.0, 0.0));
        assert!((half.ndcg_10 - 1.0 / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-12);
        assert_eq!(of(&[], &["a"]), Figures::default());
    }

    #[test]
    fn the_mean_weighs_all_questions_alike() {
        let mean = Figures::mean(&[of(&["a"], &["a"]), of(&["x", "x", "x", "a"], &["a"])]);
        assert_eq!((mean.any_1, mean.any_5, mean.mrr), (0.5, 1.0, 0.625));
        assert_eq!(Figures::mean(&[]), Figures::default());
    }
}
