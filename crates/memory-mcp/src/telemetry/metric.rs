//! A metric as it is read.

use memory_core::latency::Latency;

/// What tells the points of a metric apart: names of OpenTelemetry's attributes, and values.
pub type Labels = Vec<(&'static str, String)>;

/// One value of a metric.
#[derive(Debug, Clone)]
pub struct Point<T> {
    /// Which one.
    pub labels: Labels,
    /// How much.
    pub value: T,
}

/// The values of a metric.
#[derive(Debug, Clone)]
pub enum Points {
    /// Only grows, from the start of the process on.
    Counter(Vec<Point<f64>>),
    /// Goes up and down.
    Gauge(Vec<Point<f64>>),
    /// Durations, in buckets up to these bounds in seconds.
    Histogram(&'static [f64], Vec<Point<Latency>>),
}

/// Something measured.
#[derive(Debug, Clone)]
pub struct Metric {
    /// Its name in OpenTelemetry.
    pub name: &'static str,
    /// Its unit, as UCUM writes it: `s`, `By`, or `{things}`.
    pub unit: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Its values.
    pub points: Points,
    /// Its name in Prometheus, where that is not the translated one.
    pub usual_name: Option<&'static str>,
}

impl Metric {
    /// Its name in Prometheus: the translation that OpenTelemetry specifies for it (unit and `_total`
    /// at the end), unless Prometheus has a name of its own for the thing.
    pub fn prometheus_name(&self) -> String {
        if let Some(usual) = self.usual_name {
            return usual.to_owned();
        }
        let unit = match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        let total = if matches!(self.points, Points::Counter(_)) { "_total" } else { "" };
        format!("{}{unit}{total}", self.name.replace('.', "_"))
    }

    /// The same under another name in Prometheus.
    pub(super) fn usually(mut self, name: &'static str) -> Self {
        self.usual_name = Some(name);
        self
    }
}

/// A counter without labels or with those of each value.
pub(super) fn counter(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> Metric {
    metric(name, unit, help, Points::Counter(points(values)))
}

/// A level.
pub(super) fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> Metric {
    metric(name, unit, help, Points::Gauge(points(values)))
}

pub(super) fn metric(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    points: Points,
) -> Metric {
    Metric { name, unit, help, points, usual_name: None }
}

fn points(values: impl IntoIterator<Item = (Labels, u64)>) -> Vec<Point<f64>> {
    values.into_iter().map(|(labels, n)| Point { labels, value: n as f64 }).collect()
}

/// One value without labels.
pub(super) fn only(value: u64) -> [(Labels, u64); 1] {
    [(Vec::new(), value)]
}

/// One value per value of one label.
pub(super) fn by<const N: usize>(
    label: &'static str,
    values: [(&'static str, u64); N],
) -> [(Labels, u64); N] {
    values.map(|(name, n)| (vec![(label, name.to_owned())], n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated_as_opentelemetry_says() {
        let name = |metric: Metric| metric.prometheus_name();
        let none = || Points::Histogram(&[], Vec::new());
        assert_eq!(
            name(metric("db.client.operation.duration", "s", "", none())),
            "db_client_operation_duration_seconds"
        );
        assert_eq!(name(counter("a.b", "By", "", [])), "a_b_bytes_total");
        assert_eq!(name(gauge("a.b", "{thing}", "", [])), "a_b");
        assert_eq!(name(counter("a", "{thing}", "", []).usually("b_total")), "b_total");
    }
}
