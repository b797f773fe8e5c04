//! What other tests take for granted of the server and the proxy.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::sqld::{Options, Rights, Server, TokenKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SELECT: &str =
    r#"{"requests":[{"type":"execute","stmt":{"sql":"SELECT 41 + 1"}},{"type":"close"}]}"#;

/// Sends one statement and reads until `42` has come or the connection ends.
async fn ask(stream: &mut TcpStream, token: &str) -> std::io::Result<String> {
    let head = format!(
        "POST /v3/pipeline HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-length: {}\r\n\r\n{SELECT}",
        SELECT.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).await?;
        answer.push_str(&String::from_utf8_lossy(chunk.get(..n).unwrap_or_default()));
        if n == 0 || answer.contains("\"42\"") || answer.contains("error") || answer.len() > 1 << 20
        {
            return Ok(answer);
        }
    }
}

async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.rsplit('/').next().unwrap()).await.unwrap()
}

#[tokio::test]
async fn proxy_counts_requests_on_one_connection_and_delays_each_by_a_round_trip() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    proxy.set_round_trip(Duration::from_millis(30));
    let mut stream = connect(&proxy.url()).await;
    let started = Instant::now();
    for _ in 0..3 {
        assert!(ask(&mut stream, "").await.unwrap().contains("\"42\""));
    }
    // Three requests and the opening of the connection; an upper bound would depend on the machine.
    assert!(started.elapsed() >= Duration::from_millis(4 * 30));
    let counts = proxy.counts();
    assert_eq!((counts.connections, counts.requests, counts.peak_requests), (1, 3, 1));
    assert!(counts.bytes_up > 3 * SELECT.len() as u64 && counts.bytes_down > 300);
}

#[tokio::test]
async fn each_fault_shows_itself_once_and_then_the_world_is_well_again() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    for fault in Fault::ALL {
        proxy.fault_next(fault, 1);
        let mut stream = connect(&proxy.url()).await;
        let patience = match fault {
            Fault::Blackhole | Fault::Drip(_) => Duration::from_millis(500),
            _ => Duration::from_secs(30),
        };
        let answer = tokio::time::timeout(patience, ask(&mut stream, "")).await;
        match (fault, answer) {
            (Fault::ResetBefore | Fault::ResetDuring | Fault::ResetAfter, Ok(answer)) => {
                assert!(answer.is_err(), "{fault:?}");
            }
            (Fault::Blackhole, answer) => assert!(answer.is_err()),
            (Fault::Drip(_), answer) => assert!(answer.is_err()),
            (Fault::SlowClose(_), Ok(answer)) => assert!(answer.unwrap().contains("\"42\"")),
            (Fault::Status(code), Ok(answer)) => {
                assert!(answer.unwrap().contains(&code.to_string()));
            }
            (Fault::Html, Ok(answer)) => assert!(answer.unwrap().contains("Sign in")),
            (Fault::TruncatedJson, Ok(answer)) => {
                let answer = answer.unwrap();
                assert!(answer.contains("\"results\"") && !answer.ends_with('}'), "{answer}");
            }
            (Fault::EndlessBody, Ok(answer)) => assert!(answer.unwrap().len() > 1 << 20),
            (fault, answer) => panic!("{fault:?}: {answer:?}"),
        }
        let mut stream = connect(&proxy.url()).await;
        assert!(ask(&mut stream, "").await.unwrap().contains("\"42\""), "after {fault:?}");
    }
}

#[tokio::test]
async fn server_keeps_to_its_key_and_to_its_port_over_a_restart() {
    let key = TokenKey::generate();
    let options = Options { key: Some(key.clone()), admin: true, ..Options::default() };
    let Some(mut server) = Server::start(options) else { return };
    server.set_strong_durability();
    for round in 0..2 {
        let ask = async |token: &str| ask(&mut connect(&server.url()).await, token).await.unwrap();
        assert!(ask(&key.token(Rights::Full)).await.contains("\"42\""), "round {round}");
        assert!(ask(&key.token(Rights::ReadOnly)).await.contains("\"42\""), "round {round}");
        assert!(ask(&key.token(Rights::Expired)).await.contains("401"), "round {round}");
        let wrong = TokenKey::generate().token(Rights::Full);
        assert!(ask(&wrong).await.contains("401"), "round {round}");
        server.kill();
        server.restart();
    }
}
