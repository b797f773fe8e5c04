//! Raw batches against a real server: what every operation of the store leans on.

use std::sync::Arc;
use std::time::Duration;

use memory_core::Error;
use memory_storage_turso::batch::{Statement, Value};
use memory_storage_turso::{RemoteConfig, RemoteTransport};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};

use super::raw::{COUNT, count, create, integer, put, put_once, read, write};
use crate::config;

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

#[tokio::test]
async fn writers_in_many_processes_wait_for_each_other_and_lose_nothing() {
    let Some(server) = Server::start(Options::default()) else { return };
    let config = config(server.url());
    RemoteTransport::new(config.clone()).unwrap().run(create()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let db = RemoteTransport::new(config.clone()).unwrap();
        writers.spawn(async move {
            for n in 0..25 {
                db.run(put_once(writer * 100 + n)).await.unwrap();
            }
            db.metrics().retries.get()
        });
    }
    let retries: u64 = writers.join_all().await.into_iter().sum();
    println!("400 writes of 16 writers took {retries} retries");
    assert_eq!(count(&RemoteTransport::new(config).unwrap()).await, 400);
}
