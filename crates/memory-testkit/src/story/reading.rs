//! Getting, listing and searching.

use memory_core::recall::text::query_terms;
use memory_core::store::{Filter, ListQuery, Scope, SearchQuery, Write};
use memory_core::{
    Condition, Episode, EpisodeId, EpisodeStore, Error, OutcomeKind, Reward, RewardSource,
    Timestamp,
};

use super::{NOW, completed, found, listed, only, project, running, save, save_of, step};

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    many_ids_come_back_in_the_order_asked(store).await;
    pages_hold_everything_once_newest_first(store).await;
    every_filter_filters(store).await;
    search_ranks_what_is_about_it_first(store).await;
}

async fn save_all<S: EpisodeStore>(store: &S, episodes: &[Episode]) {
    let writes = episodes.iter().map(|e| Write::Save(save_of(e, 0))).collect();
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
}

/// With unknown ids and repetitions where they were.
pub async fn many_ids_come_back_in_the_order_asked<S: EpisodeStore>(store: &S) {
    let p = project("many");
    let episodes: Vec<_> = (0..100).map(|i| running(&p, &format!("task {i}"))).collect();
    save_all(store, &episodes).await;
    let mut ids: Vec<EpisodeId> = episodes.iter().map(|e| e.id).rev().collect();
    ids.insert(50, EpisodeId::generate(NOW));
    ids.push(ids[3]);
    let got = store.get(&only(&p), &ids).await.unwrap();
    assert_eq!(got.len(), 102);
    for (at, (id, found)) in ids.iter().zip(&got).enumerate() {
        assert_eq!(found.as_ref().map(|e| e.id), (at != 50).then_some(*id), "place {at}");
    }
    assert!(store.get(&Scope::All, &[]).await.unwrap().is_empty());
}

/// Also when many began in the same microsecond.
pub async fn pages_hold_everything_once_newest_first<S: EpisodeStore>(store: &S) {
    let p = project("pages");
    let mut episodes: Vec<_> = (0..25).map(|i| running(&p, &format!("task {i}"))).collect();
    for (i, e) in (0..).zip(&mut episodes) {
        e.started_at = Timestamp(NOW.0 + i / 5);
    }
    save_all(store, &episodes).await;
    episodes.sort_by_key(|e| std::cmp::Reverse((e.started_at, e.id)));
    for limit in [1, 7, 25, 1000] {
        let mut query =
            ListQuery { scope: only(&p), filter: Filter::default(), after: None, limit };
        let mut seen = Vec::new();
        loop {
            let page = store.list(&query).await.unwrap();
            assert!(page.episodes.len() <= limit && !page.episodes.is_empty());
            seen.extend(page.episodes.iter().map(|e| (**e).clone()));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(seen, episodes, "pages of {limit}");
    }
    let query = ListQuery {
        scope: only(&p),
        filter: Filter::default(),
        after: Some("not a cursor".into()),
        limit: 1,
    };
    assert!(matches!(store.list(&query).await.unwrap_err(), Error::Invalid { .. }));
}

/// Alone and together.
pub async fn every_filter_filters<S: EpisodeStore>(store: &S) {
    let p = project("filters");
    let plain = running(&p, "plain");
    let mut rich = completed(&p, "rich", OutcomeKind::Success);
    rich.task_type = "bugfix".into();
    rich.context.domain = "web".into();
    rich.context.language = "rust".into();
    rich.started_at = Timestamp(NOW.0 + 10);
    rich.reward =
        Some(Reward { score: 0.7, source: RewardSource::User, components: Default::default() });
    rich.metadata.insert("team".into(), "core".into());
    rich.metadata.insert("run".into(), 3.into());
    let mut archived = completed(&p, "archived", OutcomeKind::Failure);
    archived.archived_at = Some(NOW);
    archived.started_at = Timestamp(NOW.0 + 20);
    save_all(store, &[plain.clone(), rich.clone(), archived.clone()]).await;

    let any = Filter::default;
    let when = |text: &str| Some(text.parse::<Condition>().unwrap());
    let cases: Vec<(Filter, Vec<EpisodeId>)> = vec![
        (any(), vec![rich.id, plain.id]),
        (Filter { include_archived: true, ..any() }, vec![archived.id, rich.id, plain.id]),
        (Filter { task_type: Some("bugfix".into()), ..any() }, vec![rich.id]),
        (Filter { domain: Some("web".into()), ..any() }, vec![rich.id]),
        (Filter { language: Some("sql".into()), ..any() }, vec![]),
        (Filter { states: vec!["running".into()], ..any() }, vec![plain.id]),
        (
            Filter { states: vec!["running".into(), "success".into()], ..any() },
            vec![rich.id, plain.id],
        ),
        (Filter { min_reward: Some(0.7), ..any() }, vec![rich.id]),
        (Filter { min_reward: Some(0.71), ..any() }, vec![]),
        (Filter { since: Some(Timestamp(NOW.0 + 10)), ..any() }, vec![rich.id]),
        (Filter { until: Some(Timestamp(NOW.0 + 10)), ..any() }, vec![plain.id]),
        (Filter { metadata: when("team = core AND run = 3"), ..any() }, vec![rich.id]),
        (Filter { metadata: when("team = core AND run = '3'"), ..any() }, vec![]),
        (
            Filter {
                task_type: Some("bugfix".into()),
                domain: Some("web".into()),
                language: Some("rust".into()),
                states: vec!["success".into()],
                min_reward: Some(0.5),
                since: Some(NOW),
                until: Some(Timestamp(NOW.0 + 11)),
                metadata: when("run > 2"),
                include_archived: true,
            },
            vec![rich.id],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(listed(store, &p, filter.clone()).await, expected, "{filter:?}");
    }
}

/// Any of the words matches; a word in the task counts more than one in a step.
pub async fn search_ranks_what_is_about_it_first<S: EpisodeStore>(store: &S) {
    let p = project("search");
    let mut mentions = completed(&p, "clean the kitchen", OutcomeKind::Success);
    mentions.steps = vec![step("step over the aardvark")];
    let about = completed(&p, "feed the aardvark", OutcomeKind::Success);
    let neither = completed(&p, "paint the fence", OutcomeKind::Success);
    save_all(store, &[mentions.clone(), about.clone(), neither.clone()]).await;
    assert_eq!(found(store, &p, "aardvark").await, [about.id, mentions.id]);
    assert_eq!(found(store, &p, "aardvark fence unheardofword").await.len(), 3);
    assert!(found(store, &p, "unheardofword").await.is_empty());
    // What looks like query syntax is just words.
    for hostile in
        ["aardvark AND NOT", "\"aardvark", "task:aardvark*", "aardvark) OR (", "NEAR(a b)"]
    {
        let terms = vec![hostile.to_owned(), "aardvark".to_owned()];
        let query = SearchQuery {
            scope: only(&p),
            terms,
            synonyms: Vec::new(),
            filter: Filter::default(),
            limit: 10,
        };
        assert!(!store.search(&query).await.unwrap().hits.is_empty(), "{hostile}");
    }

    let mut query = SearchQuery {
        scope: only(&p),
        terms: query_terms("aardvark unheardofword"),
        synonyms: Vec::new(),
        filter: Filter { states: vec!["success".into()], ..Filter::default() },
        limit: 1,
    };
    let result = store.search(&query).await.unwrap();
    assert_eq!(result.hits.iter().map(|hit| hit.id).collect::<Vec<_>>(), [about.id]);
    assert!(result.hits[0].score > 0.0);
    assert!(result.documents >= 3);
    assert_eq!(result.document_frequency.len(), 2);
    assert!(result.document_frequency[0] >= 2 && result.document_frequency[1] == 0, "{result:?}");
    query.filter.states = vec!["failure".into()];
    assert!(store.search(&query).await.unwrap().hits.is_empty());
    query.terms.clear();
    assert!(store.search(&query).await.unwrap().hits.is_empty());
    let mut archived = about.clone();
    (archived.version, archived.archived_at) = (2, Some(NOW));
    save(store, &archived, 1).await.unwrap();
    assert_eq!(found(store, &p, "aardvark").await, [mentions.id], "archived ones are not recalled");
}
