//! Memory stays bounded whatever a server sends and however many callers wait. In a process of its
//! own, because it looks at the whole process.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use memory_storage_turso::batch::{Access, Batch, Statement, Value};
use memory_storage_turso::{RemoteConfig, RemoteTransport};
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

#[tokio::test]
async fn endless_answers_and_a_thousand_callers_stay_within_64_mib() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config = RemoteConfig { warm_connections: 0, ..RemoteConfig::at(proxy.url()) };
    let db = Arc::new(RemoteTransport::new(config).unwrap());
    db.run(batch(Access::Write)).await.unwrap();
    let before = peak_kb();

    proxy.fault_all(Some(Fault::EndlessBody));
    for _ in 0..10 {
        assert!(db.run(batch(Access::Read)).await.is_err());
        assert!(db.run(batch(Access::Write)).await.is_err());
    }
    let after_endless = peak_kb();
    assert!(after_endless - before < MAX_GROWTH_KB, "{} KiB more", after_endless - before);

    proxy.fault_all(None);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let db = db.clone();
        let access = if n % 2 == 0 { Access::Read } else { Access::Write };
        calls.spawn(async move { db.run(batch(access)).await });
    }
    calls.join_all().await;
    assert!(peak_kb() - before < MAX_GROWTH_KB, "{} KiB more", peak_kb() - before);
}
