//! Up, down, refused, from several sides at once.

use memory_core::Error;

use super::*;
use crate::maintenance::Maintenance;

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        e @ Error::Refused { .. } => e.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn maintenance(path: &Path, migrations: &'static [Migration]) -> Maintenance {
    Maintenance::open(TursoConfig::at(path)).await.unwrap().with(migrations)
}

#[tokio::test]
async fn an_older_file_is_brought_up_and_kept_as_it_was() {
    let (_directory, path) = database();
    old(&path, 100).await;
    upgrade(&path).await.unwrap();
    assert_eq!(assert_whole(&path, 100).await, 3);
    assert_eq!(backups(&path), ["memory.db.schema-1.backup"]);
    // The backup is a database like any other, at the schema before.
    assert_eq!(assert_whole(&path.with_file_name("memory.db.schema-1.backup"), 100).await, 1);
    upgrade(&path).await.unwrap();
    assert_eq!(backups(&path).len(), 1, "nothing was changed, so nothing is kept");
}

#[tokio::test]
async fn a_new_file_has_nothing_to_keep() {
    let (_directory, path) = database();
    upgrade(&path).await.unwrap();
    assert_eq!(assert_whole(&path, 0).await, 3);
    assert!(backups(&path).is_empty());
}

#[tokio::test]
async fn a_step_that_fails_leaves_no_trace_of_those_before_it() {
    static BROKEN: [Migration; 3] = [
        NOTES,
        LENGTHS,
        Migration {
            number: 3,
            name: "broken",
            sql: "CREATE TABLE c (x);\nINSERT INTO nowhere VALUES (1);\n",
            down: Down::None(""),
        },
    ];
    let (_directory, path) = database();
    old(&path, 10).await;
    let transport = transport(&path);
    let told = bring_up(&transport, &BROKEN, "memory.db", Upgrade::Auto).await.unwrap_err();
    assert!(told.to_string().contains("nowhere"), "{told}");
    transport.close().await;
    assert_eq!(assert_whole(&path, 10).await, 1);
    upgrade(&path).await.unwrap();
    assert_eq!(assert_whole(&path, 10).await, 3);
}

#[tokio::test]
async fn with_manual_upgrades_an_older_file_is_refused_and_a_new_one_made() {
    let (_directory, path) = database();
    old(&path, 10).await;
    let manual = async |path: &Path| {
        let transport = transport(path);
        let done = bring_up(&transport, &NEW, "memory.db", Upgrade::Manual).await;
        transport.close().await;
        done
    };
    let told = refusal(manual(&path).await);
    assert!(told.contains("has schema 1, this build works with 3"), "{told}");
    assert!(told.contains("memory-mcp migrate"), "{told}");
    assert_eq!(assert_whole(&path, 10).await, 1);
    let new = path.with_file_name("new.db");
    manual(&new).await.unwrap();
    assert_eq!(assert_whole(&new, 0).await, 3);
}

#[tokio::test]
async fn steps_are_taken_back_where_nothing_gets_lost_and_refused_with_the_reason_elsewhere() {
    let (_directory, path) = database();
    old(&path, 10).await;
    upgrade(&path).await.unwrap();
    let maintenance = maintenance(&path, &NEW).await;
    let applied: Vec<bool> = maintenance.steps().await.unwrap().iter().map(|s| s.applied).collect();
    assert_eq!(applied, [true, true, true]);
    let back = maintenance.migrate(Some(2)).await.unwrap();
    assert_eq!((back.from, back.to), (3, 2));
    assert!(back.backup.unwrap().ends_with("memory.db.schema-3.backup"));

    let transport = transport(&path);
    run(&transport, "UPDATE notes SET marked = 1 WHERE rid = 1").await;
    let told = refusal(maintenance.migrate(Some(1)).await);
    assert!(told.contains("step 2 (lengths) cannot be taken back: there are marked"), "{told}");
    run(&transport, "UPDATE notes SET marked = NULL").await;
    transport.close().await;
    assert_eq!(maintenance.migrate(Some(1)).await.unwrap().to, 1);
    assert_eq!(assert_whole(&path, 10).await, 1);
    let none = maintenance.migrate(Some(0)).await.unwrap_err().to_string();
    assert!(none.contains("is 0; choose 1 to 3"), "{none}");
    // And up again, over a backup that is there from the first time.
    maintenance.migrate(None).await.unwrap();
    assert_eq!(assert_whole(&path, 10).await, 3);
    assert!(backups(&path).contains(&"memory.db.schema-1-2.backup".to_owned()));
}

#[tokio::test]
async fn a_step_without_a_way_back_says_why() {
    static FIRST_TWO: [Migration; 2] =
        [NOTES, Migration { down: Down::None("it merged what cannot be told apart"), ..LENGTHS }];
    let (_directory, path) = database();
    old(&path, 10).await;
    let maintenance = maintenance(&path, &FIRST_TWO).await;
    maintenance.migrate(None).await.unwrap();
    let told = refusal(maintenance.migrate(Some(1)).await);
    assert!(told.contains("it merged what cannot be told apart"), "{told}");
}

#[tokio::test]
async fn another_text_of_a_step_and_a_newer_schema_are_refused_by_everything() {
    static EDITED: [Migration; 1] = [Migration { sql: "CREATE TABLE notes (rid);\n", ..NOTES }];
    let (_directory, path) = database();
    old(&path, 10).await;
    let told = refusal(maintenance(&path, &EDITED).await.migrate(None).await);
    assert!(told.contains("another version of schema step 1 (notes)"), "{told}");
    upgrade(&path).await.unwrap();
    let told = refusal(maintenance(&path, &OLD).await.steps().await);
    assert!(told.contains("has schema 3, this build knows up to 1; upgrade"), "{told}");
    assert_eq!(assert_whole(&path, 10).await, 3);
}

#[tokio::test]
async fn a_database_in_the_older_layout_is_refused_with_the_way_out() {
    let (_directory, path) = database();
    let older = "CREATE TABLE episodes (episode_id TEXT PRIMARY KEY, start_time INTEGER, x TEXT)";
    let transport = transport(&path);
    run(&transport, older).await;
    let told = refusal(bring_up(&transport, MIGRATIONS, "old.db", Upgrade::Auto).await);
    assert!(told.contains("older layout") && told.contains("migrate --from old.db"), "{told}");
    transport.close().await;
}
