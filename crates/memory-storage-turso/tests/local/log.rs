//! A log that is cut, scrambled or flipped: what was committed before the damage is there, and what was
//! damaged is said.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use memory_core::{Episode, EpisodeStore};
use memory_testkit::generate::{self, Random};
use memory_testkit::rounds::Rounds;
use memory_testkit::story::{only, save};
use tempfile::TempDir;

use super::support::{assert_sound, open};

/// Commits in the log.
const COMMITS: u64 = 25;

/// A database whose log holds everything, as a killed process leaves it.
struct Scene {
    directory: TempDir,
    /// Each episode, and the length of the log when its save was acknowledged.
    commits: Vec<(Episode, usize)>,
    log: Vec<u8>,
}

impl Scene {
    async fn set() -> Self {
        // Thousands of copies are made, and nothing is about the disk.
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        let path = directory.path().join("memory.db");
        // Closed, so that the log begins empty.
        open(&path).await.close().await;
        let store = open(&path).await;
        let mut commits = Vec::new();
        for n in 0..COMMITS {
            let episode = generate::episode(11, n, 1_500);
            save(&store, &episode, 0).await.unwrap();
            commits.push((episode, std::fs::metadata(log_of(&path)).unwrap().len() as usize));
        }
        // Before the store is closed, which would empty the log.
        let log = std::fs::read(log_of(&path)).unwrap();
        std::fs::copy(&path, directory.path().join("kept")).unwrap();
        store.close().await;
        std::fs::remove_file(&path).unwrap();
        Scene { directory, commits, log }
    }

    /// The database with this log.
    fn database(&self, log: &[u8]) -> PathBuf {
        let path = self.directory.path().join("memory.db");
        let _ = std::fs::remove_file(self.directory.path().join("memory.db-shm"));
        std::fs::copy(self.directory.path().join("kept"), &path).unwrap();
        std::fs::write(log_of(&path), log).unwrap();
        path
    }

    /// How many commits are whole in the first so many bytes.
    fn before(&self, bytes: usize) -> usize {
        self.commits.iter().filter(|(_, end)| *end <= bytes).count()
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Damages the log from some place on; says how, and the first byte that differs.
#[expect(clippy::indexing_slicing, reason = "every place is below the length of the log")]
fn spoil(log: &mut Vec<u8>, random: &mut Random) -> (&'static str, usize) {
    let at = random.below(log.len());
    match random.below(4) {
        0 => {
            log.truncate(at);
            ("cut", at)
        }
        1 => {
            let end = (at + 1 + random.below(10_000)).min(log.len());
            log[at..end].iter_mut().for_each(|byte| *byte = random.bits() as u8);
            ("scrambled", at)
        }
        2 => {
            let end = (at + 1 + random.below(10_000)).min(log.len());
            log[at..end].fill(0);
            ("zeroed", at)
        }
        _ => {
            log[at] ^= 1 << random.below(8);
            ("flipped", at)
        }
    }
}

/// What is logged by all of this process.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn listen() -> Self {
        let said = Said::default();
        let writer = said.clone();
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_max_level(tracing::Level::WARN)
            .init();
        said
    }

    /// What was said about this file since it was last asked.
    fn about(&self, path: &Path) -> String {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let name = path.display().to_string();
        text.lines().filter(|line| line.contains(&name)).map(|line| format!("{line}\n")).collect()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn commits_before_the_damage_of_a_log_are_there() {
    let scene = Scene::set().await;
    let listener = Said::listen();
    let (mut told, mut silent) = (0, 0);
    for mut round in Rounds::new("commits_before_the_damage_of_a_log_are_there", 200, 5_000) {
        let mut log = scene.log.clone();
        let (how, at) = spoil(&mut log, &mut round.random);
        let path = scene.database(&log);
        let store = open(&path).await;
        let said = listener.about(&path);
        let expected = scene.before(at);
        let ids: Vec<_> = scene.commits.iter().map(|(episode, _)| episode.id).collect();
        let found = store.get(&only("default"), &ids).await.unwrap();
        let there = found.iter().take_while(|episode| episode.is_some()).count();
        assert!(there >= expected, "{how} at {at}: {there} of {expected} commits are there");
        for ((episode, _), found) in scene.commits.iter().zip(&found) {
            assert!(found.as_ref().is_none_or(|found| **found == *episode), "{how} at {at}");
        }
        assert!(found[there..].iter().all(Option::is_none), "{how} at {at}: a gap");
        if said.is_empty() {
            // Damage that nothing is behind cannot be told from the end of the log.
            let seen = how == "cut" || there + 1 >= COMMITS as usize;
            assert!(seen, "{how} at {at}: {there} commits there and nothing said");
            silent += 1;
        } else {
            assert!(there < COMMITS as usize, "{how} at {at}: nothing is missing\n{said}");
            assert!(said.contains("memory.db-wal is damaged at byte"), "{said}");
            told += 1;
        }
        // It goes on from there.
        save(&store, &generate::episode(12, round.number, 500), 0).await.unwrap();
        store.close().await;
        assert_sound(&path).await;
    }
    println!("damage told {told} times; {silent} times it looked like the end of the log");
}
