//! Every metric there is.

use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::EpisodeStore as _;
use memory_core::latency::{Latencies, Latency};
use memory_storage::CacheMetrics;
use memory_storage::metrics::Metrics as HybridMetrics;
use memory_storage_turso::{Metrics as StoreMetrics, RemoteMetrics};

use super::metric::{Labels, Metric, Point, Points, by, counter, gauge, metric, only};
use super::{CALLS, EXCHANGES, Process, Telemetry};

/// OpenTelemetry's bounds for `mcp.server.operation.duration`, and below them some for a memory that
/// answers in microseconds.
const CALL_BOUNDS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0,
];

/// OpenTelemetry's bounds for `db.client.operation.duration`, and below them some for a local file.
const DATABASE_BOUNDS: &[f64] =
    &[0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// OpenTelemetry's bounds for `http.server.request.duration`.
const HTTP_BOUNDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

pub(super) async fn gather(telemetry: &Telemetry) -> Vec<Metric> {
    let store = telemetry.memory().store();
    let durable = store.durable();
    let mut all = operations(telemetry);
    all.extend(pool(telemetry));
    match durable.durable().remote_metrics() {
        Some(remote) => all.extend(server(remote)),
        None => all.extend(file(durable.durable().metrics())),
    }
    all.extend(reads(store.metrics()));
    if let Some(tiers) = store.cache_metrics() {
        all.extend(cache(tiers));
    }
    if let Some(pending) = durable.pending() {
        all.extend(outbox(pending).await);
    }
    all.push(gauge(
        "memory_mcp.stale_possible",
        "{state}",
        "1 while the database cannot be reached and reads are answered from what this machine has.",
        only(u64::from(store.stale_possible())),
    ));
    all.extend(process(telemetry));
    all
}

/// How long what took: calls of tools, operations of the database, HTTP requests.
fn operations(telemetry: &Telemetry) -> Vec<Metric> {
    let turso = telemetry.memory().store().durable().durable();
    vec![
        durations(
            "mcp.server.operation.duration",
            "Calls of tools, by tool and kind of error.",
            CALL_BOUNDS,
            &CALLS,
            |call| {
                let method = ("mcp.method.name", "tools/call".to_owned());
                with_error(vec![method, ("gen_ai.tool.name", call.tool.clone())], call.error)
            },
        ),
        durations(
            "db.client.operation.duration",
            "Operations that reached the database, with all their round trips and retries.",
            DATABASE_BOUNDS,
            &turso.metrics().operations,
            |it| {
                let system = ("db.system.name", "libsql".to_owned());
                with_error(vec![system, ("db.operation.name", it.operation.to_owned())], it.error)
            },
        ),
        durations(
            "http.server.request.duration",
            "HTTP requests, by route and status.",
            HTTP_BOUNDS,
            &EXCHANGES,
            |it| {
                vec![
                    ("http.request.method", it.method.clone()),
                    ("http.route", it.route.clone()),
                    ("http.response.status_code", it.status.to_string()),
                ]
            },
        ),
    ]
}

fn durations<L: Ord + Clone>(
    name: &'static str,
    help: &'static str,
    bounds: &'static [f64],
    measured: &Latencies<L>,
    labels: impl Fn(&L) -> Labels,
) -> Metric {
    let point = |(label, value): (L, Latency)| Point { labels: labels(&label), value };
    let points = measured.snapshot().into_iter().map(point).collect();
    metric(name, "s", help, Points::Histogram(bounds, points))
}

fn with_error(mut labels: Labels, error: Option<&'static str>) -> Labels {
    // Prometheus takes no label for one that is empty, and OpenTelemetry wants none on success.
    labels.extend(error.map(|error| ("error.type", error.to_owned())));
    labels
}

fn pool(telemetry: &Telemetry) -> Vec<Metric> {
    let turso = telemetry.memory().store().durable().durable();
    let pool = turso.pool();
    let wait = turso.remote_metrics().map_or(&turso.metrics().pool_wait, |remote| &remote.wait);
    vec![
        // Not `_count`, which in Prometheus belongs to histograms.
        gauge(
            "db.client.connection.count",
            "{connection}",
            "Connections for reads that are used and idle; to a server, reads that may be under way.",
            by("db.client.connection.state", [("used", pool.in_use), ("idle", pool.idle)]),
        )
        .usually("db_client_connections"),
        gauge(
            "db.client.connection.max",
            "{connection}",
            "Connections for reads that may be in use at a time.",
            only(pool.limit),
        ),
        gauge(
            "db.client.connection.pending_requests",
            "{request}",
            "Reads that wait for a connection.",
            only(pool.waiting),
        ),
        durations(
            "db.client.connection.wait_time",
            "What reads waited for a connection.",
            DATABASE_BOUNDS,
            wait,
            |()| Labels::new(),
        ),
    ]
}

/// Of a database in a file.
fn file(metrics: &StoreMetrics) -> Vec<Metric> {
    let count = |name, help, n| counter(name, "{count}", help, only(n));
    vec![
        count("memory_mcp.db.batches", "Batches of statements run.", metrics.batches.get()),
        count("memory_mcp.db.statements", "Statements run.", metrics.statements.get()),
        count("memory_mcp.db.prepared", "Statements prepared.", metrics.prepared.get()),
        count("memory_mcp.db.connections", "Connections opened.", metrics.connections.get()),
        count(
            "memory_mcp.db.commits",
            "Commits: one fsync each, for one or many writes.",
            metrics.commits.get(),
        ),
        count(
            "memory_mcp.db.committed_batches",
            "Batches of writes committed.",
            metrics.committed_batches.get(),
        ),
        count(
            "memory_mcp.db.split_groups",
            "Groups of writes that failed and were run one by one.",
            metrics.split_groups.get(),
        ),
        count(
            "memory_mcp.db.busy_retries",
            "Waits for another process's write.",
            metrics.busy_retries.get(),
        ),
        count(
            "memory_mcp.db.overloaded",
            "Calls refused because too much was waiting.",
            metrics.overloaded.get(),
        ),
        count(
            "memory_mcp.db.reopened",
            "Times the writer did not trust its connection any more.",
            metrics.reopened.get(),
        ),
    ]
}

/// Of the way to a server.
fn server(metrics: &RemoteMetrics) -> Vec<Metric> {
    let count = |name, help, n| counter(name, "{count}", help, only(n));
    let state = |name| u64::from(metrics.breaker() == name);
    let states = ["closed", "half-open", "open"].map(|name| (name, state(name)));
    vec![
        count("memory_mcp.db.requests", "Requests to the server.", metrics.requests.get()),
        count("memory_mcp.db.connections", "Connections opened.", metrics.connections.get()),
        count("memory_mcp.db.retries", "Requests sent again.", metrics.retries.get()),
        count(
            "memory_mcp.db.retries_denied",
            "Retries not made because the budget was used up.",
            metrics.retries_denied.get(),
        ),
        counter(
            "memory_mcp.db.network.io",
            "By",
            "Bytes of bodies to and from the server.",
            by(
                "network.io.direction",
                [("transmit", metrics.bytes_sent.get()), ("receive", metrics.bytes_received.get())],
            ),
        ),
        count("memory_mcp.db.commits", "Requests of writes committed.", metrics.commits.get()),
        count(
            "memory_mcp.db.committed_batches",
            "Batches of writes committed.",
            metrics.committed_batches.get(),
        ),
        count(
            "memory_mcp.db.split_groups",
            "Groups of writes that failed and were run one by one.",
            metrics.split_groups.get(),
        ),
        count(
            "memory_mcp.db.overloaded",
            "Calls refused because too much was waiting.",
            metrics.overloaded.get(),
        ),
        count(
            "memory_mcp.breaker.rejected",
            "Calls refused at once because the circuit was open.",
            metrics.rejected.get(),
        ),
        count(
            "memory_mcp.breaker.opened",
            "Times the circuit opened.",
            metrics.breaker_opened.get(),
        ),
        gauge(
            "memory_mcp.breaker.state",
            "{state}",
            "1 for the state the circuit is in.",
            by("state", states),
        ),
        gauge(
            "memory_mcp.db.waiting_writes",
            "{write}",
            "Batches of writes that wait for the next request.",
            only(metrics.waiting_writes.get()),
        ),
        gauge(
            "memory_mcp.db.warm",
            "{state}",
            "1 when the connections to be kept warm are open.",
            only(metrics.warm.get()),
        ),
    ]
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// How reads were answered.
fn reads(metrics: &HybridMetrics) -> Vec<Metric> {
    let (hits, misses) = (load(&metrics.hits), load(&metrics.misses));
    let (query_hits, query_misses) = (load(&metrics.query_hits), load(&metrics.query_misses));
    let result = |kind: &str, result: &str, n| {
        (vec![("kind", kind.to_owned()), ("result", result.to_owned())], n)
    };
    vec![
        counter(
            "memory_mcp.cache.reads",
            "{read}",
            "Episodes by id, and queries, that the cache answered or did not.",
            [
                result("episode", "hit", hits),
                result("episode", "miss", misses),
                result("query", "hit", query_hits),
                result("query", "miss", query_misses),
            ],
        ),
        counter(
            "memory_mcp.cache.joined",
            "{read}",
            "Misses that joined a fetch already under way.",
            only(load(&metrics.joined)),
        ),
        counter(
            "memory_mcp.cache.stale_serves",
            "{read}",
            "Answers that could not be confirmed because the database was out of reach.",
            only(load(&metrics.stale_serves)),
        ),
        counter(
            "memory_mcp.cache.repairs",
            "{episode}",
            "Cached episodes that differed from the database, and were dropped.",
            only(load(&metrics.repairs)),
        ),
        counter(
            "memory_mcp.cache.pressure_shrinks",
            "{count}",
            "Times the cache gave memory back because the machine was short of it.",
            only(load(&metrics.pressure_shrinks)),
        ),
        counter(
            "memory_mcp.feed.reads",
            "{read}",
            "Reads of the change feed that were requests of their own.",
            only(load(&metrics.feed_reads)),
        ),
    ]
}

/// The tiers of the cache.
fn cache(metrics: &CacheMetrics) -> Vec<Metric> {
    let tiers = [("memory", &metrics.memory), ("file", &metrics.disk), ("absent", &metrics.absent)];
    let tier = |name: &str| vec![("tier", name.to_owned())];
    let reads = tiers.iter().flat_map(|(name, it)| {
        let of = |result: &str| [tier(name), vec![("result", result.to_owned())]].concat();
        [(of("hit"), it.hits.get()), (of("miss"), it.misses.get())]
    });
    let count = |name, help, n| counter(name, "{count}", help, only(n));
    vec![
        counter(
            "memory_mcp.cache.tier.reads",
            "{read}",
            "Reads of a tier that it answered or did not.",
            reads,
        ),
        counter(
            "memory_mcp.cache.tier.admissions",
            "{entry}",
            "Entries taken in.",
            tiers.map(|(name, it)| (tier(name), it.admissions.get())),
        ),
        counter(
            "memory_mcp.cache.tier.evictions",
            "{entry}",
            "Entries that made room for others.",
            tiers.map(|(name, it)| (tier(name), it.evictions.get())),
        ),
        gauge(
            "memory_mcp.cache.tier.size",
            "By",
            "Bytes held: of memory, or of allocated pages.",
            tiers.map(|(name, it)| (tier(name), it.bytes.get())),
        ),
        gauge(
            "memory_mcp.cache.tier.entries",
            "{entry}",
            "Entries held.",
            tiers.map(|(name, it)| (tier(name), it.entries.get())),
        ),
        count(
            "memory_mcp.cache.invalidations",
            "Entries dropped because the episode changed.",
            metrics.invalidations.get(),
        ),
        count(
            "memory_mcp.cache.refused_fills",
            "Fetched values not kept because a change overtook the fetch.",
            metrics.refused_fills.get(),
        ),
        count(
            "memory_mcp.cache.checksum_failures",
            "Stored values that were not what was written.",
            metrics.checksum_failures.get(),
        ),
        count(
            "memory_mcp.cache.quarantines",
            "Cache files set aside because of damage or an unknown format.",
            metrics.quarantines.get(),
        ),
    ]
}

/// Writes that the database does not have yet.
async fn outbox(pending: &memory_storage_turso::pending::PendingFile) -> Vec<Metric> {
    let Ok(counts) = pending.counts().await else { return Vec::new() };
    let entries =
        [("journaled", counts.journaled), ("queued", counts.queued), ("refused", counts.conflicts)];
    vec![
        gauge(
            "memory_mcp.outbox.entries",
            "{entry}",
            "Writes on this machine that the database does not have; it refused the refused ones.",
            by("state", entries),
        ),
        gauge(
            "memory_mcp.outbox.size",
            "By",
            "Bytes of the writes that wait on this machine.",
            only(counts.bytes),
        ),
    ]
}

fn process(telemetry: &Telemetry) -> Vec<Metric> {
    let Process { cpu, resident_bytes } = Process::now();
    let seconds = |n: f64| vec![Point { labels: Vec::new(), value: n }];
    let sizes = telemetry.file_sizes();
    let sizes = sizes.into_iter().map(|(name, n)| (vec![("file", name.to_owned())], n));
    let started = telemetry.started().0 as f64 / 1e6;
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    let mut all = vec![
        gauge("memory_mcp.file.size", "By", "Size of a file of the memory.", sizes),
        gauge(
            "memory_mcp.build_info",
            "{build}",
            "1; its label says which version runs.",
            [(version, 1)],
        ),
        metric(
            "process.start_time",
            "s",
            "When the process started, in seconds since the Unix epoch.",
            Points::Gauge(seconds(started)),
        )
        .usually("process_start_time_seconds"),
    ];
    all.extend(cpu.map(|cpu| {
        let points = Points::Counter(seconds(cpu.as_secs_f64()));
        let help = "Time on all processors, for the process and the system on its behalf.";
        metric("process.cpu.time", "s", help, points).usually("process_cpu_seconds_total")
    }));
    all.extend(resident_bytes.map(|bytes| {
        gauge("process.memory.usage", "By", "Memory of the process that is in RAM.", only(bytes))
            .usually("process_resident_memory_bytes")
    }));
    all
}
