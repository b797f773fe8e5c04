//! Fuzzing without a compiler's help: inputs are mutated, and kept when the target says something new.
//!
//! The target tells in words what it made of an input (an error's text, a count). Numbers aside, what it
//! has not said before means a path not taken before, and the input is mutated further. So the outcomes
//! take the place of a coverage map, with the tests' own build and within its test run.

#![expect(clippy::indexing_slicing, reason = "a wrong index fails the test")]

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::generate::Random;
use crate::rounds::{self, Rounds};

/// Seconds for each target, in continuous integration and in a long run.
const SECONDS: (u64, u64) = (20, 300);

/// A target that takes longer for one input hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most memory that this process may ever have had, all targets together, in MiB.
const MAX_MEMORY: u64 = 1024;

/// Fewer inputs than this a round show nothing.
const LEAST_INPUTS: u64 = 5;

/// The longest input.
const MAX_BYTES: usize = 1 << 20;

/// Inputs kept because something new was said; more would only dilute the mutations.
const MAX_KEPT: usize = 2000;

/// Pieces that mean something in one of the formats.
const WORDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\u0000",
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "true",
    " AND ",
    " OR ",
    "NOT ",
    "(",
    "\n",
    "\u{0}",
    "\u{feff}",
    "id",
    "\"method\":",
    "''",
    "=",
];

/// Throws mutations of `corpus` at `target` for as long as the size of the run says. `cases` is a folder
/// of inputs that once failed, which come first.
///
/// Panics when the target does; ends the process when it hangs. The input is then in a file below the
/// target directory, to be put into `cases`. Panics too when this process ever had more than
/// 1,024 MiB of memory.
pub fn fuzz(
    name: &'static str,
    cases: &Path,
    corpus: Vec<Vec<u8>>,
    mut target: impl FnMut(&[u8]) -> String,
) {
    assert!(!corpus.is_empty(), "{name} has no corpus");
    let watch = Watch::start(name);
    let mut said = HashSet::new();
    let mut corpus = corpus;
    let mut run = |input: &[u8]| watch.run(input, || target(input));
    let kept = fs::read_dir(cases).into_iter().flatten().flatten();
    let old: Vec<Vec<u8>> = kept.filter_map(|entry| fs::read(entry.path()).ok()).collect();
    for input in old.iter().chain(&corpus) {
        said.insert(words_of(&run(input)));
    }
    corpus.extend(old);
    let (seeds, mut inputs, mut rounds) = (corpus.len(), 0_u64, 0);
    for mut round in Rounds::new(name, SECONDS.0, SECONDS.1) {
        let end = Instant::now() + Duration::from_secs(1);
        rounds += 1;
        while Instant::now() < end {
            let input = mutated(&corpus, &mut round.random);
            inputs += 1;
            if said.insert(words_of(&run(&input))) && corpus.len() < MAX_KEPT {
                corpus.push(input);
            }
        }
    }
    say(&format!(
        "{name}: {inputs} inputs from {seeds} seeds, {} different outcomes, no crash, no hang",
        said.len()
    ));
    assert!(inputs >= LEAST_INPUTS * rounds, "{name}: only {inputs} inputs in {rounds} seconds");
    let peak = peak_memory(std::process::id());
    assert!(peak < MAX_MEMORY, "{name}: the process had {peak} MiB");
}

/// The most memory that a process ever had, in MiB (proc(5), `VmHWM`).
///
/// Panics where there is no such process.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") / 1024
}

/// The words of an outcome: numbers, names of files and what is quoted differ with every input.
fn words_of(text: &str) -> String {
    let mut quoted = false;
    let unquoted = text.chars().filter(|c| {
        quoted ^= matches!(c, '"' | '`');
        !quoted
    });
    let unquoted: String = unquoted.collect();
    let is_word =
        |word: &&str| word.chars().all(|c| c.is_ascii_alphabetic() || ",;:()".contains(c));
    unquoted.split_whitespace().filter(is_word).take(30).collect::<Vec<_>>().join(" ")
}

fn mutated(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(4) {
        mutate(&mut input, corpus, random);
    }
    input.truncate(MAX_BYTES);
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len());
    let end = (at + 1 + random.below(16)).min(input.len());
    match random.below(10) {
        0 | 1 if !input.is_empty() => input[at] ^= 1 << random.below(8),
        2 if !input.is_empty() => {
            input[at] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'-', b'"'][random.below(8)];
        }
        // A number of several bytes.
        3 if at + 4 <= input.len() => {
            let numbers = [0, 1, u32::MAX, u32::MAX / 2, 1 << 31, 0xffff, 1 << 24, 0x0100_0000];
            input[at..at + 4].copy_from_slice(&numbers[random.below(8)].to_le_bytes());
        }
        4 if !input.is_empty() => drop(input.drain(at..end)),
        5 => input.truncate(at),
        6 if !input.is_empty() => {
            let part = input[at..end].repeat(1 + random.below(40));
            input.splice(at..at, part);
        }
        7 | 8 => {
            let word = WORDS[random.below(WORDS.len())].bytes();
            input.splice(at.min(input.len())..at.min(input.len()), word);
        }
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            let part = other[from..(from + 1 + random.below(400)).min(other.len())].to_vec();
            input.splice(at.min(input.len())..end.min(input.len()), part);
        }
    }
}

/// Notices what hangs, and writes down what fails.
struct Watch {
    name: &'static str,
    now: Arc<Mutex<Option<Input>>>,
}

/// Since when the target works on which bytes.
type Input = (Instant, Vec<u8>);

impl Watch {
    fn start(name: &'static str) -> Self {
        let now: Arc<Mutex<Option<Input>>> = Arc::default();
        let seen = Arc::downgrade(&now);
        std::thread::spawn(move || {
            while let Some(now) = seen.upgrade() {
                let now = now.lock().expect("no holder panics").clone();
                if let Some((since, input)) = now
                    && since.elapsed() > PATIENCE
                {
                    let case = format!("{name} hangs with {}\n", written(name, &input).display());
                    // Not by a macro: the harness keeps what those print, and ends with the process.
                    let _ = std::io::stderr().write_all(case.as_bytes());
                    rounds::keep_failure(&case);
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Watch { name, now }
    }

    fn run(&self, input: &[u8], target: impl FnOnce() -> String) -> String {
        *self.now.lock().expect("no holder panics") = Some((Instant::now(), input.to_vec()));
        let outcome = catch_unwind(AssertUnwindSafe(target));
        *self.now.lock().expect("no holder panics") = None;
        outcome.unwrap_or_else(|_| {
            panic!("{} fails with {}", self.name, written(self.name, input).display())
        })
    }
}

fn written(name: &str, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
    fs::create_dir_all(&folder).expect("the folder of failed inputs");
    let sum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let file = folder.join(format!("{name}-{sum:016x}"));
    fs::write(&file, input).expect("the failed input");
    file
}

#[expect(clippy::print_stdout, reason = "shown by the harness when the test fails")]
fn say(line: &str) {
    println!("{line}");
}
