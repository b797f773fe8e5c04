//! Processes that end in the middle of a restore.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use memory_testkit::rounds::Rounds;

use super::support::*;

const FILE: &str = "MEMORY_TEST_FILE";
const BACKUP: &str = "MEMORY_TEST_BACKUP";

fn child(backup: &Path, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "whole::kill::restores", "--nocapture"])
        .env(FILE, path)
        .env(BACKUP, backup)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "run by other tests, as a process of its own"]
#[expect(clippy::disallowed_methods, reason = "the only way in through the test harness")]
async fn restores() {
    if let (Some(file), Some(backup)) = (std::env::var_os(FILE), std::env::var_os(BACKUP)) {
        restore(Path::new(&backup), Path::new(&file)).await.unwrap();
    }
}

/// Wherever the process is when it is killed: in the copy, in the checks, in the transaction.
#[tokio::test]
async fn a_killed_restore_leaves_the_old_content_or_the_new_one_whole() {
    let (directory, new) = directory();
    filled(&new, 2, 400).await;
    let backup = directory.path().join("new.backup");
    back_up(&new, &backup).await.unwrap();
    let old = directory.path().join("old.db");
    filled(&old, 1, 300).await;
    let (was, will_be) = (export_of(&old).await, export_of(&new).await);
    let place = |name: String| {
        let path = directory.path().join(name).join("memory.db");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::copy(&old, &path).unwrap();
        path
    };
    let timed = place("timed".into());
    let started = Instant::now();
    assert!(child(&backup, &timed).wait().unwrap().success());
    let whole = started.elapsed();
    assert!(export_of(&timed).await == will_be);

    let (mut seen_old, mut seen_new) = (0, 0);
    let name = "a_killed_restore_leaves_the_old_content_or_the_new_one_whole";
    for mut round in Rounds::new(name, 12, 50) {
        let n = round.number;
        let path = place(format!("kill-{n}"));
        let mut child = child(&backup, &path);
        std::thread::sleep(whole * round.random.below(1000) as u32 / 1000);
        child.kill().unwrap();
        child.wait().unwrap();
        let found = export_of(&path).await;
        if found == was {
            seen_old += 1;
        } else {
            assert!(found == will_be, "neither the old content nor the new one");
            seen_new += 1;
        }
        // Done again, it is done, and nothing of the first time is left.
        restore(&backup, &path).await.unwrap();
        assert!(export_of(&path).await == will_be);
        assert_eq!(names(path.parent().unwrap()), ["memory.db"]);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
    println!("kills within {whole:?}: {seen_old} with the old content, {seen_new} with the new");
    assert!(seen_old > 0, "no kill came before the end");
}
