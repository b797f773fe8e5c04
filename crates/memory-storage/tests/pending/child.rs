//! This test binary as a process of its own, that others can kill and run side by side.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use memory_core::{EpisodeId, Memory, SystemClock};
use memory_storage::{PendingConfig, PendingStore, WhenOffline};
use memory_storage_turso::{BreakerConfig, RemoteConfig, TursoStore};

use super::world::{actions, config_of, scope, step, success, task};

const FILE: &str = "MEMORY_TEST_FILE";
const URL: &str = "MEMORY_TEST_URL";
const READ: &str = "MEMORY_TEST_READ";

/// Steps in each life that a child lives.
pub(crate) const STEPS: usize = 4;

/// The command of a child that lives one episode after the other on `file`, until it is killed.
pub(crate) fn lives(file: &Path, url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "pending::child::runs", "--nocapture"])
        .env(FILE, file)
        .env(URL, url)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// The command of a child that prints what it sees of an episode.
pub(crate) fn reads(file: &Path, url: &str, id: EpisodeId) -> Command {
    let mut command = lives(file, url);
    command.env(READ, id.to_string());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by other tests, as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the only way in through the test harness")]
async fn runs() {
    let Some(file) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let url = std::env::var(URL).unwrap();
    let pending = PendingConfig {
        when_offline: WhenOffline::Queue,
        flush_after: Duration::from_millis(100),
        ..config_of(&file)
    };
    // Quick to notice that there is no server: what is of interest is the file.
    let remote = RemoteConfig {
        warm_connections: 0,
        deadline: Duration::from_millis(500),
        breaker: BreakerConfig { failures: 1, open_for: Duration::from_secs(5) },
        ..RemoteConfig::at(&*url)
    };
    let turso = TursoStore::connect(remote).unwrap();
    let store = PendingStore::open(turso, "http://server", pending, Arc::new(SystemClock)).await;
    let memory = Memory::new(store.unwrap(), Arc::new(SystemClock));
    match std::env::var(READ) {
        Ok(id) => {
            let seen = memory.require(&scope(), id.parse().unwrap()).await.unwrap();
            println!("seen {}", actions(&seen).join(","));
        }
        Err(_) => loop {
            live(&memory).await;
        },
    }
}

/// Every acknowledgement is printed after it was received.
async fn live(memory: &Memory<PendingStore>) {
    let id = memory.start(task("a life cut short")).await.unwrap().id;
    println!("ack {id} start");
    for n in 0..STEPS {
        memory.log_steps(&scope(), id, step(&format!("step {n}")), None).await.unwrap();
        println!("ack {id} step");
    }
    memory.complete(&scope(), id, success()).await.unwrap();
    println!("ack {id} done");
}
