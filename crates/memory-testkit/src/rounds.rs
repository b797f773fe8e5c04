//! How often a test repeats something, from which seed, and how far it got.
//!
//! A test that repeats has two sizes from one code path: that of continuous integration, and a long
//! one, which `cargo xtask soak` runs. This is the one place that reads which of them is asked for:
//!
//! | variable | meaning |
//! |---|---|
//! | `TEST_LONG` | the long size; names the folder where progress and failures are kept |
//! | `TEST_MINUTES` | begin no further round after so many minutes |
//! | `TEST_SEED` | the seed, to repeat a failure |
//! | `TEST_ROUND` | this round alone |
//!
//! Each round has random numbers of its own, made from the seed and its number, so that one round can
//! be repeated alone and a long run goes on where it was stopped.

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::generate::Random;

/// How often a long run says how far it is.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// The rounds of one test, to be iterated over. Prints the seed, and in a long run how far it is.
#[derive(Debug)]
pub struct Rounds {
    name: &'static str,
    seed: u64,
    /// The round that comes next.
    next: u64,
    /// The first that is not run any more.
    end: u64,
    /// One of them is under way.
    running: bool,
    until: Option<Instant>,
    folder: Option<PathBuf>,
    reported: Instant,
}

/// One round.
#[derive(Debug)]
pub struct Round {
    /// Its number, from 0.
    pub number: u64,
    /// Its random numbers.
    pub random: Random,
}

impl Rounds {
    /// So many rounds in continuous integration, so many in a long run. `name` is that of the test.
    pub fn new(name: &'static str, ci: u64, long: u64) -> Self {
        let folder = variable("TEST_LONG").map(PathBuf::from);
        let total = if folder.is_some() { long } else { ci };
        let asked = number("TEST_SEED");
        let kept = folder.as_ref().filter(|_| asked.is_none()).and_then(|folder| {
            let kept = fs::read_to_string(folder.join(name)).ok()?;
            let mut words = kept.split(' ').map(|word| word.trim().parse().ok());
            Some((words.next()??, words.next()??))
        });
        let fresh = || (asked.unwrap_or_else(random_seed), 0);
        let (seed, done) = kept.unwrap_or_else(fresh);
        let (next, end) = number("TEST_ROUND").map_or((done, total), |only| (only, only + 1));
        let until = number("TEST_MINUTES").map(|n| Instant::now() + Duration::from_secs(n * 60));
        let reported = Instant::now();
        let rounds = Rounds { name, seed, next, end, running: false, until, folder, reported };
        say(&format!("{name}: rounds {next} to {end}, TEST_SEED={seed}"));
        rounds
    }

    /// Like [`new`](Self::new) for a test whose rounds tell something only together: a long run of it
    /// begins anew each time.
    pub fn together(name: &'static str, ci: u64, long: u64) -> Self {
        let mut rounds = Rounds::new(name, ci, long);
        if number("TEST_ROUND").is_none() {
            rounds.next = 0;
        }
        rounds
    }

    /// The folder of a long run, for what goes on from one run to the next.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.as_ref()
    }

    /// Rounds from the first to the one under way, earlier runs included.
    pub fn so_far(&self) -> u64 {
        self.next
    }

    fn keep(&self) {
        // One round alone, repeated, is no progress.
        if let Some(folder) = self.folder.as_ref().filter(|_| number("TEST_ROUND").is_none()) {
            fs::create_dir_all(folder).expect("the folder of the long run");
            let kept = format!("{} {} {}\n", self.seed, self.next, self.end);
            fs::write(folder.join(self.name), kept).expect("the progress of the long run");
        }
    }
}

impl Iterator for Rounds {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        if self.running {
            self.running = false;
            self.keep();
        }
        let over = self.until.is_some_and(|until| Instant::now() >= until);
        if self.next >= self.end || over {
            if self.folder.is_some() {
                say(&format!("{}: {} of {} rounds done", self.name, self.next, self.end));
            }
            return None;
        }
        if self.folder.is_some() && self.reported.elapsed() > REPORT_EVERY {
            self.reported = Instant::now();
            say(&format!("{}: {} of {} rounds done", self.name, self.next, self.end));
        }
        let number = self.next;
        self.next += 1;
        self.running = true;
        let seed = self.seed ^ number.wrapping_mul(0xA24B_AED4_963E_E407);
        Some(Round { number, random: Random::new(seed) })
    }
}

impl Drop for Rounds {
    /// A round that failed is told, and kept with what it takes to repeat it.
    fn drop(&mut self) {
        if !std::thread::panicking() || !self.running {
            return;
        }
        let Rounds { name, seed, next, .. } = self;
        let long = if is_long() { "TEST_LONG=target/soak " } else { "" };
        let case = format!("{long}TEST_SEED={seed} TEST_ROUND={} in {name}\n", *next - 1);
        say(&format!("failed, to be repeated alone with {case}"));
        keep_failure(&case);
    }
}

/// Keeps a line about what failed, in a long run.
pub fn keep_failure(line: &str) {
    if let Some(folder) = variable("TEST_LONG").map(PathBuf::from) {
        let file = fs::File::options().create(true).append(true).open(folder.join("failures"));
        // The test fails in any case; a panic in a panic would hide why.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// `ci`, or in a long run `long`: a number that is no number of rounds.
pub fn size(ci: usize, long: usize) -> usize {
    if is_long() { long } else { ci }
}

/// True in a long run.
pub fn is_long() -> bool {
    variable("TEST_LONG").is_some()
}

/// Random numbers from a seed that is printed, for a test without rounds.
pub fn random(test: &str) -> Random {
    let seed = number("TEST_SEED").unwrap_or_else(random_seed);
    say(&format!("{test}: TEST_SEED={seed}"));
    Random::new(seed)
}

fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

fn number(name: &str) -> Option<u64> {
    let value = variable(name)?;
    Some(value.parse().unwrap_or_else(|e| panic!("{name}={value:?}: {e}")))
}

#[expect(clippy::disallowed_methods, reason = "the test kit is where tests learn what is asked")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::print_stdout, reason = "shown by the harness when the test fails")]
fn say(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(next: u64, folder: Option<PathBuf>) -> Rounds {
        let mut rounds = Rounds::new("these", 0, 0);
        (rounds.seed, rounds.next, rounds.end, rounds.folder) = (7, next, 5, folder);
        rounds
    }

    #[test]
    fn rounds_have_numbers_of_their_own_that_depend_on_the_seed_alone() {
        let drawn = |next| rounds(next, None).map(|mut r| r.random.bits()).collect::<Vec<_>>();
        let all = drawn(0);
        assert_eq!(all.len(), 5);
        assert_eq!(all, drawn(0));
        assert_eq!(all[2..], drawn(2));
        assert!(all[0] != all[1] && all[1] != all[2]);
    }

    #[test]
    fn a_long_run_goes_on_where_it_was_stopped() {
        let folder = tempfile::tempdir().unwrap();
        // Three were begun, so two were ended.
        assert_eq!(rounds(0, Some(folder.path().to_owned())).take(3).count(), 3);
        assert_eq!(fs::read_to_string(folder.path().join("these")).unwrap(), "7 2 5\n");
    }
}
