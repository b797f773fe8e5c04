//! On against off: how many times quicker, and how sure of it.

use serde::Serialize;

/// The 97.5% quantiles of Student's t distribution for 1, 2, 3, ... degrees of freedom.
const T: [f64; 15] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131,
];

/// The same for more: a little too much, which is the safe side.
const LARGE_T: f64 = 2.131;

/// How many times longer "off" took than "on".
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The geometric mean of the rounds' ratios.
    pub mean: f64,
    /// The lower end of the 95% confidence interval of the mean.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Ratio {
    /// Of pairs (on, off) measured in the same round, so that what disturbs a round disturbs both.
    /// Student's t on the logarithms of the ratios, because ratios multiply. `None`: fewer than two
    /// rounds say nothing about their spread.
    pub fn of(rounds: &[(f64, f64)]) -> Option<Self> {
        let logs: Vec<f64> = rounds.iter().map(|(on, off)| (off / on).ln()).collect();
        let n = logs.len() as f64;
        let freedom = logs.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        let mean = logs.iter().sum::<f64>() / n;
        let variance = logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / freedom as f64;
        let t = T.get(freedom - 1).copied().unwrap_or(LARGE_T);
        let margin = t * (variance / n).sqrt();
        Some(Ratio { mean: mean.exp(), low: (mean - margin).exp(), high: (mean + margin).exp() })
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.mean >= 100.0 { 0 } else { 1 };
        let Ratio { mean, low, high } = self;
        write!(f, "{mean:.digits$} ({low:.digits$} to {high:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_agree_leave_no_doubt_and_others_do() {
        let sure = Ratio::of(&[(1.0, 4.0), (2.0, 8.0), (0.5, 2.0)]).unwrap();
        for end in [sure.mean, sure.low, sure.high] {
            assert!((end - 4.0).abs() < 1e-9, "{sure:?}");
        }
        // Logarithms 0 and ln 4: mean ln 2, standard error ln 2, times 12.706.
        let doubtful = Ratio::of(&[(1.0, 1.0), (1.0, 4.0)]).unwrap();
        assert!((doubtful.mean - 2.0).abs() < 1e-9);
        assert!((doubtful.high.ln() - 2_f64.ln() * 13.706).abs() < 1e-9);
        assert_eq!(Ratio::of(&[(1.0, 2.0)]), None);
    }
}
