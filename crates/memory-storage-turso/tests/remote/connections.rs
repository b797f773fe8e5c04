//! Connections: few, kept, replaced, and never a reason for an error.

use std::time::Duration;

use memory_storage_turso::batch::{Statement, Value};
use memory_storage_turso::{RemoteConfig, RemoteTransport};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};

use super::raw::{COUNT, count, create, put, put_once, read, write};
use crate::config;

#[tokio::test]
async fn every_batch_is_one_request_and_no_new_connection_is_made_for_a_thousand() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let db = RemoteTransport::new(config(proxy.url())).unwrap();
    db.run(create()).await.unwrap();
    let before = proxy.counts();
    for k in 0..500 {
        db.run(put_once(k)).await.unwrap();
        db.run(read(vec![Statement::new(COUNT, vec![]); 3])).await.unwrap();
    }
    let after = proxy.counts();
    assert_eq!(after.requests - before.requests, 1000);
    assert_eq!(after.connections - before.connections, 0);
    assert_eq!(db.metrics().connections.get(), after.connections);
    assert_eq!(count(&db).await, 500);
}

/// Where the client's tasks run beside the caller's, a call could begin before the connection of the
/// one before it is free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thousands_of_calls_on_many_threads_share_the_first_connection() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    for compression in [false, true] {
        let db = RemoteTransport::new(RemoteConfig { compression, ..config(proxy.url()) }).unwrap();
        count_one(&db).await;
        let before = proxy.counts();
        for _ in 0..2000 {
            count_one(&db).await;
        }
        let after = proxy.counts();
        assert_eq!(after.requests - before.requests, 2000);
        assert_eq!(after.connections - before.connections, 0, "compression: {compression}");
    }
}

async fn count_one(db: &RemoteTransport) {
    db.run(read(vec![Statement::new("SELECT 1", vec![])])).await.unwrap();
}

#[tokio::test]
async fn connections_cut_while_idle_and_restarts_are_invisible() {
    let Some(mut server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let db = RemoteTransport::new(config(proxy.url())).unwrap();
    db.run(create()).await.unwrap();
    let mut k = 0;
    for round in 0..6 {
        match round % 3 {
            0 => proxy.cut_connections(),
            1 => server.restart(),
            _ => {
                server.kill();
                server.restart();
            }
        }
        for _ in 0..3 {
            k += 1;
            db.run(put_once(k)).await.unwrap();
            assert_eq!(count(&db).await, k, "round {round}");
        }
    }
}

#[tokio::test]
async fn connections_are_open_before_the_first_call() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config = RemoteConfig { warm_connections: 3, ..config(proxy.url()) };
    let db = RemoteTransport::new(config).unwrap();
    while db.metrics().warm.get() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = proxy.counts();
    db.run(create()).await.unwrap();
    let after = proxy.counts();
    assert_eq!((after.connections, after.connections - before.connections), (3, 0));
    assert_eq!(after.requests - before.requests, 1);
}

#[tokio::test]
async fn without_a_pipeline_every_statement_is_a_request_on_one_connection() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config =
        RemoteConfig { pipeline: false, idle_timeout: Duration::ZERO, ..config(proxy.url()) };
    let db = RemoteTransport::new(config).unwrap();
    db.run(create()).await.unwrap();
    let before = proxy.counts();
    let puts = (0..5).map(|k| put(k, Value::Null)).collect();
    db.run(write(puts)).await.unwrap();
    let after = proxy.counts();
    assert_eq!((after.requests - before.requests, after.connections - before.connections), (7, 1));
    assert_eq!(count(&db).await, 5);

    let bad = write(vec![put(6, Value::Null), put(6, Value::Null), put(7, Value::Null)]);
    db.run(bad).await.unwrap_err();
    assert_eq!(count(&db).await, 5, "a statement that failed undoes those before it");
    let before = proxy.counts().requests;
    db.run(put_once(8)).await.unwrap();
    assert_eq!(proxy.counts().requests - before, 3, "no stream was left with the write lock");
}

#[tokio::test]
async fn compression_shrinks_answers_when_asked_for() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let mut bytes = Vec::new();
    for compression in [false, true] {
        let db = RemoteTransport::new(RemoteConfig { compression, ..config(proxy.url()) }).unwrap();
        let before = proxy.counts().bytes_down;
        let text = "SELECT printf('%05d of many lines of much the same', value) \
                    FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL \
                    SELECT value + 1 FROM n WHERE value < 2000) SELECT value FROM n)";
        let results = db.run(read(vec![Statement::new(text, vec![])])).await.unwrap();
        assert_eq!(results[0].rows.len(), 2000);
        bytes.push(proxy.counts().bytes_down - before);
    }
    assert!(bytes[1] * 4 < bytes[0], "{bytes:?}");
}

#[tokio::test]
async fn connections_in_use_now_and_then_are_kept_from_growing_idle() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config = RemoteConfig {
        warm_connections: 2,
        idle_timeout: Duration::from_secs(1),
        ..config(proxy.url())
    };
    let db = RemoteTransport::new(config).unwrap();
    db.run(create()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = proxy.counts();
    db.run(put_once(1)).await.unwrap();
    assert_eq!(proxy.counts().connections, before.connections);
    assert!(before.connections <= 3, "{} connections", before.connections);
}

#[tokio::test]
async fn old_connections_are_replaced_and_none_is_kept_where_that_is_asked_for() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config = config(proxy.url());
    let aging = RemoteConfig { max_connection_age: Duration::from_millis(50), ..config.clone() };
    let unkept = RemoteConfig { idle_timeout: Duration::ZERO, ..config };
    RemoteTransport::new(unkept.clone()).unwrap().run(create()).await.unwrap();
    for config in [aging, unkept] {
        let db = RemoteTransport::new(config).unwrap();
        let before = proxy.counts().connections;
        for k in 0..3 {
            db.run(put_once(k)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(proxy.counts().connections - before, 3);
    }
}
