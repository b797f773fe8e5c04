//! Conditions on metadata, as the database decides them and as the domain says.

use std::collections::BTreeMap;

use memory_core::condition::Comparison;
use memory_core::store::{Filter, ListQuery, SearchQuery, Write};
use memory_core::{Condition, Episode, EpisodeId, EpisodeStore, MetadataValue, Timestamp};

use super::{NOW, listed, only, project, running, save_of};
use crate::generate::Random;

/// The chapter.
pub async fn tell<S: EpisodeStore>(store: &S) {
    conditions_find_what_they_say(store).await;
    numbers_are_compared_exactly(store).await;
    pages_of_a_condition_hold_everything_once(store).await;
    hostile_metadata_is_found_as_it_is(store).await;
}

async fn saved<S: EpisodeStore>(
    store: &S,
    project: &str,
    metadata: Vec<BTreeMap<String, MetadataValue>>,
) -> Vec<Episode> {
    let episode = |(i, metadata)| {
        let mut episode = running(project, "zebra");
        episode.started_at = Timestamp(NOW.0 + i);
        episode.metadata = metadata;
        episode
    };
    let episodes: Vec<Episode> = (0..).zip(metadata).map(episode).collect();
    let writes = episodes.iter().map(|e| Write::Save(save_of(e, 0))).collect();
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
    episodes
}

fn values() -> Vec<MetadataValue> {
    let big = 1_i64 << 53;
    let texts = ["", "a", "ab", "abc", "b", "B", "1", "true", "\u{e9}", "\u{1F600}", "\u{10ffff}"];
    let reals = [-0.0, 0.5, 1.0, 1.5, -1e300, 1e300, big as f64, i64::MAX as f64, 5e-324];
    let integers = [0, 1, -1, 2, big, big + 1, big - 1, i64::MIN, i64::MAX];
    let mut values = vec![MetadataValue::Boolean(true), MetadataValue::Boolean(false)];
    values.extend(texts.map(MetadataValue::from));
    values.extend(reals.map(MetadataValue::Real));
    values.extend(integers.map(MetadataValue::from));
    values
}

/// The keys that random conditions and metadata draw from.
const KEYS: [&str; 4] = ["a", "b", "c", "two words"];

fn random_term(random: &mut Random, values: &[MetadataValue]) -> Condition {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let key = random.pick(&KEYS).to_owned();
    let value = values[random.below(values.len())].clone();
    match (random.below(8), value) {
        (0, _) => Condition::Exists { key },
        (1, MetadataValue::Text(prefix)) => Condition::StartsWith { key, prefix },
        (2 | 3, value @ MetadataValue::Boolean(_)) => {
            Condition::Compare { key, how: NotEqual, value }
        }
        (_, value @ MetadataValue::Boolean(_)) => Condition::equals(key, value),
        (n, value) => {
            let how = [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual][n % 6];
            Condition::Compare { key, how, value }
        }
    }
}

fn random_condition(random: &mut Random, values: &[MetadataValue], depth: usize) -> Condition {
    let part = |random: &mut Random| random_condition(random, values, depth - 1);
    match random.below(if depth == 0 { 1 } else { 4 }) {
        0 => random_term(random, values),
        1 => Condition::All((0..=random.below(3)).map(|_| part(random)).collect()),
        2 => Condition::Any((0..=random.below(3)).map(|_| part(random)).collect()),
        _ => Condition::Not(Box::new(part(random))),
    }
}

/// A hundred random conditions over every kind of value, listed and searched.
pub async fn conditions_find_what_they_say<S: EpisodeStore>(store: &S) {
    let p = project("conditions");
    let (mut random, values) = (Random::new(0xC0DE), values());
    let mut some_values = |_| {
        let one = |key: &str, random: &mut Random| {
            (key.to_owned(), values[random.below(values.len())].clone())
        };
        let chosen = KEYS.iter().filter(|_| random.below(3) > 0).copied().collect::<Vec<_>>();
        chosen.into_iter().map(|key| one(key, &mut random)).collect()
    };
    let metadata = (0..90).map(&mut some_values).collect();
    let mut episodes = saved(store, &p, metadata).await;
    episodes.reverse();

    for _ in 0..100 {
        let condition = random_condition(&mut random, &values, 3);
        if condition.validate().is_err() {
            continue;
        }
        let matching = episodes.iter().filter(|e| condition.matches(&e.metadata));
        let expected: Vec<EpisodeId> = matching.map(|e| e.id).collect();
        let filter = Filter { metadata: Some(condition.clone()), ..Filter::default() };
        assert_eq!(listed(store, &p, filter.clone()).await, expected, "{condition:?}");
        let terms = vec!["zebra".to_owned()];
        let query =
            SearchQuery { scope: only(&p), terms, synonyms: Vec::new(), filter, limit: 1000 };
        let hits = store.search(&query).await.unwrap().hits;
        let mut found: Vec<EpisodeId> = hits.iter().map(|hit| hit.id).collect();
        found.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(found, expected, "searched: {condition:?}");
    }
}

/// Each value finds itself, and what is equal to it, alone.
pub async fn numbers_are_compared_exactly<S: EpisodeStore>(store: &S) {
    let p = project("exactly");
    let values = values();
    let metadata = values.iter().map(|v| [("v".to_owned(), v.clone())].into()).collect();
    let mut episodes = saved(store, &p, metadata).await;
    episodes.reverse();
    for value in &values {
        let condition = Condition::equals("v", value.clone());
        let equal = episodes.iter().filter(|e| condition.matches(&e.metadata)).map(|e| e.id);
        let expected: Vec<EpisodeId> = equal.collect();
        assert!(!expected.is_empty());
        let filter = Filter { metadata: Some(condition), ..Filter::default() };
        assert_eq!(listed(store, &p, filter).await, expected, "{value:?}");
    }
}

/// Whichever way the database takes, also when many began in the same microsecond.
pub async fn pages_of_a_condition_hold_everything_once<S: EpisodeStore>(store: &S) {
    let p = project("condition-pages");
    let of = |i: i64| {
        let even = MetadataValue::Boolean(i % 2 == 0);
        [
            ("even".to_owned(), even),
            ("n".to_owned(), i.into()),
            ("level".to_owned(), (i % 4).into()),
        ]
        .into()
    };
    let mut episodes: Vec<Episode> = Vec::new();
    for i in 0..60 {
        let mut episode = running(&p, "task");
        (episode.started_at, episode.metadata) = (Timestamp(NOW.0 + i / 7), of(i));
        episodes.push(episode);
    }
    let writes = episodes.iter().map(|e| Write::Save(save_of(e, 0))).collect();
    for result in store.write(writes).await.unwrap() {
        result.unwrap();
    }
    episodes.sort_by_key(|e| std::cmp::Reverse((e.started_at, e.id)));
    for text in [
        "even = true",
        "n >= 10",
        "even = true AND n < 40",
        "n < 5 OR n > 50",
        "n EXISTS",
        // Of few values, those that are not asked for on either side.
        "level > 0 AND level <= 2",
        "level EXISTS AND NOT n < 40",
        "level > 0 AND level != 2 AND n >= 2",
        "level > 7",
    ] {
        let condition: Condition = text.parse().unwrap();
        let matching = episodes.iter().filter(|e| condition.matches(&e.metadata)).map(|e| e.id);
        let expected: Vec<EpisodeId> = matching.collect();
        for limit in [1, 7, 100] {
            let filter = Filter { metadata: Some(condition.clone()), ..Filter::default() };
            let mut query = ListQuery { scope: only(&p), filter, after: None, limit };
            let mut seen = Vec::new();
            loop {
                let page = store.list(&query).await.unwrap();
                seen.extend(page.episodes.iter().map(|e| e.id));
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{text}, pages of {limit}");
        }
    }
}

/// Keys and values that would mean something to SQL, JSON or a shell are text like any other.
pub async fn hostile_metadata_is_found_as_it_is<S: EpisodeStore>(store: &S) {
    let p = project("hostile");
    let long = "x".repeat(memory_core::episode::limits::MAX_METADATA_BYTES);
    let hostile = [
        "'; DROP TABLE episodes; --",
        "' OR '1'='1",
        "\"key\"",
        "$.a[0].b",
        "$",
        "[*]",
        "?1",
        ":name",
        "%_%",
        "\\",
        "null",
        "\u{1F600}\u{200d}\u{1F525}",
        "\u{202e}abc",
        "line\nbreak\ttab",
        " leading and trailing ",
        long.as_str(),
    ];
    let metadata = hostile.map(|h| [(h.to_owned(), MetadataValue::from(h))].into()).to_vec();
    let episodes = saved(store, &p, metadata).await;
    for (text, episode) in hostile.iter().zip(&episodes) {
        let key = || (*text).to_owned();
        let conditions = [
            Condition::equals(*text, *text),
            Condition::StartsWith { key: key(), prefix: text.chars().take(3).collect() },
            Condition::Exists { key: key() },
        ];
        for condition in conditions {
            let filter = Filter { metadata: Some(condition.clone()), ..Filter::default() };
            assert_eq!(listed(store, &p, filter).await, [episode.id], "{condition:?}");
        }
        let stored = store.get(&only(&p), &[episode.id]).await.unwrap();
        assert_eq!(stored[0].as_ref().unwrap().metadata, episode.metadata);
    }
    // What cannot be stored is refused by name, and nothing of it is written.
    let mega = "x".repeat(1 << 20);
    for (key, value) in [("", "v"), ("k\0", "v"), ("k", "v\0"), (&mega, "v"), ("k", &mega)] {
        let mut episode = running(&p, "task");
        episode.metadata.insert(key.to_owned(), value.into());
        let refused = store.write(vec![Write::Save(save_of(&episode, 0))]).await.unwrap();
        let told = refused[0].as_ref().unwrap_err().to_string();
        assert!(told.contains("metadata") && told.len() < 400, "{told}");
        let filter = Filter { metadata: Some(Condition::equals(key, value)), ..Filter::default() };
        let query = ListQuery { scope: only(&p), filter, after: None, limit: 10 };
        let told = store.list(&query).await.unwrap_err().to_string();
        assert!(told.starts_with("where: ") && told.len() < 400, "{told}");
    }
    assert_eq!(listed(store, &p, Filter::default()).await.len(), hostile.len());
}
