//! Searches with more matches than are weighed: what is left out must not be what is looked for.

use memory_core::store::{Filter, SearchQuery, SearchResult, Write};
use memory_core::{Episode, EpisodeId, EpisodeStore, OutcomeKind};
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::story::{completed, only, save_of};

use super::support::database;

const WEIGHED: usize = 40;

const VERBS: [&str; 5] = ["paint", "clean", "repair", "measure", "sell"];
const THINGS: [&str; 8] = ["fence", "roof", "lamp", "boat", "bridge", "wagon", "stove", "clock"];
const PLACES: [&str; 5] = ["harbour", "village", "castle", "market", "island"];

/// One of every combination, three times over, oldest first; each also has a number of its own.
fn tasks() -> Vec<String> {
    let mut tasks = Vec::new();
    for round in 0..3 {
        for verb in VERBS {
            for thing in THINGS {
                for place in PLACES {
                    let number = 7000 + tasks.len();
                    tasks.push(format!("{verb} the {thing} of the {place} round{round} {number}"));
                }
            }
        }
    }
    tasks
}

struct World {
    _directory: tempfile::TempDir,
    pruning: TursoStore,
    complete: TursoStore,
    episodes: Vec<Episode>,
}

async fn world(extra: Vec<Episode>) -> World {
    let (directory, path) = database();
    let config = |weighed_matches| TursoConfig { weighed_matches, ..TursoConfig::at(&path) };
    let pruning = TursoStore::open(config(WEIGHED)).await.unwrap();
    let complete = TursoStore::open(config(1_000_000)).await.unwrap();
    let mut episodes: Vec<Episode> =
        tasks().iter().map(|task| completed("big", task, OutcomeKind::Success)).collect();
    episodes.extend(extra);
    let saves = episodes.iter().map(|e| Write::Save(save_of(e, 0))).collect();
    assert!(pruning.write(saves).await.unwrap().iter().all(Result::is_ok));
    World { _directory: directory, pruning, complete, episodes }
}

async fn search(store: &TursoStore, project: &str, words: &str, limit: usize) -> SearchResult {
    let terms = memory_core::recall::text::query_terms(words);
    let query = SearchQuery {
        scope: only(project),
        terms,
        synonyms: Vec::new(),
        filter: Filter::default(),
        limit,
    };
    store.search(&query).await.unwrap()
}

fn ids(found: &SearchResult) -> Vec<EpisodeId> {
    found.hits.iter().map(|hit| hit.id).collect()
}

/// A number that one episode has, and words that hundreds have: what has both comes first, as when
/// everything is weighed.
#[tokio::test]
async fn every_episode_is_found_by_its_own_words() {
    let world = world(Vec::new()).await;
    for episode in world.episodes.iter().step_by(7) {
        let words = &episode.task_description;
        let (few, all) = (
            search(&world.pruning, "big", words, 10).await,
            search(&world.complete, "big", words, 10).await,
        );
        assert_eq!(few.hits[0].id, episode.id, "{words}");
        assert_eq!(few.hits[0].id, all.hits[0].id, "{words}");
    }
}

/// Every word is in a hundred episodes or so, and three have them all: those three, however old.
#[tokio::test]
async fn common_words_find_where_they_meet() {
    let world = world(Vec::new()).await;
    for (verb, thing, place) in
        [("paint", "fence", "harbour"), ("sell", "clock", "island"), ("clean", "boat", "market")]
    {
        let words = format!("{verb} the {thing} of the {place}");
        let mut best = ids(&search(&world.pruning, "big", &words, 3).await);
        best.sort();
        let has_all = |e: &&Episode| e.task_description.starts_with(&words);
        let mut expected: Vec<_> = world.episodes.iter().filter(has_all).map(|e| e.id).collect();
        expected.sort();
        assert_eq!(best, expected, "{words}");
    }
}

/// Where nothing is rare and nothing meets, there still is an answer, of what matches.
#[tokio::test]
async fn one_common_word_finds_the_newest() {
    let world = world(Vec::new()).await;
    let found = search(&world.pruning, "big", "paint", 10).await;
    assert_eq!(found.hits.len(), 10);
    let newest: Vec<_> = world.episodes.iter().rev().map(|e| e.id).collect();
    for id in ids(&found) {
        let place = newest.iter().position(|n| *n == id).unwrap();
        let task = &world.episodes[world.episodes.len() - 1 - place].task_description;
        assert!(task.contains("paint"), "{task}");
    }
}

/// What is common in the others' projects is all that a small project has.
#[tokio::test]
async fn a_small_project_is_searched_for_every_word() {
    let small: Vec<_> = VERBS
        .iter()
        .map(|verb| {
            completed("small", &format!("{verb} the lamp of the castle"), OutcomeKind::Failure)
        })
        .collect();
    // A word that is rare and only elsewhere.
    let elsewhere = completed("big", "paint the zeppelin", OutcomeKind::Success);
    let world = world([small, vec![elsewhere]].concat()).await;
    let found = search(&world.pruning, "small", "paint the zeppelin of the castle", 10).await;
    assert_eq!(found.hits.len(), VERBS.len());
    let all = search(&world.complete, "small", "paint the zeppelin of the castle", 10).await;
    assert_eq!(ids(&found), ids(&all));
}

/// Exact for what is rare; about right for what is not.
#[tokio::test]
async fn document_frequencies_are_exact_up_to_what_is_weighed() {
    let world = world(Vec::new()).await;
    let words = "paint fence 7001 unheardofword";
    let few = search(&world.pruning, "big", words, 5).await;
    let all = search(&world.complete, "big", words, 5).await;
    assert_eq!(all.document_frequency, [120, 75, 1, 0]);
    assert_eq!(few.documents, 600);
    assert_eq!(few.document_frequency[2..], [1, 0]);
    for (about, exact) in few.document_frequency.iter().zip(&all.document_frequency).take(2) {
        assert!((exact / 4..=exact * 4).contains(about), "{about} for {exact}");
    }
}
