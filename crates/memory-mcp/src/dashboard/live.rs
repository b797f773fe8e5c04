//! How the memory performs at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::extract::State;
use memory_core::EpisodeStore as _;
use memory_core::latency::Latency;
use memory_storage::CacheMetrics;
use serde_json::{Value, json};

use super::answer::{Answer, answer};
use crate::telemetry::{CALLS, Merged, Process, Telemetry, merged};

/// `GET /api/live`: what the pages ask for every few seconds. `seq` moves with every change of the
/// database; `null`: it does not answer.
pub(super) async fn live(State(telemetry): State<Arc<Telemetry>>) -> Json<Value> {
    let store = telemetry.memory().store();
    let feed = store.changes(None).await;
    let turso = store.durable().durable();
    let pool = turso.pool();
    let outbox = match store.durable().pending() {
        Some(pending) => pending.counts().await.ok(),
        None => None,
    };
    let breaker = turso.remote_metrics().map(|remote| {
        json!({
            "state": remote.breaker(),
            "opened": remote.breaker_opened.get(),
            "rejected": remote.rejected.get(),
            "requests": remote.requests.get(),
            "retries": remote.retries.get(),
            "bytes_sent": remote.bytes_sent.get(),
            "bytes_received": remote.bytes_received.get(),
        })
    });
    let calls = merged(CALLS.snapshot(), |call| (call.tool.clone(), call.error.is_some()));
    let operations = turso.metrics().operations.snapshot();
    let operations = merged(operations, |it| (it.operation.to_owned(), it.error.is_some()));
    let stale = store.stale_possible() || feed.is_err();
    Json(json!({
        "now": telemetry.memory().now(),
        "seq": feed.as_ref().ok().map(|feed| feed.watermark.seq),
        "problem": feed.err().map(|e| e.to_string()),
        "stale": stale,
        "calls": latencies(calls),
        "operations": latencies(operations),
        "cache": reads(&telemetry),
        "round_trips_saved": saved(&telemetry),
        "pool": {
            "in_use": pool.in_use, "idle": pool.idle, "limit": pool.limit, "waiting": pool.waiting,
        },
        "server": breaker,
        "outbox": outbox.map(|it| json!({
            "journaled": it.journaled, "queued": it.queued, "refused": it.conflicts,
            "bytes": it.bytes,
        })),
    }))
}

fn latencies(merged: Vec<(String, Merged)>) -> Vec<Value> {
    merged.into_iter().map(|(name, it)| row(&name, &it.latency, it.errors)).collect()
}

fn row(name: &str, latency: &Latency, errors: u64) -> Value {
    let ms = |share| latency.quantile(share).as_secs_f64() * 1000.0;
    json!({
        "name": name, "count": latency.count(), "errors": errors,
        "p50_ms": ms(0.5), "p95_ms": ms(0.95), "p99_ms": ms(0.99),
    })
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// How reads were answered since the process started: of the cache as a whole, and of its tiers.
fn reads(telemetry: &Telemetry) -> Value {
    let store = telemetry.memory().store();
    let metrics = store.metrics();
    let tiers = store.cache_metrics().map(|CacheMetrics { memory, disk, absent, .. }| {
        let tier = |name: &str, it: &memory_storage::TierMetrics| {
            json!({
                "name": name, "hits": it.hits.get(), "misses": it.misses.get(),
                "entries": it.entries.get(), "bytes": it.bytes.get(),
                "evictions": it.evictions.get(),
            })
        };
        [tier("memory", memory), tier("file", disk), tier("absent ids", absent)]
    });
    json!({
        "hits": load(&metrics.hits), "misses": load(&metrics.misses),
        "query_hits": load(&metrics.query_hits), "query_misses": load(&metrics.query_misses),
        "stale_serves": load(&metrics.stale_serves),
        "tiers": tiers,
    })
}

/// Round trips that were not made: reads answered from the cache, reads that joined another, and writes
/// that shared the commit of others.
fn saved(telemetry: &Telemetry) -> u64 {
    let store = telemetry.memory().store();
    let (metrics, turso) = (store.metrics(), store.durable().durable());
    let shared = match turso.remote_metrics() {
        Some(remote) => remote.committed_batches.get().saturating_sub(remote.commits.get()),
        None => {
            let local = turso.metrics();
            local.committed_batches.get().saturating_sub(local.commits.get())
        }
    };
    load(&metrics.hits) + load(&metrics.query_hits) + load(&metrics.joined) + shared
}

/// `GET /api/health`: the cache, the database and the process.
pub(super) async fn health(State(telemetry): State<Arc<Telemetry>>) -> Answer {
    let store = telemetry.memory().store();
    let freshness = store.freshness();
    let Process { cpu, resident_bytes } = Process::now();
    let files: Vec<Value> = telemetry
        .file_sizes()
        .into_iter()
        .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
        .collect();
    let tiers = store.cache_metrics();
    let damage = tiers.map(|it| {
        json!({
            "checksum_failures": it.checksum_failures.get(),
            "quarantines": it.quarantines.get(),
            "rebuilds": it.rebuilds.get(),
            "repairs": load(&store.metrics().repairs),
        })
    });
    let turso = store.durable().durable();
    let local = turso.metrics();
    let file = turso.remote_metrics().is_none().then(|| {
        json!({
            "commits": local.commits.get(), "committed_batches": local.committed_batches.get(),
            "busy_retries": local.busy_retries.get(), "overloaded": local.overloaded.get(),
            "reopened": local.reopened.get(), "prepared": local.prepared.get(),
            "reused": local.reused.get(),
        })
    });
    answer(
        freshness.stale_possible,
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": telemetry.started(),
            "now": telemetry.memory().now(),
            "cpu_seconds": cpu.map(|cpu| cpu.as_secs_f64()),
            "resident_bytes": resident_bytes,
            "files": files,
            "confirmed_ago_ms": freshness.confirmed_ago.map(|ago| ago.as_millis()),
            "stale_serves": freshness.stale_serves,
            "cache_damage": damage,
            "file": file,
        }),
    )
}
