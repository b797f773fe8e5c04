//! This test binary as a process of its own, that others can kill, starve and run side by side.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use memory_core::store::Write;
use memory_core::{EpisodeStore, Error, Outcome, OutcomeKind};
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::story::{self, running, save_of, steps_of};

const FILE: &str = "MEMORY_TEST_FILE";
const WRITES: &str = "MEMORY_TEST_WRITES";

/// The project that children write to.
pub(crate) const PROJECT: &str = "children";

/// Writers in one child.
pub(crate) const WRITERS: usize = 4;

/// The command that runs a child on `file`: [`WRITERS`] writers, each with so many episodes.
pub(crate) fn command(file: &std::path::Path, writes: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "local::child::writes", "--nocapture"])
        .env(FILE, file)
        .env(WRITES, writes.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `steps of the life acknowledged, id`, from a line of a child's output.
pub(crate) fn acknowledged(line: &str) -> Option<(u64, memory_core::EpisodeId)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let version = words.next()?.parse().ok()?;
    // A line cut short by a kill does not hold a whole id.
    Some((version, words.next().filter(|id| id.len() == 36)?.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by other tests, as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the only way in through the test harness")]
async fn writes() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else {
        return;
    };
    let writes: usize = std::env::var(WRITES).unwrap().parse().unwrap();
    let store = Arc::new(TursoStore::open(TursoConfig::at(file)).await.unwrap());
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..writes {
                    if let Err(e) = live(&store, n).await {
                        println!("error {e}");
                        // Once more: the writer starts afresh, and says the same.
                        println!("again {}", live(&store, n).await.is_ok());
                        return;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let episodes = store.counts(&story::only(PROJECT)).await.unwrap().episodes;
    println!("reads {}", episodes.values().sum::<u64>());
    println!("reopened {}", store.metrics().reopened.get());
    store.close().await;
}

#[expect(clippy::print_stdout, reason = "what the parent process reads")]
/// The life of an episode; every acknowledgement is printed after it was received.
async fn live(store: &TursoStore, n: usize) -> Result<(), Error> {
    let mut e = running(PROJECT, &format!("task {n} with words of its own"));
    e.metadata.insert("n".into(), i64::try_from(n).unwrap().into());
    let id = e.id;
    let acknowledge = |version| println!("ack {version} {id}");
    story::write(store, Write::Save(save_of(&e, 0))).await?;
    acknowledge(1);
    story::write(store, Write::AppendSteps(steps_of(&e, &["one", "two"]))).await?;
    acknowledge(2);
    let mut done = (*store.get(&story::only(PROJECT), &[id]).await?.remove(0).unwrap()).clone();
    done.version = 3;
    done.outcome = Some(Outcome::new(OutcomeKind::Success, "x".repeat(2000)));
    story::write(store, Write::Save(save_of(&done, 2))).await?;
    acknowledge(3);
    Ok(())
}
