//! Files that are no backups, or no longer, or meant to do harm: a clear error, nothing changed,
//! nothing written outside of the database's directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memory_core::Error;
use memory_testkit::generate::Random;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::support::*;

/// A database to be left alone, and a backup of another one to be spoilt.
struct Scene {
    directory: TempDir,
    path: PathBuf,
    before: String,
    backup: Vec<u8>,
}

impl Scene {
    async fn set() -> Self {
        let (directory, path) = directory();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        filled(&path, 2, 12).await;
        let file = directory.path().join("good.backup");
        back_up(&path, &file).await.unwrap();
        let backup = std::fs::read(&file).unwrap();
        let path = data.join("memory.db");
        filled(&path, 1, 5).await;
        let before = export_of(&path).await;
        Scene { directory, path, before, backup }
    }

    fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.directory.path().join("bad.backup");
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The refusal of `backup`, after which everything is as it was.
    async fn refused(&self, backup: &Path) -> String {
        let outside = names(self.directory.path());
        let told = tokio::time::timeout(Duration::from_secs(60), restore(backup, &self.path))
            .await
            .expect("an answer");
        let told = match told.unwrap_err() {
            e @ (Error::Refused { .. } | Error::Corrupt { .. }) => e.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(export_of(&self.path).await, self.before);
        assert_eq!(names(self.directory.path()), outside, "something was written outside");
        assert_eq!(names(self.path.parent().unwrap()), ["memory.db"]);
        told
    }
}

/// Seals pages as a backup is sealed: what somebody can do who means harm.
fn sealed(pages: &[u8]) -> Vec<u8> {
    let length = (pages.len() as u64).to_le_bytes();
    [pages, b"memory-mcp seal1", &length, &Sha256::digest(pages)].concat()
}

fn pages(backup: &[u8]) -> Vec<u8> {
    backup[..backup.len() - 56].to_vec()
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_noticed() {
    let scene = Scene::set().await;
    let mut random = Random::new(5);
    let length = scene.backup.len();
    let ends = [0, 18, 24, 100, length - 1, length - 33, length - 41, length - 57];
    for n in 0..40 {
        let at = ends.get(n).copied().unwrap_or_else(|| random.below(length));
        let mut flipped = scene.backup.clone();
        flipped[at] ^= 1 << random.below(8);
        let told = scene.refused(&scene.file(&flipped)).await;
        assert!(told.contains("nothing was changed"), "byte {at}: {told}");
    }
}

#[tokio::test]
async fn a_backup_that_is_cut_off_or_longer_is_noticed() {
    let scene = Scene::set().await;
    let length = scene.backup.len();
    for keep in [0, 1, 55, 56, 57, 4096, length / 2, length - 4096, length - 56, length - 1] {
        scene.refused(&scene.file(&scene.backup[..keep])).await;
    }
    scene.refused(&scene.file(&[&scene.backup[..], b"x"].concat())).await;
    scene.refused(&scene.file(&[&scene.backup[..], &scene.backup].concat())).await;
}

#[tokio::test]
async fn what_is_no_backup_is_refused() {
    let scene = Scene::set().await;
    let other = |content: &[u8]| scene.file(content);
    assert!(scene.refused(&other(b"")).await.contains("is too short"));
    let text = "just a note\n".repeat(100);
    assert!(
        scene.refused(&other(text.as_bytes())).await.contains("no backup made by this program")
    );
    let plain = pages(&scene.backup);
    let told = scene.refused(&other(&plain)).await;
    assert!(told.contains("no seal at its end"), "{told}");
    assert!(told.contains("memory-mcp copy --from"), "{told}");
    let missing = scene.directory.path().join("missing");
    assert!(scene.refused(&missing).await.contains("missing cannot be read"));
    assert!(scene.refused(scene.directory.path()).await.contains("no regular file"));
    let climbing = scene.directory.path().join("data/../../../../../../etc/hostname");
    scene.refused(&climbing).await;
}

#[cfg(unix)]
#[tokio::test]
async fn devices_pipes_and_links_to_them_are_refused_without_waiting() {
    let scene = Scene::set().await;
    let pipe = scene.directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert!(scene.refused(&pipe).await.contains("no regular file"));
    for device in ["/dev/zero", "/dev/null"] {
        assert!(scene.refused(Path::new(device)).await.contains("no regular file"));
        let link = scene.directory.path().join("link");
        std::os::unix::fs::symlink(device, &link).unwrap();
        assert!(scene.refused(&link).await.contains("no regular file"));
        std::fs::remove_file(&link).unwrap();
    }
}

/// Sealed by whoever means harm, so that the checksum is right.
#[tokio::test]
async fn a_sealed_database_of_another_kind_is_refused() {
    let scene = Scene::set().await;
    let spoil = async |sql: &[&str]| {
        let path = scene.directory.path().join("spoilt.db");
        std::fs::write(&path, pages(&scene.backup)).unwrap();
        let database = libsql::Builder::new_local(&path).build().await.unwrap();
        let connection = database.connect().unwrap();
        for sql in sql {
            connection.execute(sql, ()).await.unwrap();
        }
        drop((connection, database));
        let spoilt = sealed(&std::fs::read(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        scene.refused(&scene.file(&spoilt)).await
    };
    let drop_all = "CREATE TRIGGER harm AFTER INSERT ON changes BEGIN DELETE FROM episodes; END";
    assert!(spoil(&[drop_all]).await.contains("trigger harm"));
    let bomb = "CREATE VIEW bomb AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) \
                SELECT * FROM n";
    assert!(spoil(&[bomb]).await.contains("view bomb"));
    assert!(spoil(&["CREATE TABLE \"../../x\" (y)"]).await.contains("../../x"));
    assert!(spoil(&["DROP INDEX episodes_by_start"]).await.contains("episodes_by_start"));
    let newer = "INSERT INTO migrations (n, name, checksum) VALUES (99, 'x', 'y')";
    assert!(spoil(&[newer]).await.contains("upgrade memory-mcp"));
    assert!(spoil(&["UPDATE migrations SET checksum = 'x'"]).await.contains("another version"));
    assert!(spoil(&["DROP TABLE migrations"]).await.contains("another program"));
    spoil(&["DELETE FROM meta"]).await;
    let words = "UPDATE episode_text_data SET block = zeroblob(length(block)) WHERE id > 10";
    assert!(spoil(&[words]).await.contains("not fit together"));
    let bookmarks = scene.directory.path().join("bookmarks.db");
    let database = libsql::Builder::new_local(&bookmarks).build().await.unwrap();
    database.connect().unwrap().execute("CREATE TABLE bookmarks (url TEXT)", ()).await.unwrap();
    drop(database);
    let content = sealed(&std::fs::read(&bookmarks).unwrap());
    std::fs::remove_file(&bookmarks).unwrap();
    assert!(scene.refused(&scene.file(&content)).await.contains("another program"));
}

#[tokio::test]
async fn sealed_pages_that_do_not_fit_together_are_refused() {
    let scene = Scene::set().await;
    let mut random = Random::new(9);
    let good = pages(&scene.backup);
    let (mut refused, mut restored) = (0, 0);
    for _ in 0..25 {
        let mut spoilt = good.clone();
        // A whole page of nonsense, the first one spared: that it is no database is another test.
        let page = 1 + random.below(good.len() / 4096 - 1);
        for byte in &mut spoilt[page * 4096..(page + 1) * 4096] {
            *byte = random.bits() as u8;
        }
        let file = scene.file(&sealed(&spoilt));
        // A page of nothing but payload may be any bytes: then each reader of it will tell.
        match unpacked(&file, scene.path.parent().unwrap()).await {
            Ok(_) => restored += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(names(scene.path.parent().unwrap()), ["memory.db"]);
    }
    println!("{refused} refused, {restored} of payload pages alone");
    assert!(refused > restored);
}

/// A size that is not there, and one that is, but made of nothing.
#[cfg(unix)]
#[tokio::test]
async fn a_bomb_does_not_go_off() {
    let scene = Scene::set().await;
    // The header claims 2^32 pages; the seal is right about the file.
    let mut claims = pages(&scene.backup);
    claims[28..32].copy_from_slice(&[0xFF; 4]);
    scene.refused(&scene.file(&sealed(&claims))).await;
    // A terabyte of holes with a seal that is wrong about it.
    let file = scene.file(b"");
    let hole = std::fs::File::options().write(true).open(&file).unwrap();
    if hole.set_len(1 << 40).is_ok() {
        assert!(scene.refused(&file).await.contains("no seal at its end"));
    }
}

/// A journal beside it would be rolled back by the engine, and may name files to be deleted.
#[tokio::test]
async fn what_lies_beside_a_backup_is_not_looked_at() {
    let scene = Scene::set().await;
    let good = scene.directory.path().join("good.backup");
    for name in ["good.backup-journal", "good.backup-wal", "good.backup-shm"] {
        let harm = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7\xff\xff\xff\xff../../memory.db".repeat(64);
        std::fs::write(scene.directory.path().join(name), harm).unwrap();
    }
    let outside = names(scene.directory.path());
    restore(&good, &scene.path).await.unwrap();
    assert_eq!(names(scene.directory.path()), outside);
    assert_eq!(export_of(&scene.path).await.lines().count(), 12);
}
