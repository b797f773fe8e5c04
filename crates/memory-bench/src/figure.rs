//! A named figure with its unit.

use std::fmt;

use serde_json::{Value, json};

/// One measured value.
pub(crate) struct Figure {
    /// What was measured, and how.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
}

impl Figure {
    /// A figure.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Figure { name: name.into(), value, unit }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.value.abs() {
            v if v >= 100.0 => 0,
            v if v >= 1.0 => 1,
            _ => 3,
        };
        write!(f, "{:<52} {:>12.digits$} {}", self.name, self.value, self.unit)
    }
}

/// All figures as one JSON array.
pub(crate) fn to_json(figures: &[Figure]) -> serde_json::Result<String> {
    let rows: Vec<Value> = figures
        .iter()
        .map(|f| json!({ "name": f.name, "value": f.value, "unit": f.unit }))
        .collect();
    serde_json::to_string_pretty(&rows)
}

/// The value below which `share` (0 to 1) of `samples` lie; 0 without samples.
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    samples.get(place).copied().unwrap_or(0.0)
}
