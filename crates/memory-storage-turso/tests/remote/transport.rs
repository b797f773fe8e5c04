//! Raw batches against a real server: what every operation of the store leans on.

use std::sync::Arc;
use std::time::Duration;

use memory_core::Error;
use memory_storage_turso::batch::{Access, Batch, Statement, StatementResult, Value};
use memory_storage_turso::{RemoteConfig, RemoteTransport, Secret, TokenSource};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Rights, Server, TokenKey};

use crate::config;

fn write(statements: Vec<Statement>) -> Batch {
    Batch { access: Access::Write, statements }
}

fn read(statements: Vec<Statement>) -> Batch {
    Batch { access: Access::Read, statements }
}

fn create() -> Batch {
    write(vec![Statement::new("CREATE TABLE t(k INTEGER PRIMARY KEY, v ANY) STRICT", vec![])])
}

fn put(k: i64, v: Value) -> Statement {
    Statement::new("INSERT INTO t VALUES (?1, ?2)", vec![Value::Integer(k), v])
}

fn put_once(k: i64) -> Batch {
    let sql = "INSERT INTO t VALUES (?1, 0) ON CONFLICT DO NOTHING";
    write(vec![Statement::new(sql, vec![Value::Integer(k)])])
}

const COUNT: &str = "SELECT count(*) FROM t";

async fn count(db: &RemoteTransport) -> i64 {
    let results = db.run(read(vec![Statement::new(COUNT, vec![])])).await.unwrap();
    integer(&results, 0)
}

fn integer(results: &[StatementResult], statement: usize) -> i64 {
    match results[statement].rows[0][0] {
        Value::Integer(n) => n,
        ref other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn values_of_every_type_come_back_unchanged() {
    let Some(server) = Server::start(Options::default()) else { return };
    let db = RemoteTransport::new(config(server.url())).unwrap();
    let values = vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(0.1),
        Value::Real(-1e300),
        Value::Text("emoji 🦀, quote \", newline \n".into()),
        Value::Text(String::new()),
        Value::Blob(vec![]),
        Value::Blob((0..=255).cycle().take(100_000).collect()),
    ];
    db.run(create()).await.unwrap();
    let puts = values.iter().cloned().enumerate().map(|(k, v)| put(k as i64, v)).collect();
    let results = db.run(write(puts)).await.unwrap();
    assert!(results.iter().all(|r| r.affected == 1));
    let results = db.run(read(vec![Statement::new("SELECT v FROM t ORDER BY k", vec![])])).await;
    let back: Vec<Value> = results.unwrap().remove(0).rows.into_iter().flatten().collect();
    assert_eq!(back, values);
    for refused in [f64::NAN, f64::INFINITY] {
        let error = db.run(write(vec![put(99, Value::Real(refused))])).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_write_happens_whole_or_not_at_all_and_a_read_is_one_snapshot() {
    let Some(server) = Server::start(Options::default()) else { return };
    let db = RemoteTransport::new(config(server.url())).unwrap();
    db.run(create()).await.unwrap();
    let bad = write(vec![put(1, Value::Null), put(1, Value::Null)]);
    let error = db.run(bad).await.unwrap_err();
    assert!(
        matches!(&error, Error::Engine { message, .. } if message.contains("UNIQUE")),
        "{error}"
    );
    assert_eq!(count(&db).await, 0);
    let error = db.run(read(vec![Statement::new("SELEC 1", vec![])])).await.unwrap_err();
    assert!(matches!(error, Error::Engine { .. }), "{error}");
    let counts = vec![Statement::new(COUNT, vec![]); 2];
    let results = db.run(read(counts)).await.unwrap();
    assert_eq!((integer(&results, 0), integer(&results, 1)), (0, 0));
}

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
    assert_eq!(count(&db).await, 500);
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
async fn waiting_writes_share_a_request_and_a_bad_one_fails_alone() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let db = Arc::new(RemoteTransport::new(config(proxy.url())).unwrap());
    db.run(create()).await.unwrap();
    proxy.set_round_trip(Duration::from_millis(20));
    let before = proxy.counts().requests;
    let mut saves = tokio::task::JoinSet::new();
    for k in 0..64 {
        let db = db.clone();
        saves.spawn(async move { db.run(put_once(k)).await });
    }
    while let Some(saved) = saves.join_next().await {
        assert_eq!(saved.unwrap().unwrap()[0].affected, 1);
    }
    let requests = proxy.counts().requests - before;
    assert!(requests <= 4, "64 concurrent writes took {requests} requests");
    assert_eq!(count(&db).await, 64);

    let first = put_once(100);
    let bad = write(vec![put(101, Value::Null), put(0, Value::Null)]);
    let last = put_once(102);
    let (first, bad, last) = tokio::join!(db.run(first), db.run(bad), db.run(last));
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(bad, Err(Error::Engine { .. })), "{bad:?}");
    assert_eq!(count(&db).await, 66);
}

#[tokio::test]
async fn beyond_the_queue_calls_are_refused_at_once_and_the_others_served() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let config =
        RemoteConfig { min_concurrency: 4, max_concurrency: 4, queue: 100, ..config(proxy.url()) };
    let db = Arc::new(RemoteTransport::new(config).unwrap());
    db.run(create()).await.unwrap();
    proxy.set_round_trip(Duration::from_millis(20));
    let before = proxy.counts().requests;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let db = db.clone();
        calls.spawn(async move { db.run(read(vec![Statement::new(COUNT, vec![])])).await });
    }
    let (mut served, mut refused) = (0, 0);
    while let Some(ended) = calls.join_next().await {
        match ended.unwrap() {
            Ok(_) => served += 1,
            Err(Error::Overloaded { waiting }) => {
                assert_eq!((waiting, served), (100, 0), "refused before the first was served");
                refused += 1;
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert_eq!((served, refused), (104, 896));
    assert_eq!(proxy.counts().requests - before, 104);
    assert!(proxy.counts().peak_requests <= 4);
}

#[tokio::test]
async fn tokens_decide_and_are_never_shown() {
    let key = TokenKey::generate();
    let options = Options { key: Some(key.clone()), ..Options::default() };
    let Some(server) = Server::start(options) else { return };
    let connect = |token: &str| {
        let token = TokenSource::Fixed(Secret::new(token));
        RemoteTransport::new(RemoteConfig { token, ..config(server.url()) }).unwrap()
    };
    let full = connect(&key.token(Rights::Full));
    full.run(create()).await.unwrap();
    let in_url = config(format!("{}?authToken={}", server.url(), key.token(Rights::Full)));
    RemoteTransport::new(in_url).unwrap().run(put_once(1)).await.unwrap();
    let reader = connect(&key.token(Rights::ReadOnly));
    assert_eq!(count(&reader).await, 1);
    let counts = vec![Statement::new(COUNT, vec![]); 2];
    assert!(reader.run(read(counts)).await.is_ok(), "a snapshot needs no right to write");
    let error = reader.run(put_once(2)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    for bad in [
        key.token(Rights::Expired),
        TokenKey::generate().token(Rights::Full),
        "nonsense".to_owned(),
    ] {
        let db = connect(&bad);
        for batch in [put_once(3), read(vec![Statement::new(COUNT, vec![])])] {
            let error = db.run(batch).await.unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            let shown = format!("{error} {error:?} {db:?}");
            assert!(!shown.contains(&bad), "{shown}");
        }
        assert_eq!(db.metrics().retries.get(), 0);
    }
    let none = RemoteTransport::new(config(server.url())).unwrap();
    assert!(matches!(none.run(put_once(3)).await, Err(Error::Refused { .. })));
    assert_eq!(count(&full).await, 1);
}

#[tokio::test]
async fn a_rotated_token_is_taken_up_without_a_restart() {
    let key = TokenKey::generate();
    let options = Options { key: Some(key.clone()), ..Options::default() };
    let Some(server) = Server::start(options) else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, key.token(Rights::Full)).unwrap();
    let token = TokenSource::File(file.clone());
    let db = RemoteTransport::new(RemoteConfig { token, ..config(server.url()) }).unwrap();
    db.run(create()).await.unwrap();
    std::fs::write(&file, key.token(Rights::Expired)).unwrap();
    assert!(matches!(db.run(put_once(1)).await, Err(Error::Refused { .. })));
    std::fs::write(&file, key.token(Rights::Full)).unwrap();
    db.run(put_once(1)).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_a_named_one_trusted() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start_tls(server.address()).await;
    let stranger = FaultProxy::start_tls(server.address()).await;
    let dir = tempfile::tempdir().unwrap();
    let trust = |pem: &str| {
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        RemoteTransport::new(RemoteConfig { ca_file: Some(file), ..config(proxy.url()) }).unwrap()
    };
    let db = trust(stranger.ca_pem().unwrap());
    let error = db.run(create()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { problem, .. } if problem.contains("certificate")),
        "{error}"
    );
    assert_eq!((proxy.counts().requests, db.metrics().retries.get()), (0, 0));
    let db = trust(proxy.ca_pem().unwrap());
    db.run(create()).await.unwrap();
    let before = proxy.counts();
    for k in 0..100 {
        db.run(put_once(k)).await.unwrap();
    }
    let after = proxy.counts();
    assert_eq!(after.requests - before.requests, 100);
    assert_eq!(after.handshakes - before.handshakes, 0);
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

#[tokio::test]
async fn closing_waits_for_queued_writes_and_refuses_new_ones() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let db = Arc::new(RemoteTransport::new(config(proxy.url())).unwrap());
    db.run(create()).await.unwrap();
    proxy.set_round_trip(Duration::from_millis(20));
    let mut writes: Vec<_> = (0..10).map(|k| Box::pin(db.run(put_once(k)))).collect();
    for write in &mut writes {
        // Polled once, so that it is in the queue.
        assert!(futures::poll!(write).is_pending());
    }
    let late = async {
        tokio::task::yield_now().await;
        db.run(put_once(99)).await
    };
    let (_, late, writes) = tokio::join!(db.close(), late, futures::future::join_all(writes));
    assert!(matches!(late, Err(Error::Unavailable { .. })));
    assert!(writes.iter().all(Result::is_ok));
    let again = RemoteTransport::new(config(server.url())).unwrap();
    assert_eq!(count(&again).await, 10);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_waiting_write_along_and_nobody_elses() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let db = RemoteTransport::new(config(proxy.url())).unwrap();
    db.run(create()).await.unwrap();
    proxy.set_round_trip(Duration::from_millis(20));
    let mut first = Box::pin(db.run(put_once(1)));
    assert!(futures::poll!(&mut first).is_pending());
    // Lets the first be sent, so that the others wait for the next request.
    tokio::task::yield_now().await;
    let mut gone = Box::pin(db.run(put_once(2)));
    let mut stays = Box::pin(db.run(put_once(3)));
    assert!(futures::poll!(&mut gone).is_pending() && futures::poll!(&mut stays).is_pending());
    drop(gone);
    assert!(first.await.is_ok() && stays.await.is_ok());
    assert_eq!(count(&db).await, 2);
}
