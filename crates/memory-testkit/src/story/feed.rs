//! The change feed.

use memory_core::store::{Watermark, Write};
use memory_core::{EpisodeStore, WriteId};

use super::{forget_of, project, running, save, save_of, steps_of, write, write_id};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    changes_come_in_order_with_their_versions(store).await;
    feed_that_cannot_tell_says_so(store).await;
    too_many_changes_are_a_jump(store).await;
}

/// Saves, steps and deletions; replays and refused writes are no changes.
pub async fn changes_come_in_order_with_their_versions<S: EpisodeStore>(store: &S) {
    let p = project("feed");
    let start = store.changes(None).await.unwrap();
    assert!(start.entries.is_empty() && !start.jumped);
    let still = store.changes(Some(&start.watermark)).await.unwrap();
    assert_eq!(still, start);

    let (a, b) = (running(&p, "a"), running(&p, "b"));
    let first = Write::Save(save_of(&a, 0));
    write(store, first.clone()).await.unwrap();
    write(store, first).await.unwrap();
    save(store, &a, 0).await.unwrap_err();
    save(store, &b, 0).await.unwrap();
    write(store, Write::AppendSteps(steps_of(&a, &["x"]))).await.unwrap();
    write(store, Write::Forget(forget_of(&b))).await.unwrap();

    let changes = store.changes(Some(&start.watermark)).await.unwrap();
    assert!(!changes.jumped);
    let told: Vec<_> = changes.entries.iter().map(|c| (c.id, c.version)).collect();
    assert_eq!(told, [(a.id, Some(1)), (b.id, Some(1)), (a.id, Some(2)), (b.id, None)]);
    assert!(changes.entries.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(changes.watermark.seq, changes.entries[3].seq);
    assert_eq!(changes.watermark.database, start.watermark.database);
    // From the middle on.
    let rest = store.changes(Some(&changes.watermark)).await.unwrap();
    assert!(rest.entries.is_empty() && !rest.jumped);
    assert_eq!(rest.watermark, changes.watermark);
}

/// Another database, a restored one, one that lost its tail.
pub async fn feed_that_cannot_tell_says_so<S: EpisodeStore>(store: &S) {
    save(store, &running(&project("jump"), "a change"), 0).await.unwrap();
    let now = store.changes(None).await.unwrap().watermark;
    let strange = [
        Watermark { database: [7; 16], ..now.clone() },
        Watermark { write_id: Some(WriteId::derive(&[b"another history"])), ..now.clone() },
        Watermark { write_id: None, ..now.clone() },
        Watermark { seq: now.seq + 10, write_id: Some(write_id()), ..now.clone() },
    ];
    for since in strange {
        let changes = store.changes(Some(&since)).await.unwrap();
        assert!(changes.jumped && changes.entries.is_empty(), "{since:?}: {changes:?}");
        assert_eq!(changes.watermark, now);
    }
}

/// Beyond a thousand the reader starts anew.
pub async fn too_many_changes_are_a_jump<S: EpisodeStore>(store: &S) {
    let p = project("flood");
    let start = store.changes(None).await.unwrap().watermark;
    let burst = |n: usize| {
        (0..n).map(|_| Write::Save(save_of(&running(&p, "burst"), 0))).collect::<Vec<_>>()
    };
    for result in store.write(burst(1000)).await.unwrap() {
        result.unwrap();
    }
    let all = store.changes(Some(&start)).await.unwrap();
    assert!(!all.jumped && all.entries.len() == 1000);
    for result in store.write(burst(1)).await.unwrap() {
        result.unwrap();
    }
    let jumped = store.changes(Some(&start)).await.unwrap();
    assert!(jumped.jumped && jumped.entries.is_empty());
    assert_eq!(jumped.watermark.seq, start.seq + 1001);
    let on = store.changes(Some(&jumped.watermark)).await.unwrap();
    assert!(!on.jumped && on.entries.is_empty());
}
