//! The conformance story on a real server, and what each operation costs on the way.

use std::time::Duration;

use memory_storage_turso::{RemoteConfig, TursoStore};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story;

use crate::config;

#[tokio::test]
async fn a_real_server_keeps_every_promise_of_the_store() {
    let Some(server) = Server::start(Options::default()) else { return };
    story::tell(&TursoStore::connect(config(server.url())).unwrap()).await;
}

#[tokio::test]
async fn a_request_for_every_statement_keeps_every_promise_of_the_store() {
    let Some(server) = Server::start(Options::default()) else { return };
    let config = RemoteConfig { pipeline: false, ..config(server.url()) };
    story::tell(&TursoStore::connect(config).unwrap()).await;
}

#[tokio::test]
async fn distance_keeps_every_promise_of_the_store() {
    let Some(server) = Server::start(Options::default()) else { return };
    let proxy = FaultProxy::start(server.address()).await;
    proxy.set_round_trip(Duration::from_millis(20));
    story::tell(&TursoStore::connect(config(proxy.url())).unwrap()).await;
}
