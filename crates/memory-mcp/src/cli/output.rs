//! The terminal: stdout for results, stderr for everything else. Nothing else prints.

use std::fmt::Display;
use std::io::{self, BufRead, BufWriter, IsTerminal, Stdout, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use memory_core::{OutcomeKind, Timestamp};
use serde::Serialize;

use super::Failure;

/// Titles.
pub const TITLE: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What went half well.
pub const FAIR: Style = AnsiColor::Yellow.on_default();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What can be typed.
pub const CODE: Style = AnsiColor::Cyan.on_default();

/// Width of a line where nobody can tell.
const DEFAULT_WIDTH: usize = 120;

/// Results on stdout, buffered. Styles are dropped unless it is a terminal that wants them.
pub struct Output {
    // Not locked: while serving, it is MCP that writes to stdout, from another thread.
    out: BufWriter<AutoStream<Stdout>>,
    json: bool,
}

impl Output {
    /// For people, or with `json` for programs: then each command writes one JSON document.
    pub fn stdout(json: bool) -> Self {
        Output { out: BufWriter::with_capacity(1 << 16, AutoStream::auto(io::stdout())), json }
    }

    /// True when the reader is a program.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One line.
    pub fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// An empty line.
    pub fn gap(&mut self) -> Result<(), Failure> {
        self.line("")
    }

    /// A JSON document.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        self.gap()
    }

    /// Bytes as they are, for a completion script.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    /// To be called at the end: what a `drop` writes cannot fail visibly.
    pub fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// Tells of a failure on stderr.
pub fn report(failure: &Failure) {
    if let Failure::Told { message, hint, .. } = failure {
        note("error", BAD, message);
        if let Some(hint) = hint {
            note("hint", CODE, hint);
        }
    }
}

/// A warning on stderr.
pub fn warn(message: impl Display) {
    note("warning", FAIR, message);
}

/// A line on stderr that is neither a result nor a problem.
pub fn say(line: impl Display) {
    let _ = writeln!(AutoStream::auto(io::stderr().lock()), "{line}");
}

/// Asks a question whose answer is yes or no. On stderr, so that it is seen when stdout goes
/// elsewhere; the answer is typed behind it.
pub fn agreed(question: impl Display) -> Result<bool, Failure> {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|e| Failure::failed(format!("cannot read the answer: {e}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A closed stderr is no reason to stop.
fn note(label: &str, style: Style, message: impl Display) {
    let mut stderr = AutoStream::auto(io::stderr().lock());
    let _ = writeln!(stderr, "{}: {message}", paint(style, label));
}

/// The style of an outcome, or of `running`.
pub fn outcome_style(name: &str) -> Style {
    match name.parse() {
        Ok(OutcomeKind::Success) => GOOD,
        Ok(OutcomeKind::Partial) => FAIR,
        Ok(OutcomeKind::Failure) => BAD,
        _ => DIM,
    }
}

/// A time to the second, as `2026-03-01 12:00:00`.
pub fn utc(time: Timestamp) -> String {
    time.to_string().replacen('T', " ", 1).chars().take(19).collect()
}

/// `text` in a style.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Text from an episode, safe for a terminal: control characters other than line feed and tab are
/// made visible, so that a recorded escape sequence does not run.
pub fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' => {}
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// The first `width` characters of `text` as one line, with `…` where something is left out.
pub fn one_line(text: &str, width: usize) -> String {
    let mut words = text.split_whitespace();
    let mut line = String::new();
    let mut length = 0;
    for word in words.by_ref() {
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(&plain(word));
        length += word.chars().count();
        if length > width {
            break;
        }
    }
    if line.chars().count() > width {
        line = line.chars().take(width.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

/// `text` broken into lines of at most `width` characters: the first behind `lead`, the others
/// behind as many spaces.
pub fn wrap(text: &str, lead: &str, width: usize) -> String {
    let indent = lead.chars().count();
    let room = width.saturating_sub(indent).max(20);
    let mut lines = Vec::new();
    for line in plain(text).lines() {
        let mut rest = line.trim_end();
        while rest.chars().count() > room {
            let end = rest.char_indices().nth(room).map_or(rest.len(), |(i, _)| i);
            let (head, _) = rest.split_at(end);
            let at = head.rfind(' ').filter(|at| *at > 0).unwrap_or(end);
            let (head, tail) = rest.split_at(at);
            lines.push(head.to_owned());
            rest = tail.trim_start();
        }
        lines.push(rest.to_owned());
    }
    format!("{lead}{}", lines.join(&format!("\n{:indent$}", "")))
}

/// Columns of the terminal.
pub fn width() -> usize {
    if !io::stdout().is_terminal() {
        return DEFAULT_WIDTH;
    }
    terminal_size::terminal_size().map_or(DEFAULT_WIDTH, |(w, _)| usize::from(w.0).clamp(40, 160))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n\tc"), "a\\u{1b}[2Jb\n\tc");
        assert!(!one_line("x \u{1b}]0;title\u{7}", 40).contains('\u{1b}'));
    }

    #[test]
    fn one_line_is_never_wider_than_asked() {
        assert_eq!(one_line("fix  the\nlogin test", 40), "fix the login test");
        assert_eq!(one_line("fix the login test", 10), "fix the l…");
        assert_eq!(one_line(&"é".repeat(300), 5), "éééé…");
    }

    #[test]
    fn wrapping_keeps_every_word_and_the_width() {
        let text = "the quick brown fox jumps over the lazy dog again and again\n\nnext";
        let wrapped = wrap(text, "  ", 30);
        assert!(wrapped.lines().all(|l| l.chars().count() <= 30), "{wrapped}");
        let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&wrapped), words(text));
        assert_eq!(wrap(&"x".repeat(50), "", 20).lines().count(), 3);
    }
}
