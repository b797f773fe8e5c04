//! Memory stays bounded whatever a server sends and however many callers wait. In a process of its
//! own, because it looks at the whole process.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use memory_storage_turso::batch::{Access, Batch, Statement, Value};
use memory_storage_turso::{BreakerConfig, RemoteConfig, RemoteTransport};
use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::sqld::{Options, Server};

const MAX_GROWTH_KB: usize = 64 * 1024;

/// The most memory this process ever held, in KiB.
fn peak_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn batch(access: Access) -> Batch {
    let sql = match access {
        Access::Read => "SELECT ?1",
        Access::Write => "CREATE TABLE IF NOT EXISTS t(v) -- ?1",
    };
    let params = match access {
        Access::Read => vec![Value::Text("x".repeat(1000))],
        Access::Write => vec![],
    };
    Batch { access, statements: vec![Statement::new(sql, params)] }
}

fn grown_kb(before: usize) -> usize {
    peak_kb() - before
}

/// Twenty operations under a fault that stays.
async fn endure(server: &Server, fault: Fault) {
    let proxy = FaultProxy::start(server.address()).await;
    // As long as it takes to send more than is accepted.
    let deadline = if fault == Fault::EndlessBody { 10_000 } else { 500 };
    let deadline = Duration::from_millis(deadline);
    let config = RemoteConfig {
        warm_connections: 0,
        request_timeout: deadline / 2,
        deadline,
        // Every operation is to meet the fault.
        breaker: BreakerConfig { failures: 1000, ..BreakerConfig::default() },
        ..RemoteConfig::at(proxy.url())
    };
    let db = RemoteTransport::new(config).unwrap();
    proxy.fault_all(Some(fault));
    for _ in 0..10 {
        // How they end is for other tests to look at.
        let _ = db.run(batch(Access::Read)).await;
        let _ = db.run(batch(Access::Write)).await;
    }
}

#[tokio::test]
async fn no_fault_and_no_crowd_of_callers_takes_64_mib() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config = RemoteConfig { warm_connections: 0, ..RemoteConfig::at(proxy.url()) };
    let db = Arc::new(RemoteTransport::new(config).unwrap());
    db.run(batch(Access::Write)).await.unwrap();
    let before = peak_kb();

    futures::future::join_all(Fault::ALL.map(|fault| endure(&server, fault))).await;
    println!("{} KiB more under faults", grown_kb(before));
    assert!(grown_kb(before) < MAX_GROWTH_KB, "{} KiB more under faults", grown_kb(before));

    let mut calls = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let db = db.clone();
        let access = if n % 2 == 0 { Access::Read } else { Access::Write };
        calls.spawn(async move { db.run(batch(access)).await });
    }
    calls.join_all().await;
    assert!(grown_kb(before) < MAX_GROWTH_KB, "{} KiB more with a crowd", grown_kb(before));
}
