//! Who may do what, whom we trust, and what nobody gets to see.

use std::sync::Arc;

use memory_core::Error;
use memory_storage_turso::batch::Statement;
use memory_storage_turso::{RemoteConfig, RemoteTransport, Secret, TokenSource};
use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::sqld::{Options, Rights, Server, TokenKey};

use super::raw::{COUNT, count, create, put_once, read};
use crate::config;

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
async fn the_most_talkative_log_does_not_hold_the_token() {
    let key = TokenKey::generate();
    let options = Options { key: Some(key.clone()), ..Options::default() };
    let Some(server) = Server::start(options) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _on_this_thread = tracing::subscriber::set_default(subscriber);
    let tokens = [key.token(Rights::Full), key.token(Rights::Expired)];
    for token in &tokens {
        let url = format!("{}?authToken={token}", proxy.url());
        let db = RemoteTransport::new(config(url)).unwrap();
        proxy.fault_next(Fault::ResetAfter, 1);
        let _ = db.run(create()).await;
        let _ = db.run(put_once(1)).await;
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("tried again"), "the log is on: {logged}");
    assert!(tokens.iter().all(|token| !logged.contains(token)));
}
