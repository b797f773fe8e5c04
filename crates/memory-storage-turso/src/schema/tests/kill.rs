//! Processes that end in the middle of a migration, and several that want it at the same time.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use memory_testkit::rounds::Rounds;

use super::*;

const FILE: &str = "MEMORY_TEST_FILE";
const NOTES_THERE: i64 = 6000;

/// This test binary as a process of its own, that brings `path` to today's schema.
fn child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "schema::tests::kill::migrates", "--nocapture"])
        .env(FILE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "run by other tests, as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the only way in through the test harness")]
async fn migrates() {
    if let Some(path) = std::env::var_os(FILE) {
        upgrade(Path::new(&path)).await.unwrap();
    }
}

/// A copy of a database that nobody has open.
fn copy_of(path: &Path, name: &str) -> PathBuf {
    let copy = path.with_file_name(name).join("memory.db");
    std::fs::create_dir(copy.parent().unwrap()).unwrap();
    std::fs::copy(path, &copy).unwrap();
    copy
}

/// Wherever the process is when it is killed: in the backup, in the steps, in the commit.
#[tokio::test]
async fn a_killed_migration_leaves_the_old_database_or_the_new_one_whole() {
    let (_directory, path) = database();
    old(&path, NOTES_THERE).await;
    let started = Instant::now();
    let timed = copy_of(&path, "timed");
    assert!(child(&timed).wait().unwrap().success());
    let whole = started.elapsed();
    assert_eq!(assert_whole(&timed, NOTES_THERE).await, 3);
    let (mut seen_old, mut seen_new, mut half_backups) = (0, 0, 0);
    let name = "a_killed_migration_leaves_the_old_database_or_the_new_one_whole";
    for mut round in Rounds::new(name, 12, 50) {
        let n = round.number;
        let copy = copy_of(&path, &format!("kill-{n}"));
        let mut child = child(&copy);
        std::thread::sleep(whole * round.random.below(1000) as u32 / 1000);
        child.kill().unwrap();
        child.wait().unwrap();
        if assert_whole(&copy, NOTES_THERE).await == 1 {
            seen_old += 1;
            half_backups += u32::from(backups(&copy).is_empty());
        } else {
            seen_new += 1;
            assert_eq!(backups(&copy), ["memory.db.schema-1.backup"]);
        }
        // What has the name of a backup is one.
        for backup in backups(&copy) {
            assert_eq!(assert_whole(&copy.with_file_name(backup), NOTES_THERE).await, 1);
        }
        upgrade(&copy).await.unwrap();
        assert_eq!(assert_whole(&copy, NOTES_THERE).await, 3);
        std::fs::remove_dir_all(copy.parent().unwrap()).unwrap();
    }
    println!(
        "kills within {whole:?}: {seen_old} at the old schema, {half_backups} of them before there \
         was a backup, {seen_new} at the new one"
    );
    assert!(seen_old > 0, "no kill came before the end");
}

#[tokio::test]
async fn of_several_processes_one_migrates() {
    let (_directory, path) = database();
    old(&path, 500).await;
    let children: Vec<Child> = (0..5).map(|_| child(&path)).collect();
    let deadline = Instant::now() + Duration::from_secs(120);
    for mut child in children {
        assert!(child.wait().unwrap().success());
        assert!(Instant::now() < deadline);
    }
    assert_eq!(assert_whole(&path, 500).await, 3);
    assert_eq!(backups(&path), ["memory.db.schema-1.backup"], "one backup, of the one change");
}
