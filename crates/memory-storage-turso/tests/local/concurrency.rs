//! Many writers, many readers, many stores on one file.

use std::sync::Arc;
use std::time::Duration;

use memory_core::envelope::Compression;
use memory_core::store::{Filter, Write};
use memory_core::{EpisodeStore, Error};
use memory_storage_turso::{PayloadConfig, TursoConfig, TursoStore};
use memory_testkit::story::{get, listed, only, project, running, save, save_of, step, write};

use super::support::{ask, assert_sound, database, engine, open, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_share_commits() {
    let (_directory, path) = database();
    let store = Arc::new(open(&path).await);
    let p = project("group");
    let before = store.metrics().commits.get();
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let (store, p) = (store.clone(), p.clone());
            tokio::spawn(async move {
                for n in 0..10 {
                    save(&*store, &running(&p, &format!("task {n}")), 0).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let commits = store.metrics().commits.get() - before;
    assert_eq!(store.counts(&only(&p)).await.unwrap().episodes["running"], 640);
    assert!(commits <= 320, "{commits} commits for 640 saves, more than half");
    store.close().await;
    assert_sound(&path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_stores_open_a_new_file_at_once() {
    let (_directory, path) = database();
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { open(&path).await })
        })
        .collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap());
    }
    let p = project("eight");
    for store in &stores {
        save(store, &running(&p, "hello"), 0).await.unwrap();
    }
    for store in &stores {
        assert_eq!(listed(store, &p, Filter::default()).await.len(), 8);
        store.close().await;
    }
    assert_eq!(ask(&path, "SELECT count(*) FROM migrations").await, "3");
    assert_eq!(ask(&path, "SELECT count(*) FROM meta WHERE key = 'database'").await, "1");
}

#[tokio::test]
async fn change_made_by_another_store_is_in_the_feed() {
    let (_directory, path) = database();
    let (ours, theirs) = (open(&path).await, open(&path).await);
    let start = ours.changes(None).await.unwrap().watermark;
    // Nothing happens: the file says so without a query.
    let before = ours.metrics().batches.get();
    for _ in 0..5 {
        assert_eq!(ours.changes(Some(&start)).await.unwrap().watermark, start);
    }
    assert_eq!(ours.metrics().batches.get(), before);
    assert_eq!(ours.metrics().feed_shortcuts.get(), 5);

    let e = running(&project("feed"), "theirs");
    save(&theirs, &e, 0).await.unwrap();
    let changes = ours.changes(Some(&start)).await.unwrap();
    assert_eq!(changes.entries.iter().map(|c| c.id).collect::<Vec<_>>(), [e.id]);
    // Our own commits are noticed as well.
    save(&ours, &running(&e.project, "ours"), 0).await.unwrap();
    assert_eq!(ours.changes(Some(&changes.watermark)).await.unwrap().entries.len(), 1);
}

/// A write waits for whoever holds the file, and is refused in time when that takes too long.
#[tokio::test]
async fn write_waits_for_another_process_up_to_its_deadline() {
    let (_directory, path) = database();
    let store = Arc::new(open(&path).await);
    let config = TursoConfig { busy_timeout: Duration::from_millis(50), ..TursoConfig::at(&path) };
    let hasty = TursoStore::open(config).await.unwrap();
    let p = project("busy");
    let holder = engine(&path).await;
    holder.execute("BEGIN IMMEDIATE", ()).await.unwrap();

    let refused = running(&p, "refused");
    let error = save(&hasty, &refused, 0).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let waiting = {
        let (store, p) = (store.clone(), p.clone());
        tokio::spawn(async move { save(&*store, &running(&p, "waits"), 0).await })
    };
    until(|| store.metrics().busy_retries.get() > 0).await;
    // Readers do not wait.
    assert!(listed(&*store, &p, Filter::default()).await.is_empty());
    holder.execute("COMMIT", ()).await.unwrap();
    waiting.await.unwrap().unwrap();
    save(&hasty, &refused, 0).await.unwrap();
    assert_eq!(listed(&*store, &p, Filter::default()).await.len(), 2);
}

/// Beyond the bound the call is refused at once; what was taken in is written.
#[tokio::test]
async fn full_queue_refuses_early_and_loses_nothing() {
    let (_directory, path) = database();
    let config = TursoConfig { queue: 10, ..TursoConfig::at(&path) };
    let store = Arc::new(TursoStore::open(config).await.unwrap());
    let p = project("queue");
    let holder = engine(&path).await;
    holder.execute("BEGIN IMMEDIATE", ()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (store, p) = (store.clone(), p.clone());
        writers.spawn(async move { save(&*store, &running(&p, &format!("task {n}")), 0).await });
    }
    until(|| store.metrics().overloaded.get() > 0).await;
    holder.execute("COMMIT", ()).await.unwrap();
    let (mut written, mut refused) = (0, 0);
    while let Some(result) = writers.join_next().await {
        match result.unwrap() {
            Ok(_) => written += 1,
            Err(Error::Overloaded { waiting }) => {
                assert!(waiting >= 10, "{waiting} were waiting");
                refused += 1;
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert!(written >= 10 && refused > 0, "{written} written, {refused} refused");
    assert_eq!(listed(&*store, &p, Filter::default()).await.len(), written);
}

#[tokio::test]
async fn close_finishes_what_waits_and_refuses_what_comes() {
    let (_directory, path) = database();
    let store = Arc::new(open(&path).await);
    let p = project("close");
    let holder = engine(&path).await;
    holder.execute("BEGIN IMMEDIATE", ()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..20 {
        let (store, p) = (store.clone(), p.clone());
        writers.spawn(async move { save(&*store, &running(&p, &format!("task {n}")), 0).await });
    }
    until(|| store.metrics().busy_retries.get() > 0).await;
    let closing = {
        let store = store.clone();
        tokio::spawn(async move { store.close().await })
    };
    tokio::task::yield_now().await;
    holder.execute("COMMIT", ()).await.unwrap();
    closing.await.unwrap();
    while let Some(result) = writers.join_next().await {
        result.unwrap().unwrap();
    }
    let late = running(&p, "late");
    assert!(matches!(save(&*store, &late, 0).await, Err(Error::Unavailable { .. })));
    let read = store.get(&only(&p), &[late.id]).await;
    assert!(matches!(read, Err(Error::Unavailable { .. })));
    assert_eq!(listed(&open(&path).await, &p, Filter::default()).await.len(), 20);
}

/// Statements are prepared once per connection, and no more are kept than the setting says.
#[tokio::test]
async fn statements_are_prepared_once() {
    let (_directory, path) = database();
    let config = TursoConfig { readers: 1, ..TursoConfig::at(&path) };
    let store = TursoStore::open(config).await.unwrap();
    let p = project("prepared");
    let e = running(&p, "once");
    save(&store, &e, 0).await.unwrap();
    get(&store, &e).await.unwrap();
    let (prepared, reused) = (store.metrics().prepared.get(), store.metrics().reused.get());
    for n in 0..20 {
        save(&store, &running(&p, &format!("again {n}")), 0).await.unwrap();
        assert_eq!(get(&store, &e).await.unwrap().id, e.id);
    }
    assert_eq!(store.metrics().prepared.get(), prepared);
    assert!(store.metrics().reused.get() > reused + 100);
    let connections = store.metrics().connections.get();
    assert_eq!(connections, 3, "one writer, one reader, and the one that made the schema");

    // A cache of one statement works as well, only slower.
    let small = TursoConfig { statement_cache: 1, ..TursoConfig::at(&path) };
    let small = TursoStore::open(small).await.unwrap();
    for n in 0..5 {
        let mut e = running(&p, &format!("small {n}"));
        e.metadata.insert("n".into(), n.into());
        save(&small, &e, 0).await.unwrap();
        assert_eq!(*get(&small, &e).await.unwrap(), e);
    }
}

/// A batch that the engine refuses is found, and its neighbours in the same commit are written.
#[tokio::test]
async fn refused_batch_fails_alone_in_its_group() {
    let (_directory, path) = database();
    let store = Arc::new(open(&path).await);
    let p = project("alone");
    // A trap for one of them, that only the engine knows of.
    let trap = format!(
        "CREATE TRIGGER trap BEFORE INSERT ON episodes WHEN NEW.project = '{p}' \
         AND NEW.task_type = 'trapped' BEGIN SELECT raise(ABORT, 'caught'); END"
    );
    let holder = engine(&path).await;
    holder.execute(&trap, ()).await.unwrap();
    holder.execute("BEGIN IMMEDIATE", ()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..9 {
        let (store, p) = (store.clone(), p.clone());
        writers.spawn(async move {
            let mut e = running(&p, &format!("task {n}"));
            if n == 4 {
                e.task_type = "trapped".into();
            }
            (n, save(&*store, &e, 0).await)
        });
    }
    until(|| store.metrics().busy_retries.get() > 0).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    holder.execute("COMMIT", ()).await.unwrap();
    while let Some(result) = writers.join_next().await {
        let (n, result) = result.unwrap();
        assert_eq!(result.is_err(), n == 4, "{n}: {result:?}");
    }
    assert_eq!(listed(&*store, &p, Filter::default()).await.len(), 8);

    // The same within one batch.
    let mut trapped = running(&p, "trapped");
    trapped.task_type = "trapped".into();
    let writes = [running(&p, "before"), trapped, running(&p, "after")];
    let writes = writes.iter().map(|e| Write::Save(save_of(e, 0))).collect();
    let results = store.write(writes).await.unwrap();
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
}

/// More than fits one batch or one page.
#[tokio::test]
async fn large_writes_and_pages_are_cut_to_size() {
    let (_directory, path) = database();
    // Compressed, this much fits.
    let payload = PayloadConfig { compression: Compression::None, ..PayloadConfig::default() };
    let config = TursoConfig { payload, ..TursoConfig::at(&path) };
    let store = TursoStore::open(config).await.unwrap();
    let p = project("large");
    let mut episodes = Vec::new();
    for n in 0..12 {
        let mut e = running(&p, &format!("large {n}"));
        e.steps = (1..=3)
            .map(|number| {
                let observation = "x".repeat(500_000);
                memory_core::Step { number, observation, ..step("cat") }
            })
            .collect();
        episodes.push(e);
    }
    let before = store.metrics().committed_batches.get();
    let writes = episodes.iter().map(|e| Write::Save(save_of(e, 0))).collect();
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
    let batches = store.metrics().committed_batches.get() - before;
    assert!((2..12).contains(&batches), "{batches} batches");

    let mut query = memory_core::store::ListQuery {
        scope: only(&p),
        filter: Filter::default(),
        after: None,
        limit: 100,
    };
    let mut pages = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        pages.push(page.episodes.len());
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(pages.iter().sum::<usize>(), 12);
    assert!(pages.iter().all(|n| (1..=4).contains(n)), "{pages:?}");
    let over = Write::AppendSteps(memory_testkit::story::steps_of(&episodes[0], &["x"]));
    write(&store, over).await.unwrap();
}

/// With several batches on the way, "nothing was written" would be a guess.
#[tokio::test]
async fn failure_between_batches_is_unknown_and_may_be_repeated() {
    let (_directory, path) = database();
    let config = TursoConfig { busy_timeout: Duration::from_millis(50), ..TursoConfig::at(&path) };
    let store = TursoStore::open(config).await.unwrap();
    let p = project("chunks");
    let writes: Vec<_> =
        (0..1500).map(|n| Write::Save(save_of(&running(&p, &format!("task {n}")), 0))).collect();
    let holder = engine(&path).await;
    holder.execute("BEGIN IMMEDIATE", ()).await.unwrap();
    let error = store.write(writes.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    holder.execute("COMMIT", ()).await.unwrap();
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
    assert_eq!(store.counts(&only(&p)).await.unwrap().episodes["running"], 1500);
}
