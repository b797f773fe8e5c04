//! Metrics to an OpenTelemetry collector: OTLP over HTTP, in JSON.
//!
//! Written out here rather than by the SDK, which wants to do the counting itself: a request is one
//! document of what the counters say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use memory_core::Timestamp;
use memory_core::latency::Latency;
use serde_json::{Value, json};

use super::Telemetry;
use super::metric::{Labels, Metric, Point, Points};

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// "Since the start of the process", as the protocol numbers it.
const CUMULATIVE: u8 = 2;

/// Where metrics are sent, and how often.
#[derive(Debug, Clone)]
pub struct OtelConfig {
    /// The collector's base URL, `http://127.0.0.1:4318`; `/v1/metrics` is added.
    pub endpoint: String,
    /// Time between two exports.
    pub interval: Duration,
}

/// Sends metrics until it is dropped.
#[derive(Debug)]
pub struct Exporter(tokio::task::JoinHandle<()>);

impl Drop for Exporter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Exporter {
    /// Begins. The error says what is wrong with the settings; a collector that does not answer is
    /// logged, and tried again when the next export is due.
    pub fn start(
        config: OtelConfig,
        ca_file: Option<&Path>,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, memory_core::Error> {
        let https = config.endpoint.starts_with("https:");
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(memory_storage_turso::tls_config(https, ca_file)?)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // Settings come from the configuration, not from the environment.
            .no_proxy()
            .build()
            .map_err(|e| memory_core::Error::invalid("otel.endpoint", e.to_string()))?;
        let url = format!("{}/v1/metrics", config.endpoint.trim_end_matches('/'));
        let instance = memory_core::EpisodeId::generate(telemetry.started()).to_string();
        Ok(Exporter(tokio::spawn(async move {
            let mut failing = false;
            loop {
                tokio::time::sleep(config.interval).await;
                let metrics = telemetry.gather().await;
                let now = telemetry.memory().now();
                let body = document(&metrics, &instance, telemetry.started(), now).to_string();
                let sent = send(&client, &url, body).await;
                match &sent {
                    Err(problem) if !failing => {
                        tracing::warn!(%problem, url, "metrics could not be exported");
                    }
                    Ok(()) if failing => tracing::warn!(url, "metrics are exported again"),
                    _ => {}
                }
                failing = sent.is_err();
            }
        })))
    }
}

async fn send(client: &reqwest::Client, url: &str, body: String) -> Result<(), String> {
    let request = client.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.map_err(|e| e.without_url().to_string())?;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("the collector answered {status}")),
    }
}

/// The request: an `ExportMetricsServiceRequest`, where 64-bit numbers are texts.
fn document(metrics: &[Metric], instance: &str, started: Timestamp, now: Timestamp) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = attributes(&vec![
        ("service.name", "memory-mcp".to_owned()),
        ("service.version", version.to_owned()),
        ("service.instance.id", instance.to_owned()),
    ]);
    let times = Times { started: nanoseconds(started), now: nanoseconds(now) };
    let metrics: Vec<Value> = metrics.iter().map(|it| one(it, &times)).collect();
    let scope = json!({ "name": "memory-mcp", "version": version });
    json!({ "resourceMetrics": [{
        "resource": { "attributes": resource },
        "scopeMetrics": [{ "scope": scope, "metrics": metrics }],
    }]})
}

struct Times {
    started: String,
    now: String,
}

fn nanoseconds(time: Timestamp) -> String {
    (i128::from(time.0) * 1000).max(0).to_string()
}

fn one(metric: &Metric, times: &Times) -> Value {
    let mut document = json!({
        "name": metric.name, "unit": metric.unit, "description": metric.help,
    });
    let (kind, data) = match &metric.points {
        Points::Counter(points) => {
            let points: Vec<Value> = points.iter().map(|it| number(it, times)).collect();
            let data = json!({
                "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points,
            });
            ("sum", data)
        }
        Points::Gauge(points) => {
            let points: Vec<Value> = points.iter().map(|it| number(it, times)).collect();
            ("gauge", json!({ "dataPoints": points }))
        }
        Points::Histogram(bounds, points) => {
            let points: Vec<Value> = points.iter().map(|it| buckets(it, bounds, times)).collect();
            let data = json!({ "aggregationTemporality": CUMULATIVE, "dataPoints": points });
            ("histogram", data)
        }
    };
    if let Some(document) = document.as_object_mut() {
        document.insert(kind.to_owned(), data);
    }
    document
}

fn number(point: &Point<f64>, times: &Times) -> Value {
    json!({
        "attributes": attributes(&point.labels),
        "startTimeUnixNano": times.started, "timeUnixNano": times.now, "asDouble": point.value,
    })
}

/// Each bucket by itself, where Prometheus has sums.
fn buckets(point: &Point<Latency>, bounds: &[f64], times: &Times) -> Value {
    let latency = &point.value;
    let mut counts = Vec::with_capacity(bounds.len() + 1);
    let mut before = 0;
    for bound in bounds {
        let up_to = latency.at_most(Duration::from_secs_f64(*bound));
        counts.push(up_to.saturating_sub(before).to_string());
        before = up_to;
    }
    counts.push(latency.count().saturating_sub(before).to_string());
    json!({
        "attributes": attributes(&point.labels),
        "startTimeUnixNano": times.started, "timeUnixNano": times.now,
        "count": latency.count().to_string(), "sum": latency.sum().as_secs_f64(),
        "bucketCounts": counts, "explicitBounds": bounds,
    })
}

fn attributes(labels: &Labels) -> Vec<Value> {
    let pair =
        |(key, value): &(&str, String)| json!({ "key": key, "value": { "stringValue": value } });
    labels.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use memory_core::latency::Latencies;

    use super::*;
    use crate::telemetry::metric::{counter, metric, only};

    #[test]
    fn a_document_is_what_the_protocol_asks_for() {
        let latencies = Latencies::new();
        for ms in [1, 20, 20, 3000] {
            latencies.record((), Duration::from_millis(ms));
        }
        let points = latencies
            .snapshot()
            .into_iter()
            .map(|((), value)| Point { labels: vec![("tool", "recall".into())], value });
        let bounds = &[0.005, 0.1];
        let metrics = [
            counter("a.b", "{thing}", "Things.", only(7)),
            metric("c.d", "s", "Time.", Points::Histogram(bounds, points.collect())),
        ];
        let found = document(&metrics, "i", Timestamp(1), Timestamp(2));
        let scope = &found["resourceMetrics"][0]["scopeMetrics"][0];
        let sum = &scope["metrics"][0]["sum"];
        assert_eq!(
            (&sum["isMonotonic"], &sum["aggregationTemporality"]),
            (&json!(true), &json!(2))
        );
        let point = &sum["dataPoints"][0];
        assert_eq!(point["asDouble"], 7.0);
        assert_eq!(
            (&point["startTimeUnixNano"], &point["timeUnixNano"]),
            (&json!("1000"), &json!("2000"))
        );
        let point = &scope["metrics"][1]["histogram"]["dataPoints"][0];
        assert_eq!(point["bucketCounts"], json!(["1", "2", "1"]));
        assert_eq!((&point["count"], &point["explicitBounds"]), (&json!("4"), &json!(bounds)));
        let attribute = json!([{ "key": "tool", "value": { "stringValue": "recall" } }]);
        assert_eq!(point["attributes"], attribute);
    }
}
