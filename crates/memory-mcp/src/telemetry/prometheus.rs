//! Metrics in Prometheus' text format.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
};
use prometheus::{Encoder as _, TextEncoder};

use super::metric::{Labels, Metric, Point, Points};

/// The text. A metric without values is left out, as the format has it.
pub(super) fn text(metrics: &[Metric]) -> String {
    let families = metrics.iter().map(family).filter(|f| !f.get_metric().is_empty());
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&families.collect::<Vec<_>>(), &mut text) {
        tracing::error!(%error, "the metrics cannot be written down");
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn family(metric: &Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.prometheus_name());
    family.set_help(metric.help.to_owned());
    let (kind, samples) = match &metric.points {
        Points::Counter(points) => (MetricType::COUNTER, simple(points, counter)),
        Points::Gauge(points) => (MetricType::GAUGE, simple(points, gauge)),
        Points::Histogram(bounds, points) => {
            let samples = points.iter().map(|point| histogram(bounds, point)).collect();
            (MetricType::HISTOGRAM, samples)
        }
    };
    family.set_field_type(kind);
    family.set_metric(samples);
    family
}

fn simple(points: &[Point<f64>], sample: fn(&mut Sample, f64)) -> Vec<Sample> {
    let filled = |point: &Point<f64>| {
        let mut filled = Sample::from_label(pairs(&point.labels));
        sample(&mut filled, point.value);
        filled
    };
    points.iter().map(filled).collect()
}

fn counter(sample: &mut Sample, value: f64) {
    let mut counter = Counter::default();
    counter.set_value(value);
    sample.set_counter(counter);
}

fn gauge(sample: &mut Sample, value: f64) {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    sample.set_gauge(gauge);
}

fn histogram(bounds: &[f64], point: &Point<memory_core::latency::Latency>) -> Sample {
    let latency = &point.value;
    let mut histogram = Histogram::default();
    histogram.set_sample_count(latency.count());
    histogram.set_sample_sum(latency.sum().as_secs_f64());
    let bucket = |bound: &f64| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(latency.at_most(Duration::from_secs_f64(*bound)));
        bucket
    };
    histogram.set_bucket(bounds.iter().map(bucket).collect());
    let mut sample = Sample::from_label(pairs(&point.labels));
    sample.set_histogram(histogram);
    sample
}

fn pairs(labels: &Labels) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, String)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.replace('.', "_"));
        pair.set_value(value.clone());
        pair
    };
    labels.iter().map(pair).collect()
}
