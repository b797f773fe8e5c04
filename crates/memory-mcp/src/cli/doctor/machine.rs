//! What can be seen without opening anything.

use std::path::{Path, PathBuf};

use memory_core::{Clock, SystemClock, Timestamp};

use super::Check;
use crate::config::{Config, DATABASE_FILE};
use crate::hook::Journal;

/// Free bytes below which there is a warning: a few months of episodes.
const LITTLE_ROOM: u64 = 1 << 30;

/// Free bytes below which writes are about to fail.
const NO_ROOM: u64 = 64 << 20;

/// Before this was written no clock was right: 2026-11-01.
const EARLIEST: Timestamp = Timestamp(1_793_491_200_000_000);

/// Sessions whose journals wait, above which something does not take them in.
const MANY_SESSIONS: usize = 20;

pub(super) fn checks(config: &Config) -> Vec<Check> {
    let dir = &config.data_dir;
    let mut checks = vec![data_dir(dir), clock(&dir.join(DATABASE_FILE))];
    checks.extend(permissions(dir));
    checks.extend(room(dir));
    checks.push(caches(&config.cache_dir()));
    checks.push(hooks(config));
    checks
}

fn data_dir(dir: &Path) -> Check {
    const NAME: &str = "data";
    if !dir.exists() {
        return Check::ok(
            NAME,
            format!("{} does not exist yet; it is made when needed", dir.display()),
        );
    }
    match tempfile::Builder::new().prefix(".doctor").tempfile_in(dir) {
        Ok(_) => Check::ok(NAME, format!("{} can be written", dir.display())),
        Err(e) => Check::fail(
            NAME,
            format!("{} cannot be written: {e}", dir.display()),
            "give it to this user, or name another with --data-dir or MEMORY_MCP_DATA_DIR",
        ),
    }
}

/// What was written in the future was written by a clock that is right, or this one is.
fn clock(database: &Path) -> Check {
    const NAME: &str = "clock";
    let now = SystemClock.now();
    if now < EARLIEST {
        return Check::fail(
            NAME,
            format!("it is {now} here"),
            "set the clock: times rank what is recalled",
        );
    }
    let written = std::fs::metadata(database).and_then(|file| file.modified()).ok();
    let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let written = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    const MINUTE: i64 = 60_000_000;
    if written > now.0.saturating_add(MINUTE) {
        let found = format!("the database was written at {}, and it is {now}", Timestamp(written));
        return Check::warn(NAME, found, "set the clock: times rank what is recalled");
    }
    Check::ok(NAME, now.to_string().chars().take(19).collect::<String>())
}

#[cfg(unix)]
fn permissions(dir: &Path) -> Option<Check> {
    use std::os::unix::fs::PermissionsExt;
    const NAME: &str = "permissions";
    if !dir.exists() {
        return None;
    }
    let open = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    // What is in a closed directory is closed.
    if open(dir) {
        let inside = std::fs::read_dir(dir).into_iter().flatten().flatten();
        paths.extend(std::iter::once(dir.to_owned()).chain(inside.map(|entry| entry.path())));
    }
    let open: Vec<String> =
        paths.iter().filter(|path| open(path)).map(|path| path.display().to_string()).collect();
    Some(match open.len() {
        0 => Check::ok(NAME, "nobody else can read the data"),
        _ => Check::warn(
            NAME,
            format!("others on this machine may look into {}", open.join(", ")),
            format!("chmod -R go= {}", dir.display()),
        ),
    })
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<Check> {
    None
}

#[cfg(target_os = "linux")]
fn room(dir: &Path) -> Option<Check> {
    const NAME: &str = "room";
    let there = dir.ancestors().find(|dir| dir.exists())?;
    let free = rustix::fs::statvfs(there).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize))?;
    let found = format!("{} free in {}", indicatif::HumanBytes(free), there.display());
    Some(match free {
        0..NO_ROOM => {
            Check::fail(NAME, found, "make room: writes are refused when the disk is full")
        }
        NO_ROOM..LITTLE_ROOM => Check::warn(NAME, found, "make room soon"),
        _ => Check::ok(NAME, found),
    })
}

#[cfg(not(target_os = "linux"))]
fn room(_: &Path) -> Option<Check> {
    None
}

fn caches(dir: &Path) -> Check {
    const NAME: &str = "cache";
    let files = memory_storage::cache_files(dir);
    let bytes: u64 =
        files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum();
    let aside = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let aside =
        aside.filter(|entry| entry.file_name().to_string_lossy().contains("damaged")).count();
    let found = format!("{} files, {}", files.len(), indicatif::HumanBytes(bytes));
    if aside > 0 {
        return Check::warn(
            NAME,
            format!("{found}; {aside} damaged ones were set aside"),
            format!("look after the disk; delete the damaged ones in {}", dir.display()),
        );
    }
    Check::ok(NAME, found)
}

fn hooks(config: &Config) -> Check {
    const NAME: &str = "hooks";
    let waiting = Journal::in_data_dir(&config.data_dir).sessions().len();
    let log = config.data_dir.join("hooks.log");
    let last = std::fs::read_to_string(&log).unwrap_or_default();
    let last = last.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_owned);
    let found = format!("{waiting} sessions recorded and not yet in the database");
    if !config.hooks.enabled {
        return Check::warn(
            NAME,
            "hooks.enabled is false: nothing is recorded",
            "remove the setting",
        );
    }
    if waiting > MANY_SESSIONS {
        let todo = "run `memory-mcp rate last good`, or any `memory-mcp import`: it takes them in";
        return Check::warn(NAME, found, todo);
    }
    match last {
        Some(last) => Check::warn(
            NAME,
            format!("{found}; the last problem: {}", crate::cli::output::one_line(&last, 160)),
            format!("read {}, and delete it when it is settled", log.display()),
        ),
        None => Check::ok(NAME, found),
    }
}
