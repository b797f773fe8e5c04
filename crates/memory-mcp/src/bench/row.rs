//! A row of the table: the settings that turn it on and off, what the plan claims, what was measured.

use std::fmt;

use futures::future::LocalBoxFuture;
use serde::Serialize;

use super::Bench;
use super::ratio::Ratio;
use super::server::MISSING;
use anyhow::Result;

/// How a row is measured.
pub(crate) type Measure = for<'a> fn(&'a Bench, &'a Row) -> LocalBoxFuture<'a, Result<Measured>>;

/// An optimization of the plan.
pub(crate) struct Row {
    /// As the plan numbers it.
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// In the plan's words.
    pub(crate) claim: &'static str,
    /// The claim in terms of what is measured.
    pub(crate) targets: &'static [Target],
    /// What says whether it pays.
    pub(crate) decides: Decides,
    /// What shows that off is another path through the code.
    pub(crate) shows: Shows,
    /// Settings of both sides.
    pub(crate) both: &'static [&'static str],
    /// Those that turn it on; none where that is the default.
    pub(crate) on: &'static [&'static str],
    /// Those that turn it off.
    pub(crate) off: &'static [&'static str],
    /// What is compared, where no setting makes the difference.
    pub(crate) instead: &'static str,
    pub(crate) needs: Needs,
    /// Tests that hold the deterministic figures, so that a regression is seen without a clock.
    pub(crate) guards: &'static [&'static str],
    pub(crate) measure: Measure,
}

/// What a row cannot be measured without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Server,
    /// Another build of the program.
    Build,
}

/// What says whether a row pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decides {
    Time,
    Figure(&'static str),
}

/// A figure that is much better on, on every machine; if it is not, the setting does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shows {
    /// So many times fewer.
    Fewer(&'static str, f64),
    /// So many times more.
    More(&'static str, f64),
    /// No count shows it: it changes when things happen, or compares builds.
    Nothing,
}

/// A claim in terms of what is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// So many times less time.
    Times(f64),
    /// A figure less by this part (0 to 1).
    Cut(&'static str, f64),
    /// A figure in percent higher by so many points.
    Points(&'static str, f64),
    /// A figure less by this much.
    Less(&'static str, f64),
    /// A figure of both sides is at most this.
    AtMost(&'static str, f64),
}

impl Row {
    /// The settings of a side.
    pub(crate) fn settings(&self, on: bool) -> Vec<&'static str> {
        [self.both, if on { self.on } else { self.off }].concat()
    }

    /// What makes the difference, for people.
    pub(crate) fn switch(&self) -> String {
        let list = |settings: &[&str]| {
            let quoted: Vec<_> = settings.iter().map(|s| format!("`{s}`")).collect();
            quoted.join(", ")
        };
        match (self.on, self.off) {
            ([], []) => format!("against {}", self.instead),
            (on, []) => format!("off by default, on by {}", list(on)),
            (_, off) => format!("off by {}", list(off)),
        }
    }

    /// What keeps it from being measured.
    pub(crate) fn missing(&self, bench: &Bench) -> Option<&'static str> {
        match self.needs {
            Needs::Server if bench.servers.is_none() => Some(MISSING),
            Needs::Build if bench.against.is_none() => Some(
                "compares two builds: `cargo build --release --no-default-features --target-dir \
                 target/plain`, then --against target/plain/release/memory-mcp",
            ),
            _ => None,
        }
    }
}

/// Which way a figure is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Lower,
    Higher,
    /// Told for information.
    Neither,
}

/// A figure of both sides.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) on: f64,
    pub(crate) off: f64,
    pub(crate) better: Better,
    /// It depends on a clock; the others are counts.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) timed: bool,
}

impl Figure {
    /// A count.
    pub(crate) fn new(name: &'static str, on: f64, off: f64, better: Better) -> Self {
        Figure { name, on, off, better, timed: false }
    }

    /// What a clock has a part in.
    pub(crate) fn timed(name: &'static str, on: f64, off: f64, better: Better) -> Self {
        Figure { timed: true, ..Figure::new(name, on, off, better) }
    }

    /// How many times better on is; `None` where one of them is 0 or there is no better.
    fn factor(&self) -> Option<f64> {
        let (on, off) = match self.better {
            Better::Lower => (self.on, self.off),
            Better::Higher => (self.off, self.on),
            Better::Neither => return None,
        };
        if on == 0.0 && off == 0.0 { Some(1.0) } else { Some(off / on) }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { name, on, off, .. } = self;
        write!(f, "{name} {} / {}", number(*on), number(*off))
    }
}

/// Three digits that matter; two where it is below 0.01.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v == 0.0 || v >= 100.0 || v == v.trunc() => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.01 => 3,
        v => ((-v.log10().floor()) as usize + 1).min(12),
    };
    format!("{value:.digits$}")
}

/// What both sides took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Timing {
    /// Of what, for instance `ms a read`.
    pub(crate) unit: &'static str,
    pub(crate) on: f64,
    pub(crate) off: f64,
    /// `None`: too few rounds to tell.
    pub(crate) ratio: Option<Ratio>,
}

/// What was measured of a row.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) timing: Option<Timing>,
    pub(crate) figures: Vec<Figure>,
    /// What a reader has to know, the reason of a result that is nil or negative for one.
    pub(crate) notes: Vec<String>,
}

impl Measured {
    pub(crate) fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// Whether on and off are not the same code; `None`: no count shows it.
    pub(crate) fn differs(&self, shows: Shows) -> Option<bool> {
        let (name, times) = match shows {
            Shows::Fewer(name, times) | Shows::More(name, times) => (name, times),
            Shows::Nothing => return None,
        };
        // One that was not measured shows nothing.
        let Some(figure) = self.figure(name) else { return Some(false) };
        let (less, more) = match shows {
            Shows::More(..) => (figure.off, figure.on),
            _ => (figure.on, figure.off),
        };
        Some(less < more && less * times <= more)
    }

    /// How many times better on is by what decides, with the least it could be.
    fn gain(&self, decides: Decides) -> Option<(f64, f64, f64)> {
        match decides {
            Decides::Time => {
                let ratio = self.timing.as_ref()?.ratio?;
                Some((ratio.mean, ratio.low, ratio.high))
            }
            Decides::Figure(name) => {
                let factor = self.figure(name)?.factor()?;
                Some((factor, factor, factor))
            }
        }
    }

    fn meets(&self, target: &Target) -> Option<bool> {
        Some(match *target {
            // Not where the interval leaves open whether there is any effect.
            Target::Times(n) => {
                let ratio = self.timing.as_ref()?.ratio?;
                ratio.mean >= n && ratio.low > 1.0
            }
            Target::Cut(name, part) => {
                let figure = self.figure(name)?;
                figure.on <= figure.off * (1.0 - part)
            }
            Target::Points(name, points) => {
                let figure = self.figure(name)?;
                figure.on - figure.off >= points
            }
            Target::Less(name, by) => {
                let figure = self.figure(name)?;
                figure.off - figure.on >= by
            }
            Target::AtMost(name, most) => {
                let figure = self.figure(name)?;
                figure.on.max(figure.off) <= most
            }
        })
    }
}

/// Whether a row pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Pays,
    NoEffect,
    Negative,
    /// Too few rounds, or a part was missing.
    NotMeasured,
    /// It could not be measured to its end.
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Pays => "pays",
            Verdict::NoEffect => "no effect",
            Verdict::Negative => "negative",
            Verdict::NotMeasured => "not measured",
            Verdict::Failed => "FAILED",
        })
    }
}

/// Differences below this part are none, where there is no interval to say so.
const NOTHING: f64 = 0.01;

/// A row and what became of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) claim: &'static str,
    pub(crate) switch: String,
    pub(crate) verdict: Verdict,
    /// Whether the claim was met, part by part; empty where nothing can be said.
    pub(crate) met: Vec<bool>,
    /// Off is another path through the code: a count of both sides says so. `None`: no count can.
    pub(crate) differs: Option<bool>,
    /// What was missing, or what went wrong.
    pub(crate) missing: Option<String>,
    pub(crate) guards: &'static [&'static str],
    #[serde(flatten)]
    pub(crate) measured: Measured,
}

impl Outcome {
    pub(crate) fn of(row: &Row, measured: Measured) -> Self {
        let verdict = match measured.gain(row.decides) {
            None => Verdict::NotMeasured,
            Some((mean, low, _)) if low > 1.0 && mean > 1.0 + NOTHING => Verdict::Pays,
            Some((mean, _, high)) if high < 1.0 && mean < 1.0 - NOTHING => Verdict::Negative,
            Some(_) => Verdict::NoEffect,
        };
        Outcome {
            id: row.id,
            name: row.name,
            claim: row.claim,
            switch: row.switch(),
            verdict,
            met: row.targets.iter().filter_map(|target| measured.meets(target)).collect(),
            differs: measured.differs(row.shows),
            missing: None,
            guards: row.guards,
            measured,
        }
    }

    pub(crate) fn missing(row: &Row, what: impl Into<String>) -> Self {
        Outcome { missing: Some(what.into()), ..Outcome::of(row, Measured::default()) }
    }

    pub(crate) fn failed(row: &Row, e: &anyhow::Error) -> Self {
        Outcome { verdict: Verdict::Failed, ..Outcome::missing(row, format!("{e:#}")) }
    }

    /// Of the claim, in words.
    pub(crate) fn claim_met(&self) -> &'static str {
        match (self.met.contains(&true), self.met.contains(&false)) {
            (true, false) => "met",
            (true, true) => "met in part",
            (false, true) => "missed",
            (false, false) => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rounds: &[(f64, f64)], on: f64, off: f64) -> Measured {
        let ratio = Ratio::of(rounds);
        let timing = Some(Timing { unit: "ms", on: 1.0, off: 1.0, ratio });
        Measured { timing, figures: vec![Figure::new("n", on, off, Better::Lower)], notes: vec![] }
    }

    fn row(decides: Decides, targets: &'static [Target]) -> Row {
        Row {
            id: "0",
            name: "",
            claim: "",
            targets,
            decides,
            shows: Shows::Fewer("n", 2.0),
            both: &[],
            on: &[],
            off: &["cache.policy=lru"],
            instead: "",
            needs: Needs::Nothing,
            guards: &[],
            measure: |_, _| Box::pin(async { Ok(Measured::default()) }),
        }
    }

    #[test]
    fn a_verdict_is_what_the_interval_allows() {
        let time = row(Decides::Time, &[Target::Times(3.0), Target::Cut("n", 0.5)]);
        let faster = Outcome::of(&time, measured(&[(1.0, 2.0), (1.0, 2.1)], 6.0, 10.0));
        assert_eq!((faster.verdict, faster.claim_met()), (Verdict::Pays, "missed"));
        let noise = Outcome::of(&time, measured(&[(1.0, 2.0), (2.0, 1.1)], 5.0, 10.0));
        assert_eq!((noise.verdict, noise.claim_met()), (Verdict::NoEffect, "met in part"));
        let slower = Outcome::of(&time, measured(&[(2.0, 1.0), (2.1, 1.0)], 0.0, 0.0));
        assert_eq!(slower.verdict, Verdict::Negative);
        assert_eq!((slower.differs, noise.differs), (Some(false), Some(true)));
        assert_eq!(faster.differs, Some(false), "6 of 10 is no half");
        let count = row(Decides::Figure("n"), &[]);
        let fewer = Outcome::of(&count, measured(&[], 0.0, 10.0));
        assert_eq!((fewer.verdict, fewer.claim_met()), (Verdict::Pays, "-"));
        assert_eq!(Outcome::of(&time, measured(&[], 0.0, 1.0)).verdict, Verdict::NotMeasured);
    }
}
