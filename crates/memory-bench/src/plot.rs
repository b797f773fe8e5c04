//! Curves over one common horizontal axis, as an SVG file that follows the reader's light or dark
//! setting.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 560);
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2F);
const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);

/// What the colours above become where the reader prefers dark. Those of the curves do for both.
const DARK: &str = "<style>@media (prefers-color-scheme: dark){\
    [fill=\"#24292F\"]{fill:#E6EDF3}[stroke=\"#24292F\"]{stroke:#E6EDF3}\
    [fill=\"#FFFFFF\"]{fill:#0D1117}[stroke=\"#D8DEE4\"]{stroke:#30363D}}</style>";

/// The colours of curves: readable on white and on black, and to the colour-blind.
pub(crate) const BLUE: RGBColor = RGBColor(0x1F, 0x83, 0xE8);
pub(crate) const ORANGE: RGBColor = RGBColor(0xD9, 0x6B, 0x0B);

/// Curves that share their axes.
pub(crate) struct Panel<'a> {
    /// What it shows, with the unit of the vertical axis.
    pub(crate) title: &'a str,
    pub(crate) curves: Vec<Curve<'a>>,
    pub(crate) marks: Vec<Mark>,
    /// The largest value there is room for; 0: that of the curves.
    pub(crate) highest: f64,
}

/// A named curve.
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    pub(crate) color: RGBColor,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A moment with a name.
pub(crate) struct Mark {
    pub(crate) at: f64,
    pub(crate) name: String,
}

/// Draws `panels` below each other.
pub(crate) fn svg(title: &str, x_title: &str, panels: &[Panel<'_>]) -> Result<String> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        root.fill(&PAPER).map_err(failed)?;
        let style = ("sans-serif", 20).into_font().color(&INK);
        let below = root.titled(title, style).map_err(failed)?;
        let areas = below.split_evenly((panels.len(), 1));
        let end = panels.iter().flat_map(|p| &p.curves).flat_map(|c| &c.points);
        let end = end.map(|(x, _)| *x).fold(1.0, f64::max);
        let last = panels.len().saturating_sub(1);
        for (n, (area, panel)) in areas.iter().zip(panels).enumerate() {
            let x_title = if n == last { x_title } else { "" };
            draw(area, panel, end, x_title).map_err(failed)?;
        }
        root.present().map_err(failed)?;
    }
    let head = text.find('>').ok_or_else(|| anyhow!("the plot is no SVG"))?;
    text.insert_str(head + 1, DARK);
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(
    area: &Area<'_>,
    panel: &Panel<'_>,
    end: f64,
    x_title: &str,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let values = panel.curves.iter().flat_map(|c| &c.points).map(|(_, y)| *y);
    let highest = values.fold(panel.highest.max(1.0), f64::max);
    // Room for the names of the marks and of the curves.
    let top = highest * 1.35;
    let text = ("sans-serif", 14).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .caption(panel.title, ("sans-serif", 16).into_font().color(&INK))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(text.clone())
        .x_desc(x_title)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .y_labels(6)
        .draw()?;
    for mark in &panel.marks {
        let line = [(mark.at, 0.0), (mark.at, top)];
        chart.draw_series(DashedLineSeries::new(line, 4, 4, INK.stroke_width(1)))?;
        let place = (mark.at + end / 150.0, top);
        chart.draw_series([Text::new(mark.name.clone(), place, text.clone())])?;
    }
    for curve in &panel.curves {
        let color = curve.color;
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), color.stroke_width(2)))?
            .label(curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(text)
        .draw()
}

fn failed(e: DrawingAreaErrorKind<std::io::Error>) -> anyhow::Error {
    anyhow!("drawing the plot: {e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_what_it_shows_and_follows_a_dark_setting() {
        let curve = Curve { name: "adaptive", color: BLUE, points: vec![(0.0, 2.0), (9.0, 32.0)] };
        let marks = vec![Mark { at: 3.0, name: "8 callers".into() }];
        let panel = Panel { title: "limit (reads)", curves: vec![curve], marks, highest: 0.0 };
        let svg = svg("bursts", "time (s)", &[panel]).unwrap();
        for text in ["adaptive", "limit (reads)", "bursts", "time (s)", "8 callers"] {
            assert!(svg.contains(text), "{text} is not in the plot");
        }
        for color in ["\"#24292F\"", "\"#FFFFFF\"", "\"#D8DEE4\""] {
            // In the plot, not only in the rule that changes it.
            assert!(svg.replace(DARK, "").contains(color), "{color} is not used");
        }
        assert!(svg.contains("prefers-color-scheme: dark"));
    }
}
