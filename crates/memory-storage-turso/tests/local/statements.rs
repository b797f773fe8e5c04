//! Statements are prepared once per connection, or every time where the setting says so.

use memory_core::store::{Filter, ListQuery};
use memory_core::{Condition, EpisodeStore};
use memory_storage_turso::{Metrics, TursoConfig, TursoStore};
use memory_testkit::story::{found, get, only, project, running, save};

use super::support::database;

/// A connection's two PRAGMAs, BEGIN of both kinds and COMMIT; 5 of a save, 1 of a get, 2 of the
/// listings, 3 of a search.
const TEXTS: u64 = 16;

/// Saves, gets, listings of three shapes and searches, 200 of each.
async fn a_thousand_operations(store: &TursoStore) {
    let p = project("statements");
    for n in 0..200_i64 {
        let mut episode = running(&p, &format!("water plant {n}"));
        episode.metadata.insert("n".into(), n.into());
        save(store, &episode, 0).await.unwrap();
        assert!(get(store, &episode).await.is_some());
        for metadata in [None, Some(Condition::equals("n", n))] {
            let filter = Filter { metadata, ..Filter::default() };
            let query = ListQuery { scope: only(&p), filter, after: None, limit: 3 };
            assert!(!store.list(&query).await.unwrap().episodes.is_empty());
        }
        assert!(!found(store, &p, "water").await.is_empty());
    }
}

fn counts(metrics: &Metrics) -> [u64; 3] {
    [metrics.prepared.get(), metrics.reused.get(), metrics.connections.get()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_prepared_once_per_connection() {
    let (_directory, path) = database();
    let store = TursoStore::open(TursoConfig::at(&path)).await.unwrap();
    let before = counts(store.metrics());
    a_thousand_operations(&store).await;
    let after = counts(store.metrics());
    let (prepared, reused) = (after[0] - before[0], after[1] - before[1]);
    assert!(prepared <= TEXTS * after[2], "{prepared} on {} connections", after[2]);
    assert!(reused > 2_000, "{reused}");
    println!("{prepared} prepared, {reused} reused, {} connections", after[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_of_none_prepares_every_time_and_works_the_same() {
    let (_directory, path) = database();
    let config = TursoConfig { statement_cache: 0, ..TursoConfig::at(&path) };
    let store = TursoStore::open(config).await.unwrap();
    a_thousand_operations(&store).await;
    let [prepared, reused, _] = counts(store.metrics());
    assert_eq!(reused, 0);
    assert_eq!(prepared, store.metrics().statements.get());
}
