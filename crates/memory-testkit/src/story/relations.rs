//! Relations between episodes.

use memory_core::store::{Relation, RelationKind, Write};
use memory_core::{EpisodeId, EpisodeStore, Error};

use super::{NOW, only, project, running, save, write};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    cycles_are_refused_where_order_matters(store).await;
    relations_need_two_episodes_of_one_project(store).await;
}

fn relation(project: &str, from: EpisodeId, relation: RelationKind, to: EpisodeId) -> Write {
    Write::Relate(Relation { project: project.into(), from, relation, to, at: NOW })
}

async fn episodes<S: EpisodeStore>(store: &S, project: &str) -> [EpisodeId; 4] {
    let episodes = ["a", "b", "c", "d"].map(|task| running(project, task));
    for e in &episodes {
        save(store, e, 0).await.unwrap();
    }
    episodes.map(|e| e.id)
}

/// Also when the cycle is made of different relations; where order means nothing, both ways are fine.
pub async fn cycles_are_refused_where_order_matters<S: EpisodeStore>(store: &S) {
    use RelationKind::{Blocks, DependsOn, Duplicates, Follows, Parent, References, Related};
    for kind in [Parent, DependsOn, Follows, Blocks] {
        let p = project("cycle");
        let [a, b, c, d] = episodes(store, &p).await;
        for (from, to) in [(a, b), (b, c), (c, d), (a, d), (a, b)] {
            write(store, relation(&p, from, kind, to)).await.unwrap();
        }
        for (from, to) in [(d, a), (b, a), (c, a), (a, a)] {
            let error = write(store, relation(&p, from, kind, to)).await.unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{kind:?}: {error}");
        }
        assert_eq!(store.counts(&only(&p)).await.unwrap().relations, 4);
    }

    let p = project("mixed");
    let [a, b, c, _] = episodes(store, &p).await;
    write(store, relation(&p, a, DependsOn, b)).await.unwrap();
    write(store, relation(&p, c, Blocks, b)).await.unwrap();
    for closing in
        [relation(&p, c, Follows, a), relation(&p, a, Blocks, b), relation(&p, b, DependsOn, a)]
    {
        let error = write(store, closing).await.unwrap_err();
        assert!(error.to_string().contains("cycle"), "{error}");
    }
    // A part may wait for its whole.
    write(store, relation(&p, b, Parent, a)).await.unwrap();
    for kind in [Related, Duplicates, References] {
        write(store, relation(&p, a, kind, b)).await.unwrap();
        write(store, relation(&p, b, kind, a)).await.unwrap();
    }
}

/// Unknown, foreign and forgotten ends are refused.
pub async fn relations_need_two_episodes_of_one_project<S: EpisodeStore>(store: &S) {
    let (p, other) = (project("ends"), project("other-ends"));
    let [a, b, ..] = episodes(store, &p).await;
    let [foreign, ..] = episodes(store, &other).await;
    let unknown = EpisodeId::generate(NOW);
    for (from, to) in [(a, unknown), (unknown, a), (a, foreign), (foreign, a)] {
        let error = write(store, relation(&p, from, RelationKind::Related, to)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    let forget = memory_core::store::Forget { id: b, scope: only(&p), at: NOW };
    write(store, Write::Forget(forget)).await.unwrap();
    let error = write(store, relation(&p, a, RelationKind::Related, b)).await.unwrap_err();
    assert!(matches!(error, Error::Forgotten { id } if id == b), "{error}");
    assert_eq!(store.counts(&only(&p)).await.unwrap().relations, 0);
}
