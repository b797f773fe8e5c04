//! Ranges on one logarithmic axis, as an SVG that follows the reader's light or dark setting.

use std::fmt::Write as _;

use super::ratio::Ratio;
use super::row::Verdict;

/// A line of the plot: a point, and how far it may be off.
pub(crate) struct Range {
    pub(crate) label: String,
    /// At the right: the values in words.
    pub(crate) told: String,
    pub(crate) low: f64,
    pub(crate) mid: f64,
    pub(crate) high: f64,
    pub(crate) tone: Tone,
}

/// How a line is drawn: each in its own colour and shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    /// Neither, or not known.
    Open,
}

impl Tone {
    /// Of a ratio with its interval.
    pub(crate) fn of(ratio: &Ratio) -> Self {
        match ratio {
            ratio if ratio.low > 1.0 => Tone::Good,
            ratio if ratio.high < 1.0 => Tone::Bad,
            _ => Tone::Open,
        }
    }

    /// Of a row's verdict.
    pub(crate) fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pays => Tone::Good,
            Verdict::Negative => Tone::Bad,
            Verdict::NoEffect | Verdict::NotMeasured | Verdict::Failed => Tone::Open,
        }
    }
}

/// What the axis is about.
pub(crate) struct Axis<'a> {
    pub(crate) title: &'a str,
    /// What the values are, with their unit.
    pub(crate) unit: &'a str,
    /// A value to compare with, and what it means.
    pub(crate) reference: Option<(f64, &'a str)>,
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 76.0;
const LINE: f64 = 26.0;

/// In both settings; colours that the colour-blind can tell apart, and shapes besides.
const STYLE: &str = "<style>\
    text{font:14px system-ui,sans-serif;fill:#24292f}.paper{fill:#fff}.grid{stroke:#d8dee4}\
    .axis{stroke:#24292f}.dim{fill:#57606a;font-size:13px}.title{font-size:18px;font-weight:600}\
    .good{stroke:#0969da;fill:#0969da}.bad{stroke:#bc4c00;fill:#bc4c00}\
    .open{stroke:#6e7781;fill:#6e7781}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}\
    .axis{stroke:#e6edf3}.dim{fill:#9198a1}.good{stroke:#4493f8;fill:#4493f8}\
    .bad{stroke:#f0883e;fill:#f0883e}.open{stroke:#9198a1;fill:#9198a1}}</style>";

/// The plot.
pub(crate) fn svg(axis: &Axis<'_>, ranges: &[Range]) -> String {
    let reference = axis.reference.map(|(value, _)| value);
    let shown = ranges.iter().flat_map(|r| [r.low, r.mid, r.high]).chain(reference);
    let shown = shown.filter(|v| v.is_finite() && *v > 0.0);
    let (low, high) = shown.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    let (from, to) = if low > high { (-1.0, 1.0) } else { (low.log10() - 0.1, high.log10() + 0.1) };
    let x = |value: f64| {
        let part = (value.max(1e-12).log10() - from) / (to - from).max(0.1);
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    };
    let bottom = TOP + LINE * ranges.len() as f64;
    let height = bottom + 64.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{title}\">{STYLE}<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\
         <text class=\"title\" x=\"20\" y=\"32\">{title}</text>",
        title = escaped(axis.title)
    );
    for (value, label) in ticks(from, to) {
        let at = x(value);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text class=\"dim\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            bottom + 20.0
        );
    }
    if let Some((value, meaning)) = axis.reference {
        let at = x(value);
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom}\" \
             stroke-dasharray=\"4 4\"/>\
             <text class=\"dim\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            TOP - 8.0,
            TOP - 14.0,
            escaped(meaning)
        );
    }
    for (n, range) in ranges.iter().enumerate() {
        line(&mut out, range, TOP + LINE * (n as f64 + 0.5), x);
    }
    let _ = writeln!(
        out,
        "<text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        bottom + 46.0,
        escaped(axis.unit)
    );
    out
}

fn line(out: &mut String, range: &Range, y: f64, x: impl Fn(f64) -> f64) {
    let class = match range.tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Open => "open",
    };
    let (low, mid, high) = (x(range.low), x(range.mid), x(range.high));
    let base = y + 5.0;
    let _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text>\
         <line class=\"{class}\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" \
         stroke-width=\"3\" stroke-linecap=\"round\"/>",
        LEFT - 14.0,
        escaped(&range.label)
    );
    let _ = match range.tone {
        Tone::Good => {
            write!(out, "<circle class=\"{class}\" cx=\"{mid:.1}\" cy=\"{y:.1}\" r=\"5\"/>")
        }
        Tone::Bad => write!(
            out,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"9\" height=\"9\"/>",
            mid - 4.5,
            y - 4.5
        ),
        Tone::Open => {
            write!(out, "<path class=\"{class}\" d=\"M{mid:.1} {:.1}l6 6l-6 6l-6-6z\"/>", y - 6.0)
        }
    };
    let _ = write!(
        out,
        "<text class=\"dim\" x=\"{:.1}\" y=\"{base:.1}\">{}</text>",
        WIDTH - RIGHT + 14.0,
        escaped(&range.told)
    );
}

/// Powers of ten; between them 2 and 5 where there are few.
fn ticks(from: f64, to: f64) -> Vec<(f64, String)> {
    let steps: &[f64] = match to - from {
        span if span < 1.0 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
        span if span < 2.5 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let powers = (from.floor() as i32)..=(to.ceil() as i32);
    let values = powers.flat_map(|power| steps.iter().map(move |s| s * 10f64.powi(power)));
    values
        .filter(|value| (from..=to).contains(&value.log10()))
        .map(|value| {
            (value, if value < 1.0 { format!("{value:.3}") } else { format!("{value:.1}") })
        })
        .map(|(value, label)| (value, label.trim_end_matches('0').trim_end_matches('.').to_owned()))
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_what_it_shows_and_follows_a_dark_setting() {
        let range = |label: &str, mid: f64| Range {
            label: label.into(),
            told: format!("{mid} times"),
            low: mid / 2.0,
            mid,
            high: mid * 2.0,
            tone: if mid > 1.0 { Tone::Good } else { Tone::Bad },
        };
        let reference = Some((1.0, "no difference"));
        let axis = Axis { title: "On & off", unit: "times less", reference };
        let svg = svg(&axis, &[range("1.1 pool", 4.0), range("5.2 <gzip>", 0.5)]);
        for text in ["On &amp; off", "times less", "no difference", "1.1 pool", "&lt;gzip&gt;"] {
            assert!(svg.contains(text), "{text} is not in the plot");
        }
        assert!(svg.contains("prefers-color-scheme:dark"));
        assert!(svg.contains("<circle class=\"good\"") && svg.contains("<rect class=\"bad\""));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn ticks_are_few_and_within() {
        for (from, to) in [(-0.5, 0.3), (0.0, 2.0), (-3.0, 4.0)] {
            let ticks = ticks(from, to);
            assert!((2..=12).contains(&ticks.len()), "{from} to {to}: {ticks:?}");
        }
    }
}
