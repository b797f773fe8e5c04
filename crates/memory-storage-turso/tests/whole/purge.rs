//! Nothing of a forgotten episode is left in any file.

use std::path::Path;

use memory_core::envelope::{self, MAGIC};
use memory_core::store::Write;
use memory_core::{EpisodeStore, Outcome, OutcomeKind};
use memory_storage_turso::{Maintenance, TursoConfig};
use memory_testkit::generate;
use memory_testkit::story::{forget_of, get, running, save, steps_of, write};

use super::support::*;

/// Words that nothing else says; the second as the text index writes it.
const WORDS: [&str; 2] = ["xylocarpquartet", "zugzwangmarmot"];

/// Files that hold one of the words: as bytes, or in anything that opens as a payload.
fn traces(directory: &Path) -> Vec<String> {
    let holds = |bytes: &[u8]| {
        WORDS.iter().any(|word| bytes.windows(word.len()).any(|w| w == word.as_bytes()))
    };
    names(directory)
        .into_iter()
        .filter(|name| {
            let bytes = std::fs::read(directory.join(name)).unwrap();
            let payloads = (0..bytes.len()).filter(|at| bytes[*at] == MAGIC);
            holds(&bytes)
                || payloads.into_iter().any(|at| {
                    // Where it ends is in its header.
                    let Some(length) = bytes.get(at + 8..at + 12) else { return false };
                    let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
                    bytes
                        .get(at..at + envelope::HEADER_BYTES + length)
                        .and_then(|stored| envelope::open(&"x", stored).ok())
                        .is_some_and(|(_, body)| holds(body))
                })
        })
        .collect()
}

#[tokio::test]
async fn purged_text_is_in_no_file() {
    let (directory, path) = directory();
    filled(&path, 1, 200).await;
    let store = open(&path).await;
    let [first, second] = WORDS;
    let mut secret = running("default", &format!("the {first} of {second}"));
    save(&store, &secret, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&secret, &[first, second]))).await.unwrap();
    secret = (*get(&store, &secret).await.unwrap()).clone();
    secret.version = 3;
    secret.outcome = Some(Outcome::new(OutcomeKind::Success, format!("{first} found")));
    secret.metadata.insert("who".into(), second.into());
    secret.steps[0].observation = format!("{first} {second}\n").repeat(3000);
    save(&store, &secret, 2).await.unwrap();
    save(&store, &generate::episode(3, 1, 2_000), 0).await.unwrap();
    assert!(!traces(directory.path()).is_empty(), "the test looks where the text is");

    write(&store, Write::Forget(forget_of(&secret))).await.unwrap();
    assert!(!traces(directory.path()).is_empty(), "forgetting alone leaves traces");
    // Another store has the file open, as another process would.
    let database = Maintenance::open(TursoConfig::at(&path)).await.unwrap();
    database.scrub().await.unwrap();
    database.close().await;
    assert_eq!(traces(directory.path()), Vec::<String>::new());
    let kept = store.counts(&memory_core::store::Scope::All).await.unwrap();
    assert_eq!(kept.episodes.values().sum::<u64>(), 201);
    store.close().await;
    assert_eq!(traces(directory.path()), Vec::<String>::new());
}
