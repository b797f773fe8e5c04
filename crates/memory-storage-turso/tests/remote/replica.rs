//! A primary with a replica: writes through the replica are visible to their writer at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use memory_core::OutcomeKind;
use memory_storage_turso::TursoStore;
use memory_testkit::sqld::{Options, Server};
use memory_testkit::story::{self, completed, get, project, save};

use crate::config;

fn pair() -> Option<(Server, Server)> {
    let primary = Server::start(Options { primary: true, ..Options::default() })?;
    let replica_of = Some(primary.replication_address());
    let replica = Server::start(Options { replica_of, ..Options::default() })?;
    Some((primary, replica))
}

#[tokio::test]
async fn a_writer_through_a_replica_sees_its_own_writes_at_once() {
    let Some((primary, replica)) = pair() else { return };
    let store = TursoStore::connect(config(replica.url())).unwrap();
    let elsewhere = TursoStore::connect(config(primary.url())).unwrap();
    let other = Arc::new(TursoStore::connect(config(replica.url())).unwrap());
    let project = project("replica");
    let mut lags = Vec::new();
    for n in 0..40 {
        let episode = completed(&project, &format!("task {n}"), OutcomeKind::Success);
        save(&store, &episode, 0).await.unwrap();
        let own = get(&store, &episode).await;
        let committed = Instant::now();
        assert_eq!(own.as_deref(), Some(&episode), "write {n} is not visible to its writer");
        assert_eq!(get(&elsewhere, &episode).await.as_deref(), Some(&episode));
        while get(&*other, &episode).await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        lags.push(committed.elapsed());
    }
    lags.sort();
    let (median, p90, longest) =
        (lags[lags.len() / 2], lags[lags.len() * 9 / 10], lags[lags.len() - 1]);
    println!(
        "others saw a write through the replica after {median:.0?} (median), {p90:.0?} (p90), \
         {longest:.0?} (at most)"
    );
}

#[tokio::test]
async fn a_replica_keeps_every_promise_of_the_store() {
    let Some((_primary, replica)) = pair() else { return };
    story::tell(&TursoStore::connect(config(replica.url())).unwrap()).await;
}
