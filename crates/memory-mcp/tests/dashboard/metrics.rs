//! What `/metrics` says, and what docs/operations makes of it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use memory_testkit::{programs, sqld};
use serde_json::{Value, json};

use crate::world::World;

fn operations(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations").join(file)
}

fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let program = programs::program("promtool", "prometheus")?;
    let mut process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(process.wait_with_output().unwrap())
}

fn is_clean(output: &Output) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

fn metrics(world: &World) -> String {
    let bearer = format!("Authorization: Bearer {}", world.token);
    let answer = world.send("GET", "/metrics", &[&bearer], "");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.head.contains("text/plain; version=0.0.4"), "{answer:?}");
    answer.body
}

/// A value of the text, by the whole left side of its line.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
}

fn used(world: &World) {
    let started = world.call("start_episode", &json!({ "task": "Count the apples" }));
    let id = &started["episode_id"];
    world.call("complete_episode", &json!({ "episode_id": id, "outcome": "success" }));
    world.call("get_episode", &json!({ "episode_id": id }));
    world.call("recall", &json!({ "task": "count the pears", "project": "ferry" }));
}

#[test]
fn prometheus_finds_nothing_wrong_with_the_metrics() {
    let world = World::without_browser(&[]);
    used(&world);
    let text = metrics(&world);
    // A call is counted under its tool, once, in every bucket from its duration on.
    let recall = "{mcp_method_name=\"tools/call\",gen_ai_tool_name=\"recall\"}";
    let duration = "mcp_server_operation_duration_seconds";
    assert_eq!(value(&text, &format!("{duration}_count{recall}")), 1.0);
    assert!(value(&text, &format!("{duration}_sum{recall}")) > 0.0);
    let infinite = recall.replace('}', ",le=\"+Inf\"}");
    assert_eq!(value(&text, &format!("{duration}_bucket{infinite}")), 1.0);
    let search = "{db_system_name=\"libsql\",db_operation_name=\"search\"}";
    assert!(value(&text, &format!("db_client_operation_duration_seconds_count{search}")) >= 1.0);
    assert!(value(&text, "memory_mcp_db_commits_total") >= 1.0);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    assert!(value(&text, "process_cpu_seconds_total") > 0.0);
    assert!(value(&text, "memory_mcp_file_size_bytes{file=\"database\"}") > 4096.0);
    // What was made up by a client is no label, and a failed call is an error.
    let made_up = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "made_up", "arguments": {} } });
    let bearer = format!("Authorization: Bearer {}", world.token);
    let accept = "Accept: application/json, text/event-stream";
    let headers = [bearer.as_str(), "Content-Type: application/json", accept];
    world.send("POST", "/mcp", &headers, &made_up.to_string());
    world.send("GET", "/made/up", &headers, "");
    let text = metrics(&world);
    assert!(!text.contains("made_up") && !text.contains("made/up"), "{text}");
    let unknown = "{mcp_method_name=\"tools/call\",gen_ai_tool_name=\"unknown\",error_type=\"protocol_error\"}";
    assert_eq!(value(&text, &format!("{duration}_count{unknown}")), 1.0);
    if let Some(checked) = promtool(&["check", "metrics"], &text) {
        is_clean(&checked);
    }
}

#[test]
fn metrics_of_a_server_pass_too_and_tell_of_breaker_outbox_and_network() {
    let Some(server) = sqld::Server::start(sqld::Options::default()) else { return };
    let world = World::without_browser(&["--database", &server.url()]);
    used(&world);
    let text = metrics(&world);
    assert_eq!(value(&text, "memory_mcp_breaker_state{state=\"closed\"}"), 1.0);
    assert_eq!(value(&text, "memory_mcp_outbox_entries{state=\"refused\"}"), 0.0);
    for direction in ["transmit", "receive"] {
        let series = "memory_mcp_db_network_io_bytes_total{network_io_direction=";
        assert!(value(&text, &format!("{series}\"{direction}\"}}")) > 100.0);
    }
    assert!(value(&text, "db_client_connection_max") >= 2.0);
    if let Some(checked) = promtool(&["check", "metrics"], &text) {
        is_clean(&checked);
    }
}

#[test]
fn alert_rules_pass_and_fire_when_they_should() {
    let rules = operations("alerts.yml");
    let Some(checked) = promtool(&["check", "rules", rules.to_str().unwrap()], "") else { return };
    is_clean(&checked);
    let tests = operations("alerts-test.yml");
    is_clean(&promtool(&["test", "rules", tests.to_str().unwrap()], "").unwrap());
}

/// What rules and dashboard name is there, or they would stay silent for ever.
#[test]
fn rules_and_grafana_dashboard_name_metrics_that_there_are() {
    let Some(server) = sqld::Server::start(sqld::Options::default()) else { return };
    let mut known = BTreeSet::new();
    for arguments in [&[][..], &["--database", &server.url()]] {
        let world = World::without_browser(arguments);
        used(&world);
        for line in metrics(&world).lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                known.insert(name.to_owned());
                if kind == "histogram" {
                    known.extend(["_bucket", "_count", "_sum"].map(|end| format!("{name}{end}")));
                }
            }
        }
    }
    let rules = std::fs::read_to_string(operations("alerts.yml")).unwrap();
    let grafana = std::fs::read_to_string(operations("grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&grafana).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
    let mut seen = 0;
    for text in [&rules, &grafana] {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| {
            ["memory_mcp_", "mcp_server_", "db_client_", "http_server_", "process_"]
                .iter()
                .any(|start| word.starts_with(start))
        }) {
            let label = word.starts_with("db_client_connection_state");
            assert!(label || known.contains(word), "{word} is none of {known:?}");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} names were looked at");
}

#[test]
fn health_is_told_to_anybody_and_metrics_to_who_may_know() {
    let world = World::without_browser(&[]);
    let get = |path: &str| world.send("GET", path, &[], "");
    assert_eq!((get("/healthz").status, get("/healthz").body.as_str()), (200, "ok\n"));
    assert_eq!((get("/readyz").status, get("/readyz").body.as_str()), (200, "ready\n"));
    assert_eq!(get("/metrics").status, 401);
    assert_eq!(get("/api/overview").status, 401);
    let open = World::without_browser(&["--set", "http.metrics_need_token=false"]);
    assert_eq!(open.send("GET", "/metrics", &[], "").status, 200);
    assert_eq!(open.send("GET", "/api/overview", &[], "").status, 401);
    // Nobody answers at this address.
    let away = World::without_browser(&[
        "--database",
        "http://127.0.0.1:9",
        "--set",
        "remote.deadline_ms=500",
    ]);
    assert_eq!(away.send("GET", "/healthz", &[], "").status, 200);
    let ready = away.send("GET", "/readyz", &[], "");
    assert_eq!(ready.status, 503);
    assert!(ready.body.starts_with("not ready: the database"), "{ready:?}");
}

/// A collector gets what Prometheus would, without anybody asking it.
#[test]
fn metrics_are_exported_to_a_collector_when_there_is_one() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("otel.endpoint=http://{}", collector.local_addr().unwrap());
    let world = World::without_browser(&["--set", &endpoint, "--set", "otel.interval_ms=200"]);
    used(&world);
    let document = loop {
        let (head, body) = crate::world::accept(&collector);
        assert!(head.starts_with("POST /v1/metrics HTTP/1.1"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
        // What began before the calls did says nothing of them.
        if body.contains("\"recall\"") {
            break serde_json::from_str::<Value>(&body).unwrap();
        }
    };
    let resource = &document["resourceMetrics"][0];
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "memory-mcp");
    let metrics = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
    let named = |name: &str| metrics.iter().find(|it| it["name"] == name).unwrap();
    let calls = &named("mcp.server.operation.duration")["histogram"];
    assert_eq!(calls["aggregationTemporality"], 2);
    for point in calls["dataPoints"].as_array().unwrap() {
        let counts = point["bucketCounts"].as_array().unwrap();
        assert_eq!(counts.len(), point["explicitBounds"].as_array().unwrap().len() + 1);
        let sum: u64 = counts.iter().map(|n| n.as_str().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(point["count"], sum.to_string());
    }
    assert_eq!(named("process.cpu.time")["sum"]["isMonotonic"], true);
    assert!(
        named("process.memory.usage")["gauge"]["dataPoints"][0]["asDouble"].as_f64() > Some(1e6)
    );
}
