//! Lines of a JSONL file, one at a time, each of bounded length.

use std::io::{self, BufRead, BufReader, Read};

use super::scan::Fault;

/// One line without its line feed.
#[derive(Debug)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u64,
    /// Where it begins and where the next one does, in bytes from the start of the input.
    pub(crate) span: (u64, u64),
    /// Its text.
    pub(crate) text: String,
    /// False when the file ended without a line feed: the line may be cut off.
    pub(crate) ended: bool,
}

impl Line {
    /// What is wrong with this line. At the end of a file that stops without a line feed, the
    /// reason is most likely the cut.
    pub(crate) fn fault(&self, problem: impl Into<String>) -> Fault {
        let problem = problem.into();
        let problem =
            if self.ended { problem } else { format!("the file may be cut off here: {problem}") };
        Fault { line: self.number, problem }
    }
}

/// Reads lines of at most `limit` bytes; a longer one is skipped and reported.
pub(crate) struct LineReader<R> {
    input: BufReader<R>,
    limit: usize,
    number: u64,
    offset: u64,
    failed: bool,
}

impl<R: Read> LineReader<R> {
    /// Reads `input`, whose first byte is at `offset` of the file and begins line `first`.
    pub(crate) fn new(input: R, limit: usize, offset: u64, first: u64) -> Self {
        let input = BufReader::with_capacity(64 * 1024, input);
        LineReader { input, limit, number: first - 1, offset, failed: false }
    }

    /// The next line that is not blank, or what was wrong with it. `None` at the end.
    pub(crate) fn next_line(&mut self) -> Option<Result<Line, Fault>> {
        if self.failed {
            return None;
        }
        loop {
            let line = self.read_line().unwrap_or_else(|e| {
                self.failed = true;
                Some(Err(self.fault(format!("cannot be read: {e}"))))
            })?;
            match line {
                Ok(line) if line.text.trim().is_empty() => {}
                other => return Some(other),
            }
        }
    }

    fn read_line(&mut self) -> io::Result<Option<Result<Line, Fault>>> {
        let start = self.offset;
        let mut bytes = Vec::new();
        let take = self.limit as u64 + 1;
        let read = io::Read::by_ref(&mut self.input).take(take).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.offset += read as u64;
        let ended = bytes.last() == Some(&b'\n');
        if !ended && bytes.len() > self.limit {
            drop(bytes);
            self.skip_rest()?;
            let problem =
                format!("is longer than {} MiB and was skipped", self.limit / (1024 * 1024));
            return Ok(Some(Err(self.fault(problem))));
        }
        if ended {
            bytes.pop();
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return Ok(Some(Err(self.fault("is not UTF-8 text")))),
        };
        let text = text.strip_prefix('\u{FEFF}').map(str::to_owned).unwrap_or(text);
        let span = (start, self.offset);
        Ok(Some(Ok(Line { number: self.number, span, text, ended })))
    }

    /// Skips to the next line without holding this one.
    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let held = self.input.fill_buf()?;
            let (used, done) = match held.iter().position(|&b| b == b'\n') {
                Some(at) => (at + 1, true),
                None => (held.len(), held.is_empty()),
            };
            self.input.consume(used);
            self.offset += used as u64;
            if done {
                return Ok(());
            }
        }
    }

    fn fault(&self, problem: impl Into<String>) -> Fault {
        Fault { line: self.number.max(1), problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_foreign_lines_are_reported_with_their_number_and_the_rest_is_read() {
        let input = [b"\xEF\xBB\xBFone\r\n\n".as_slice(), &[b'x'; 100], b"\n\xFF\nlast"].concat();
        let mut lines = LineReader::new(input.as_slice(), 64, 0, 1);
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line() {
            seen.push(match line {
                Ok(line) => {
                    format!("{} {:?} {} {}", line.number, line.span, line.text.trim(), line.ended)
                }
                Err(fault) => format!("{} {}", fault.line, fault.problem),
            });
        }
        let expected = [
            "1 (0, 8) one true",
            "3 is longer than 0 MiB and was skipped",
            "4 is not UTF-8 text",
            "5 (112, 116) last false",
        ];
        assert_eq!(seen, expected);
    }
}
