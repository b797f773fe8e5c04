//! Shares as bars beside each other, as an SVG that follows the reader's light or dark setting.

use std::fmt::Write as _;

/// What is drawn.
pub struct Bars<'a> {
    /// What it shows.
    pub title: &'a str,
    /// What a bar measures, below the axis.
    pub unit: &'a str,
    /// The ways that are compared, the first in the foreground; at most [`COLOURS`].
    pub series: &'a [&'a str],
    /// From top to bottom.
    pub rows: Vec<Row>,
}

/// Bars about one thing.
pub struct Row {
    /// Which.
    pub label: String,
    /// One for each of the series, 0 to 1.
    pub shares: Vec<f64>,
    /// What it should be, if that was said.
    pub target: Option<f64>,
}

/// Series that have a colour of their own.
pub const COLOURS: usize = 3;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 80.0;
const TOP: f64 = 92.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;

/// Colours that read on light and dark and that the colour-blind can tell apart.
const STYLE: &str = "<style>\
    text{font:14px system-ui,sans-serif;fill:#24292f}.paper{fill:#fff}.grid{stroke:#d8dee4}\
    .dim{fill:#57606a;font-size:13px}.title{font-size:18px;font-weight:600}.target{stroke:#24292f}\
    .s0{fill:#1f83e8}.s1{fill:#d96b0b}.s2{fill:#8c959f}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}\
    .dim{fill:#9198a1}.target{stroke:#e6edf3}}</style>";

impl Bars<'_> {
    /// The plot as the text of an SVG file.
    pub fn svg(&self) -> String {
        let of_row = BAR * self.series.len() as f64 + GAP;
        let bottom = TOP + of_row * self.rows.len() as f64;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
             aria-label=\"{title}\">{STYLE}<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\
             <text class=\"title\" x=\"20\" y=\"32\">{title}</text>",
            bottom + 60.0,
            title = escaped(self.title)
        );
        self.legend(&mut out);
        for percent in (0..=100).step_by(20) {
            let at = x(f64::from(percent) / 100.0);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text class=\"dim\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{percent}%</text>",
                bottom + 20.0
            );
        }
        for (n, row) in self.rows.iter().enumerate() {
            row.draw(&mut out, TOP + of_row * n as f64 + GAP / 2.0);
        }
        let _ = writeln!(
            out,
            "<text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
            x(0.5),
            bottom + 44.0,
            escaped(self.unit)
        );
        out
    }

    fn legend(&self, out: &mut String) {
        let mut left = LEFT;
        let mut entry = |mark: String, name: &str| {
            let _ = write!(
                out,
                "{mark}<text class=\"dim\" x=\"{:.1}\" y=\"64\">{}</text>",
                left + 20.0,
                escaped(name)
            );
            left += 44.0 + 7.5 * name.chars().count() as f64;
            left
        };
        let mut at = LEFT;
        for (n, name) in self.series.iter().enumerate() {
            let square = format!(
                "<rect class=\"s{}\" x=\"{at:.1}\" y=\"53\" width=\"13\" height=\"13\"/>",
                n % COLOURS
            );
            at = entry(square, name);
        }
        if self.rows.iter().any(|row| row.target.is_some()) {
            let line = format!(
                "<line class=\"target\" stroke-width=\"2\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"52\" y2=\"67\"/>",
                at + 8.0
            );
            entry(line, "target");
        }
    }
}

impl Row {
    fn draw(&self, out: &mut String, top: f64) {
        let height = BAR * self.shares.len() as f64;
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            top + height / 2.0 + 5.0,
            escaped(&self.label)
        );
        for (n, share) in self.shares.iter().enumerate() {
            let (y, end) = (top + BAR * n as f64, x(*share));
            let _ = write!(
                out,
                "<rect class=\"s{}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
                 <text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\">{:.1}%</text>",
                n % COLOURS,
                y + 1.0,
                (end - LEFT).max(1.0),
                BAR - 2.0,
                end + 8.0,
                y + BAR - 3.5,
                100.0 * share
            );
        }
        if let Some(target) = self.target {
            let at = x(target);
            let _ = write!(
                out,
                "<line class=\"target\" stroke-width=\"2\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                top - 3.0,
                top + height + 3.0
            );
        }
    }
}

fn x(share: f64) -> f64 {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_what_it_shows_and_follows_a_dark_setting() {
        let row = |label: &str, shares: &[f64], target| Row {
            label: label.into(),
            shares: shares.to_vec(),
            target,
        };
        let rows = vec![row("any@5", &[0.6, 0.4], Some(0.7)), row("<MRR>", &[f64::NAN, 7.0], None)];
        let bars = Bars {
            title: "On & off",
            unit: "share of questions",
            series: &["recall", "plain"],
            rows,
        };
        let svg = bars.svg();
        for text in
            ["On &amp; off", "share of questions", "recall", "&lt;MRR&gt;", "60.0%", "target"]
        {
            assert!(svg.contains(text), "{text} is not in the plot");
        }
        assert!(svg.contains("prefers-color-scheme:dark"));
        // Nothing is drawn outside, whatever is measured.
        assert!(!svg.contains("\"NaN") && svg.contains(&format!("x=\"{:.1}\"", x(1.0) + 8.0)));
    }
}
