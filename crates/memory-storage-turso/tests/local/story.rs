//! The conformance story, and a copy from one store to another.

use memory_core::store::Scope;
use memory_testkit::story::{self, scanning};

use super::support::{assert_sound, database, open};

macro_rules! chapters {
    ($($chapter:ident),*) => {$(
        #[tokio::test]
        async fn $chapter() {
            let (_directory, path) = database();
            let store = open(&path).await;
            story::$chapter::tell(&store).await;
            store.close().await;
            assert_sound(&path).await;
        }
    )*};
}

chapters!(saving, steps, forgetting, lessons, relations, reading, scanning, feed);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_story_holds_twice_on_one_database() {
    let (_directory, path) = database();
    let store = open(&path).await;
    story::tell(&store).await;
    story::tell(&store).await;
    store.close().await;
    assert_sound(&path).await;
}

#[tokio::test]
async fn an_export_imports_into_an_empty_store_and_exports_the_same() {
    let ((_one, from), (_other, to)) = (database(), database());
    let (from, to) = (open(&from).await, open(&to).await);
    scanning::populate(&from).await;
    scanning::populate(&from).await;
    let lines = scanning::export(&from, &Scope::All, 4).await;
    scanning::import(&to, &lines).await;
    assert_eq!(scanning::export(&to, &Scope::All, 1000).await, lines);
}
