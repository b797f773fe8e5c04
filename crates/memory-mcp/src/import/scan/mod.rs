//! Finds the borders of JSON records in a stream, holding one record at a time.
//!
//! A results file is an array or an object of records, or records one after the other, and may be
//! far larger than memory. The scanner only finds where a record ends (strings, escapes, depth),
//! checks the syntax of that piece, and hands its text on. When a record is broken it is reported
//! with its line and the scan goes on at the next place that looks like the start of a record, that
//! is, an object that begins with the same key as the records before it.

#[cfg(test)]
mod tests;
mod value;

use std::io::{self, Read};

use memchr::memmem;
use serde::de::IgnoredAny;

use value::{Fed, ValueScan, fields_named, first_key, key_before, last_before, lines_in};

/// Bytes of one record. A trajectory that repeats the whole chat at every step turns a run of a
/// megabyte into tens of them.
pub(crate) const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// Bytes read from the file at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a record's key or first field name; more is not one.
const MAX_KEY_BYTES: usize = 1024;

const NO_END: &str = "the record that begins here has no end before the next one";

/// How the records lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `[record, record]`
    Array,
    /// `{"key": record, "key": record}`
    Dict,
    /// `{"other": ..., "logs": {"key": record, "key": record}}`
    Logs,
    /// `record record`, with or without line feeds between them.
    Values,
}

/// The field under which wrapped results stand.
pub(crate) const LOGS: &str = "logs";

/// One well-formed record.
#[derive(Debug)]
pub(crate) struct Raw {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its key in an object of records.
    pub(crate) key: Option<String>,
    /// Its JSON text.
    pub(crate) text: String,
}

/// Why a record was skipped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line of the problem, from 1.
    pub(crate) line: u64,
    /// What is wrong.
    pub(crate) problem: String,
}

/// See the module.
pub(crate) struct RecordScanner<R> {
    input: R,
    shape: Shape,
    /// A field that every record has once.
    marker: &'static str,
    limit: usize,
    /// What was read and not yet consumed starts at `at`, on line `line`.
    buf: Vec<u8>,
    at: usize,
    line: u64,
    end_of_file: bool,
    opened: bool,
    closed: bool,
    /// The object around the records is open.
    wrapped: bool,
    finished: bool,
    /// The first field name of a record, in its quotes: where to pick up after a broken one.
    first_key: Option<Vec<u8>>,
    /// The most bytes that were ever held.
    #[cfg(test)]
    peak: usize,
}

/// Where scanning one value stopped.
enum Border {
    /// It is this many bytes long.
    At(usize),
    /// Its bytes cannot be JSON from here on.
    Broken(usize, &'static str),
    /// The file ended first.
    Cut,
    /// It is longer than the limit.
    TooLong(ValueScan),
}

impl<R: Read> RecordScanner<R> {
    /// Reads records of at most `limit` bytes, laid out in `shape`, each with one field `marker`.
    pub(crate) fn new(input: R, shape: Shape, marker: &'static str, limit: usize) -> Self {
        RecordScanner {
            input,
            shape,
            marker,
            limit,
            buf: Vec::new(),
            at: 0,
            line: 1,
            end_of_file: false,
            opened: false,
            closed: false,
            wrapped: false,
            finished: false,
            first_key: None,
            #[cfg(test)]
            peak: 0,
        }
    }

    /// The next record, or what was wrong with it. `None` at the end.
    pub(crate) fn next_record(&mut self) -> Option<Result<Raw, Fault>> {
        if self.finished {
            return None;
        }
        self.advance_record().unwrap_or_else(|e| {
            self.finished = true;
            Some(Err(self.fault(0, format!("cannot be read: {e}"))))
        })
    }

    fn advance_record(&mut self) -> io::Result<Option<Result<Raw, Fault>>> {
        if !self.opened {
            self.open()?;
        }
        let (end, other_end) = match self.shape {
            Shape::Array => (b']', b'}'),
            Shape::Dict | Shape::Logs => (b'}', b']'),
            Shape::Values => (0, 0),
        };
        loop {
            self.skip(|b| b.is_ascii_whitespace() || b == b',')?;
            let Some(b) = self.peek()? else {
                self.finished = true;
                let whole = self.closed && !self.wrapped || self.shape == Shape::Values;
                return Ok((!whole).then(|| {
                    Err(self.fault(0, "the file is cut off: its closing bracket is missing"))
                }));
            };
            if b == end && !self.closed {
                self.closed = true;
                self.consume(1);
            } else if self.closed && self.wrapped {
                self.close_wrapper()?;
            } else if self.closed {
                // A doubled bracket further up looks like the end: go on as if still inside.
                self.closed = false;
                return Ok(Some(Err(self.fault(0, "text after the closing bracket"))));
            } else if b == other_end {
                let fault = self.fault(0, format!("unexpected `{}`", char::from(b)));
                self.resync()?;
                return Ok(Some(Err(fault)));
            } else {
                return self.record().map(Some);
            }
        }
    }

    /// Skips a byte order mark and the opening bracket.
    fn open(&mut self) -> io::Result<()> {
        self.opened = true;
        self.skip(|b| b.is_ascii_whitespace() || matches!(b, 0xEF | 0xBB | 0xBF))?;
        if self.shape != Shape::Values && self.peek()?.is_some() {
            self.consume(1);
        }
        if self.shape == Shape::Logs {
            // From here on it is an object of records like any other.
            self.shape = Shape::Dict;
            self.wrapped = self.skip_to_logs()?;
        }
        Ok(())
    }

    /// Consumes the fields in front of the records, and the bracket that opens those. False: there
    /// are none.
    fn skip_to_logs(&mut self) -> io::Result<bool> {
        loop {
            self.skip(|b| b.is_ascii_whitespace() || b == b',')?;
            let Ok(key) = self.key()? else { return Ok(false) };
            if key == LOGS && self.peek()? == Some(b'{') {
                self.consume(1);
                return Ok(true);
            }
            let Border::At(len) = self.border()? else { return Ok(false) };
            self.consume(len);
        }
    }

    /// Consumes what stands behind the records, and the bracket that closes the object around them.
    fn close_wrapper(&mut self) -> io::Result<()> {
        loop {
            self.skip(|b| b.is_ascii_whitespace() || b == b',')?;
            if self.peek()? == Some(b'}') {
                self.consume(1);
                self.wrapped = false;
                return Ok(());
            }
            let Ok(_) = self.key()? else { break };
            let Border::At(len) = self.border()? else { break };
            self.consume(len);
        }
        self.wrapped = false;
        Ok(())
    }

    fn record(&mut self) -> io::Result<Result<Raw, Fault>> {
        let key = match self.shape {
            Shape::Dict => match self.key()? {
                Ok(key) => Some(key),
                Err(fault) => {
                    self.resync()?;
                    return Ok(Err(fault));
                }
            },
            Shape::Array | Shape::Logs | Shape::Values => None,
        };
        let start = self.line;
        match self.border()? {
            Border::At(len) => Ok(self.take(start, key, len)),
            Border::Broken(at, why) => {
                let fault =
                    self.fault(at, format!("{why}, in the record that begins on line {start}"));
                self.resync()?;
                Ok(Err(fault))
            }
            Border::Cut => Ok(Err(self.cut(start))),
            Border::TooLong(scan) => self.too_long(start, scan).map(Err),
        }
    }

    /// `"key" :` in front of a record.
    fn key(&mut self) -> io::Result<Result<String, Fault>> {
        let Border::At(len) = self.border()? else {
            return Ok(Err(self.fault(0, "a key in quotes is missing in front of the record")));
        };
        let text = self.buf.get(self.at..self.at + len).unwrap_or_default();
        let Ok(key) = serde_json::from_slice::<String>(text) else {
            return Ok(Err(self.fault(0, "a key in quotes is missing in front of the record")));
        };
        self.consume(len);
        self.skip(|b| b.is_ascii_whitespace())?;
        if self.peek()? != Some(b':') {
            return Ok(Err(self.fault(0, "a colon is missing after the key of the record")));
        }
        self.consume(1);
        self.skip(|b| b.is_ascii_whitespace())?;
        Ok(Ok(key))
    }

    /// Scans one value without consuming it.
    fn border(&mut self) -> io::Result<Border> {
        let mut scan = ValueScan::default();
        let mut len = 0;
        loop {
            while let Some(&b) = self.buf.get(self.at + len) {
                match scan.feed(b) {
                    Fed::Inside => len += 1,
                    Fed::Last => return Ok(Border::At(len + 1)),
                    Fed::After if len == 0 => return Ok(Border::Broken(0, "a value is missing")),
                    Fed::After => return Ok(Border::At(len)),
                    Fed::Broken(why) => return Ok(Border::Broken(len, why)),
                }
            }
            if len > self.limit {
                return Ok(Border::TooLong(scan));
            }
            if !self.fill()? {
                return Ok(if scan.is_bare() { Border::At(len) } else { Border::Cut });
            }
        }
    }

    /// Hands out the next `len` bytes as a record, if they are JSON.
    fn take(&mut self, line: u64, key: Option<String>, len: usize) -> Result<Raw, Fault> {
        let bytes = self.buf.get(self.at..self.at + len).unwrap_or_default();
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let fault = self.fault(e.valid_up_to(), "is not UTF-8 text");
                self.consume(len);
                return Err(fault);
            }
        };
        if let Err(e) = serde_json::from_str::<IgnoredAny>(text) {
            let line = self.line + (e.line() as u64).saturating_sub(1);
            let fault =
                Fault { line, problem: format!("is not valid JSON: {}", without_position(&e)) };
            // Two records may have become one: the second is still good.
            let to = self.find_record(self.at + 1, self.at + len).unwrap_or(self.at + len);
            self.consume(to - self.at);
            return Err(fault);
        }
        if self.shape == Shape::Dict
            && fields_named(bytes, self.marker) > 1
            && let Some(next) = self.find_record(self.at + 1, self.at + len)
        {
            // Without its closing bracket a record takes the ones behind it for fields.
            self.consume(next - self.at);
            return Err(Fault { line, problem: NO_END.to_owned() });
        }
        let raw = Raw { line, key, text: text.to_owned() };
        if self.first_key.is_none() {
            self.first_key = first_key(bytes);
        }
        self.consume(len);
        Ok(raw)
    }

    /// The file ended inside a record. When a later record hides in it, the scan goes on there.
    fn cut(&mut self, start: u64) -> Fault {
        let held = self.buf.len() - self.at;
        self.learn_first_key();
        if let Some(next) = self.find_record(self.at + 1, self.buf.len()) {
            self.consume(next - self.at);
            return Fault { line: start, problem: NO_END.to_owned() };
        }
        let fault = self.fault(
            held,
            format!("the file is cut off inside the record that begins on line {start}"),
        );
        self.consume(held);
        self.finished = true;
        fault
    }

    /// Skips a record that is too long to be held, unless a later record hides in it.
    fn too_long(&mut self, start: u64, mut scan: ValueScan) -> io::Result<Fault> {
        self.learn_first_key();
        if let Some(next) = self.find_record(self.at + 1, self.buf.len()) {
            self.consume(next - self.at);
            return Ok(Fault { line: start, problem: NO_END.to_owned() });
        }
        let problem = format!(
            "the record that begins here is longer than {} MiB and was skipped",
            self.limit / (1024 * 1024)
        );
        self.consume(self.buf.len() - self.at);
        while let Some(b) = self.peek()? {
            match scan.feed(b) {
                Fed::Inside => self.consume(1),
                Fed::Last => {
                    self.consume(1);
                    break;
                }
                Fed::After => break,
                Fed::Broken(_) => {
                    self.resync()?;
                    break;
                }
            }
        }
        Ok(Fault { line: start, problem })
    }

    /// Consumes up to the next record, or everything when there is none.
    fn resync(&mut self) -> io::Result<()> {
        self.learn_first_key();
        // The broken record's own start is not the next one.
        self.consume(1);
        loop {
            if let Some(next) = self.find_record(self.at, self.buf.len()) {
                self.consume(next - self.at);
                return Ok(());
            }
            // What may be the first half of a record's start stays.
            let keep = self.buf.len().saturating_sub(2 * MAX_KEY_BYTES).max(self.at);
            self.consume(keep - self.at);
            let held = self.buf.len() - self.at;
            if !self.fill()? {
                self.consume(held);
                return Ok(());
            }
        }
    }

    /// Without a good record so far, the first key of the broken one has to do.
    fn learn_first_key(&mut self) {
        if self.first_key.is_none() {
            self.first_key = first_key(self.buf.get(self.at..).unwrap_or_default());
        }
    }

    /// Index of the next start of a record in `from..to`: an object that begins with the known key,
    /// in an object of records with its own key in front.
    fn find_record(&self, from: usize, to: usize) -> Option<usize> {
        let name = self.first_key.as_deref()?;
        let buf = self.buf.get(..to)?;
        let mut at = from;
        while let Some(found) = buf.get(at..).and_then(|rest| memmem::find(rest, name)) {
            let quote = at + found;
            at = quote + 1;
            let colon = buf.get(quote + name.len()..)?.iter().find(|b| !b.is_ascii_whitespace());
            let Some(brace) = last_before(buf, quote).filter(|&i| buf.get(i) == Some(&b'{')) else {
                continue;
            };
            let start =
                if self.shape == Shape::Dict { key_before(buf, brace) } else { Some(brace) };
            if let (Some(b':'), Some(start)) = (colon, start.filter(|&s| s >= from)) {
                return Some(start);
            }
        }
        None
    }

    /// A fault `offset` bytes from here.
    fn fault(&self, offset: usize, problem: impl Into<String>) -> Fault {
        let passed = self.buf.get(self.at..self.at + offset).unwrap_or_default();
        Fault { line: self.line + lines_in(passed), problem: problem.into() }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.at == self.buf.len() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        Ok(self.buf.get(self.at).copied())
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) -> io::Result<()> {
        while self.peek()?.is_some_and(&skipped) {
            self.consume(1);
        }
        Ok(())
    }

    fn consume(&mut self, bytes: usize) {
        let passed = self.buf.get(self.at..self.at + bytes).unwrap_or_default();
        self.line += lines_in(passed);
        self.at = (self.at + bytes).min(self.buf.len());
    }

    /// Reads on. False at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.end_of_file {
            return Ok(false);
        }
        if self.at > 0 {
            self.buf.drain(..self.at);
            self.at = 0;
            if self.buf.len() < CHUNK_BYTES && self.buf.capacity() > 64 * CHUNK_BYTES {
                self.buf.shrink_to(2 * CHUNK_BYTES);
            }
        }
        let read = io::Read::by_ref(&mut self.input)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut self.buf)?;
        #[cfg(test)]
        {
            self.peak = self.peak.max(self.buf.len());
        }
        self.end_of_file = read == 0;
        Ok(read > 0)
    }
}

/// The message of a JSON error without its position, which is relative to the record.
pub(crate) fn without_position(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
