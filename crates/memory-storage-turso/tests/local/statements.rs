//! Statements are prepared once per connection, or every time where the setting says so.

use memory_core::store::{Filter, ListQuery, Write};
use memory_core::{Condition, EpisodeStore};
use memory_storage_turso::{Metrics, TursoConfig, TursoStore};
use memory_testkit::story::{found, get, only, project, running, save, save_of};

use super::support::{ask, database};

/// A connection's two PRAGMAs, BEGIN of both kinds and COMMIT; 5 of a save, 1 of a get, 2 of the
/// listings, 2 of a search.
const TEXTS: u64 = 15;

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

/// After much work the engine counts what it chooses indexes by, and keeps no text of episodes in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_are_kept_after_much_work_alone() {
    let tables = "SELECT group_concat(name) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'";
    let (_directory, path) = database();
    for (writes, expected) in [(10, "Null"), (2_500, "sqlite_stat1,sqlite_stat4")] {
        let store = TursoStore::open(TursoConfig::at(&path)).await.unwrap();
        let saves = (0..writes).map(|n| {
            let mut episode = running("p", "task");
            episode.metadata.insert("ticket".into(), format!("secret {n}").as_str().into());
            Write::Save(save_of(&episode, 0))
        });
        assert!(store.write(saves.collect()).await.unwrap().iter().all(Result::is_ok));
        store.close().await;
        assert_eq!(ask(&path, tables).await, expected);
    }
    assert_ne!(ask(&path, "SELECT count(*) FROM sqlite_stat1").await, "0");
    assert_eq!(ask(&path, "SELECT count(*) FROM sqlite_stat4").await, "0");
}
