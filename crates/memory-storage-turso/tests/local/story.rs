//! The conformance story, and a copy from one store to another.

use memory_core::store::Scope;
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::story::{self, scanning};

async fn store(directory: &tempfile::TempDir) -> TursoStore {
    TursoStore::open(TursoConfig::at(directory.path().join("memory.db"))).await.unwrap()
}

macro_rules! chapters {
    ($($chapter:ident),*) => {$(
        #[tokio::test]
        async fn $chapter() {
            let directory = tempfile::tempdir().unwrap();
            story::$chapter::tell(&store(&directory).await).await;
        }
    )*};
}

chapters!(saving, steps, forgetting, lessons, relations, reading, scanning, feed);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story_holds_twice_on_one_database() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory).await;
    story::tell(&store).await;
    story::tell(&store).await;
    store.close().await;
}

#[tokio::test]
async fn an_export_imports_into_an_empty_store_and_exports_the_same() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (store(&one).await, store(&other).await);
    scanning::populate(&from).await;
    scanning::populate(&from).await;
    let lines = scanning::export(&from, &Scope::All, 4).await;
    scanning::import(&to, &lines).await;
    assert_eq!(scanning::export(&to, &Scope::All, 1000).await, lines);
}
