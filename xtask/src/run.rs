//! One command: announced, its output passed through line by line, its result and duration.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::say;

/// How a command ended.
pub(crate) struct Finished {
    pub(crate) ok: bool,
    pub(crate) took: Duration,
}

/// Runs `command`, hands every line of its stdout to `see` and prints it too. Stderr is inherited.
///
/// A command that cannot be started counts as failed, with a line that says why.
pub(crate) fn run(command: &mut Command, mut see: impl FnMut(&str)) -> io::Result<Finished> {
    say(&format!("\n$ {}\n", line_of(command)))?;
    let started = Instant::now();
    let mut child = match command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            say(&format!("cannot start {:?}: {error}\n", command.get_program()))?;
            return Ok(Finished { ok: false, took: started.elapsed() });
        }
    };
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        // Bytes, not `lines()`: a test may print what is not UTF-8.
        while lines.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            see(text.trim_end());
            say(&text)?;
            line.clear();
        }
    }
    Ok(Finished { ok: child.wait()?.success(), took: started.elapsed() })
}

/// The command as one would type it, for the reader to repeat.
fn line_of(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        Some(format!("{}={:?}", name.to_string_lossy(), value?.to_string_lossy()))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy().into_owned());
    settings.chain(words).collect::<Vec<_>>().join(" ")
}
