//! Processes that end in the middle of everything, and disks that are full.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use memory_core::{EpisodeId, EpisodeStore};
use memory_testkit::rounds::Rounds;
use memory_testkit::story::{only, running, save};

use super::child::{self, PROJECT};
use super::support::{assert_sound, database, open};

/// Every acknowledgement in a child's output: the highest version of each episode.
fn note(acknowledged: &mut HashMap<EpisodeId, u64>, output: impl std::io::Read) -> Vec<String> {
    let mut others = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        match child::acknowledged(&line) {
            Some((version, id)) => {
                acknowledged.insert(id, version);
            }
            None => others.push(line),
        }
    }
    others
}

async fn assert_present(path: &Path, acknowledged: &HashMap<EpisodeId, u64>) {
    let store = open(path).await;
    let ids: Vec<_> = acknowledged.keys().copied().collect();
    for chunk in ids.chunks(500) {
        let found = store.get(&only(PROJECT), chunk).await.unwrap();
        for (id, episode) in chunk.iter().zip(found) {
            let episode = episode.unwrap_or_else(|| panic!("acknowledged episode {id} is lost"));
            assert!(episode.version >= acknowledged[id], "a write of {id} is lost");
            let steps = if episode.version > 1 { 2 } else { 0 };
            assert_eq!(episode.steps.len(), steps, "steps of {id} at version {}", episode.version);
            assert_eq!(episode.is_running(), episode.version < 3);
        }
    }
    store.close().await;
}

#[tokio::test]
async fn acknowledged_episode_survives_kill() {
    let (_directory, path) = database();
    open(&path).await.close().await;
    let mut acknowledged = HashMap::new();
    let mut kills = 0;
    for mut round in Rounds::new("acknowledged_episode_survives_kill", 10, 50) {
        kills += 1;
        let mut process = child::command(&path, 1_000_000).spawn().unwrap();
        let output = process.stdout.take().unwrap();
        let pause = Duration::from_millis(60 + round.random.below(200) as u64);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(pause);
            process.kill().unwrap();
            process.wait().unwrap()
        });
        note(&mut acknowledged, output);
        killer.join().unwrap();
    }
    println!("{kills} kills, {} episodes acknowledged", acknowledged.len());
    assert!(acknowledged.len() > kills, "the children hardly wrote");
    assert_sound(&path).await;
    assert_present(&path, &acknowledged).await;
}

/// A file size limit stands in for the full disk: the engine gets the same error from the system.
#[cfg(unix)]
#[tokio::test]
async fn full_disk_is_told_and_loses_nothing() {
    let (_directory, path) = database();
    open(&path).await.close().await;
    // SIGXFSZ would end the process before the engine sees the error; ignored, it stays so in the
    // child. 4,000 blocks of 512 bytes: about 2 MB.
    let child = child::command(&path, 1_000_000);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""]);
    limited.arg(child.get_program()).args(child.get_args());
    for (name, value) in child.get_envs() {
        limited.env(name, value.unwrap());
    }
    let output = limited.stdin(Stdio::null()).output().unwrap();
    let mut acknowledged = HashMap::new();
    let others = note(&mut acknowledged, &output.stdout[..]);
    let errors: Vec<_> = others.iter().filter(|line| line.starts_with("error ")).collect();
    assert_eq!(errors.len(), child::WRITERS, "every writer was told: {others:#?}");
    assert!(errors.iter().all(|e| e.contains("disk")), "{errors:#?}");
    let said = |word: &str| {
        let line = others.iter().find_map(|line| line.strip_prefix(word)).unwrap();
        line.trim().parse::<usize>().unwrap()
    };
    assert!(said("reads ") >= acknowledged.len(), "reading goes on");
    assert!(said("reopened ") > 0, "the writer opened the file again");
    assert!(acknowledged.len() > 10);

    assert_present(&path, &acknowledged).await;
    let store = open(&path).await;
    save(&store, &running(PROJECT, "there is space again"), 0).await.unwrap();
    store.close().await;
    assert_sound(&path).await;
}

/// Side by side on one file: nothing refused, nothing lost.
#[tokio::test]
async fn several_processes_write_one_file() {
    const PROCESSES: usize = 3;
    const WRITES: usize = 40;
    let (_directory, path) = database();
    // They open the new file at the same moment, too.
    let processes: Vec<_> =
        (0..PROCESSES).map(|_| child::command(&path, WRITES).spawn().unwrap()).collect();
    let mut acknowledged = HashMap::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        let others = note(&mut acknowledged, &output.stdout[..]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(!others.iter().any(|line| line.starts_with("error ")), "{others:#?}");
    }
    assert_eq!(acknowledged.len(), PROCESSES * child::WRITERS * WRITES);
    assert!(acknowledged.values().all(|version| *version == 3));
    assert_present(&path, &acknowledged).await;
    assert_sound(&path).await;
}

/// Closing any handle of a file drops every lock that the process has on it (POSIX). So opening a
/// second store must not open and close the file behind the engine's back: another process would
/// take the first store for gone, and delete the log that it writes to.
#[tokio::test]
async fn second_store_in_the_process_leaves_the_locks_of_the_first() {
    let (_directory, path) = database();
    let first = open(&path).await;
    open(&path).await.close().await;
    let output = child::command(&path, 1).spawn().unwrap().wait_with_output().unwrap();
    let mut acknowledged = HashMap::new();
    note(&mut acknowledged, &output.stdout[..]);
    assert_eq!(acknowledged.len(), child::WRITERS);

    let after = running(PROJECT, "written after the other process has gone");
    save(&first, &after, 0).await.unwrap();
    acknowledged.insert(after.id, 1);
    assert_present(&path, &acknowledged).await;
    first.close().await;
    assert_present(&path, &acknowledged).await;
    assert_sound(&path).await;
}
