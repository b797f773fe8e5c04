//! The long size of every test that has one: within a time budget, and on from where it was stopped.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::run;
use crate::say;

/// Minutes that a run may take when nothing is said.
const MINUTES: u64 = 60;

/// A test that has a long size: its package, its target, its name, and the path to it in the target.
pub(crate) struct Long {
    package: &'static str,
    target: &'static str,
    path: &'static str,
    /// Not begun with fewer minutes left: its rounds tell something only together.
    minutes: u64,
}

const fn long(package: &'static str, target: &'static str, path: &'static str) -> Long {
    Long { package, target, path, minutes: 0 }
}

/// The soak at work, which cannot be stopped and gone on with.
const fn whole(long: Long, minutes: u64) -> Long {
    Long { minutes, ..long }
}

/// In this order: what finds most in little time first.
#[rustfmt::skip]
pub(crate) const ALL: &[Long] = &[
    long("memory-mcp", "mcp_stdio", "kill::what_was_acknowledged_survives_kill_9"),
    long("memory-mcp", "mcp_stdio", "kill::what_a_server_acknowledged_survives_kill_9_of_the_client"),
    long("memory-mcp", "mcp_stdio", "kill::what_the_outbox_acknowledged_survives_kill_9"),
    long("memory-mcp", "mcp_stdio", "kill::an_import_cut_short_by_kill_9_is_completed_by_the_next"),
    long("memory-mcp", "mcp_stdio", "kill::a_consolidation_cut_short_by_kill_9_is_completed_by_the_next"),
    long("memory-storage", "pending", "pending::kill::acknowledged_writes_survive_the_kill_of_their_writer"),
    long("memory-storage-turso", "local", "local::kill::acknowledged_episode_survives_kill"),
    long("memory-storage-turso", "whole", "whole::kill::a_killed_restore_leaves_the_old_content_or_the_new_one_whole"),
    long("memory-storage-turso", "lib", "schema::tests::kill::a_killed_migration_leaves_the_old_database_or_the_new_one_whole"),
    long("memory-storage-turso", "local", "local::log::commits_before_the_damage_of_a_log_are_there"),
    long("memory-mcp", "mcp_stdio", "fleet::processes_on_one_directory_outlive_the_kill_of_others"),
    long("memory-storage-turso", "remote", "remote::faults::faults_in_no_order_lose_nothing_and_double_nothing"),
    long("memory-storage-turso", "remote", "remote::faults::a_fault_that_passes_costs_a_retry_and_no_error"),
    long("memory-storage-turso", "remote", "remote::faults::a_fault_that_stays_ends_every_call_in_time_with_the_right_error"),
    long("memory-mcp", "mcp_stdio", "disk::a_storage_call_that_fails_is_told_and_the_next_one_works"),
    long("memory-storage", "oracle", "no_read_differs_from_the_database"),
    long("memory-storage", "oracle", "no_read_differs_from_the_database_either"),
    long("memory-storage", "oracle", "no_read_differs_from_the_database_with_a_third_seed"),
    long("memory-storage", "oracle", "no_read_differs_from_the_database_with_a_fourth_seed"),
    long("memory-storage", "oracle", "nothing_is_asked_to_know_what_was_written_here"),
    long("memory-mcp", "fuzz", "stored::payloads"),
    long("memory-mcp", "fuzz", "stored::cache_records"),
    long("memory-mcp", "fuzz", "stored::backups"),
    long("memory-mcp", "fuzz", "text::conditions"),
    long("memory-mcp", "fuzz", "text::importers"),
    long("memory-mcp", "fuzz", "peers::mcp_messages"),
    long("memory-mcp", "fuzz", "peers::answers_of_a_server"),
    whole(long("memory-mcp", "mcp_stdio", "soak::a_memory_at_work_stays_as_it_is"), 35),
];

/// What is asked for on the command line.
pub(crate) struct Wanted<'a> {
    minutes: u64,
    fresh: bool,
    /// Tests whose name contains one of these; all when empty.
    names: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    /// `[--minutes N] [--fresh] [NAME]...`; `None`: none of it.
    pub(crate) fn of(arguments: &[&'a str]) -> Option<Self> {
        let mut wanted = Wanted { minutes: MINUTES, fresh: false, names: Vec::new() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--minutes" => wanted.minutes = rest.next()?.parse().ok()?,
                "--fresh" => wanted.fresh = true,
                option if option.starts_with('-') => return None,
                name => wanted.names.push(name),
            }
        }
        Some(wanted)
    }
}

impl Long {
    fn name(&self) -> &'static str {
        self.path.rsplit("::").next().unwrap_or(self.path)
    }

    fn is_wanted(&self, wanted: &Wanted<'_>) -> bool {
        wanted.names.is_empty() || wanted.names.iter().any(|name| self.path.contains(name))
    }

    fn command(&self, folder: &Path, left: Duration) -> Command {
        let mut command = Command::new("cargo");
        // With `-p`, dependencies would be compiled again with fewer features.
        command.args(["test", "--workspace", "--locked"]).current_dir(root());
        match self.target {
            "lib" => command.arg("--lib"),
            name => command.args(["--test", name]),
        };
        command.args(["--", "--exact", self.path, "--nocapture"]);
        command.env("TEST_LONG", folder);
        // What a test needs and cannot have is a failure, not a reason to skip it.
        command.env("CI", "1");
        // Whole minutes, and at least one: a round is not cut short.
        command.env("TEST_MINUTES", (left.as_secs() / 60).max(1).to_string());
        command
    }

    /// Rounds done and wanted, as the test keeps them itself; `None`: not begun, or without rounds.
    fn progress(&self, folder: &Path) -> Option<(u64, u64)> {
        let kept = std::fs::read_to_string(folder.join(self.name())).ok()?;
        let mut words = kept.split_whitespace().skip(1).map(|word| word.parse().ok());
        Some((words.next()??, words.next()??))
    }
}

/// Runs what is wanted and not done yet. `Ok(true)` when nothing failed, whether or not all was done.
pub(crate) fn run_long(wanted: &Wanted<'_>) -> io::Result<bool> {
    let folder = root().join("target/soak");
    if wanted.fresh && folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    forget_other_code(&folder)?;
    let end = Instant::now() + Duration::from_secs(wanted.minutes * 60);
    let (mut failed, mut lines) = (0, Vec::new());
    for test in ALL.iter().filter(|test| test.is_wanted(wanted)) {
        let passed = folder.join(format!("{}.passed", test.name()));
        let left = end.saturating_duration_since(Instant::now());
        let mut verdict = "ok";
        let mut took = 0.0;
        if !passed.exists() {
            if left.is_zero() || left < Duration::from_secs(test.minutes * 60) {
                verdict = "not begun";
                if !left.is_zero() {
                    say(&format!("{} needs {} minutes\n", test.name(), test.minutes))?;
                }
            } else {
                let mut ran = 0;
                let finished = run(&mut test.command(&folder, left), |line| {
                    ran += usize::from(line.starts_with("test result: ok. 1 passed"));
                })?;
                took = finished.took.as_secs_f64();
                // A harness that ran no test of this name has shown nothing.
                if !finished.ok || ran == 0 {
                    (verdict, failed) = ("FAILED", failed + 1);
                    // What failed begins again: its rounds have shown nothing.
                    let _ = std::fs::remove_file(folder.join(test.name()));
                } else if test.progress(&folder).is_none_or(|(done, all)| done >= all) {
                    std::fs::write(&passed, "")?;
                } else {
                    verdict = "goes on";
                }
            }
        }
        let rounds = test.progress(&folder).map(|(done, all)| format!("{done} of {all} rounds"));
        let rounds = rounds.unwrap_or_default();
        lines.push(format!(
            "{verdict:<10} {took:>7.1} s  {rounds:<24} {}: {}\n",
            test.package, test.path
        ));
    }
    say("\n")?;
    lines.iter().try_for_each(|line| say(line))?;
    if lines.is_empty() {
        say("no long test has such a name\n")?;
    }
    let failures = std::fs::read_to_string(folder.join("failures")).unwrap_or_default();
    if !failures.is_empty() {
        say(&format!("failures so far, in target/soak/failures:\n{failures}"))?;
    }
    say("run again to go on; --fresh to begin again\n")?;
    Ok(failed == 0 && !lines.is_empty())
}

/// Drops the progress of other code than this: half of a run of each shows nothing of either.
fn forget_other_code(folder: &Path) -> io::Result<()> {
    let mut git = Command::new("git");
    git.args(["rev-parse", "HEAD:crates"]).current_dir(root());
    let code = git.output()?.stdout;
    let of = folder.join("code");
    let known = std::fs::read(&of).unwrap_or_default();
    if known != code && !known.is_empty() {
        say("the code has changed since the last run: beginning again\n")?;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() && path.file_name().is_none_or(|name| name != "failures") {
                std::fs::remove_file(path)?;
            }
        }
    }
    std::fs::write(of, code)
}

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_long_test_is_in_its_package_under_its_own_name() {
        for test in ALL {
            let mut text = String::new();
            sources(&root().join("crates").join(test.package), &mut text);
            let name = test.name();
            assert!(text.contains(&format!("fn {name}()")), "{name} is not there");
            assert!(
                text.contains(&format!("\"{name}\"")) || name.starts_with("a_fault_"),
                "{name}"
            );
        }
    }

    #[test]
    fn options_are_read() {
        let wanted = Wanted::of(&["--minutes", "5", "kill", "--fresh"]).unwrap();
        assert_eq!((wanted.minutes, wanted.fresh, wanted.names), (5, true, vec!["kill"]));
        assert!(Wanted::of(&["--minutes"]).is_none() && Wanted::of(&["--what"]).is_none());
    }
}
