//! Which lines of which files belong to which session.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::entry::Head;
use crate::import::lenient::Scalar;
use crate::import::lines::LineReader;
use crate::import::reader::Source;
use crate::import::scan::{Fault, MAX_RECORD_BYTES};

/// Summaries remembered until their session is read.
const MAX_SUMMARIES: usize = 100_000;

/// The lines of all sessions in a set of files.
#[derive(Default)]
pub(super) struct Index {
    files: Vec<IndexedFile>,
    sessions: Vec<Session>,
    by_id: HashMap<String, usize>,
    /// What a session was about, by the last event it covers.
    summaries: HashMap<String, String>,
}

struct IndexedFile {
    path: PathBuf,
    /// The session of its first line: the one it was written for.
    home: Option<String>,
    /// The session of the last line that has one.
    last: Option<usize>,
}

/// Where the lines of one session are.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) spans: Vec<Span>,
}

/// Consecutive lines of one session in one file.
pub(super) struct Span {
    pub(super) file: usize,
    pub(super) first_line: u64,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Index {
    /// In the order of their first lines.
    pub(super) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    pub(super) fn path(&self, span: &Span) -> &Path {
        self.files.get(span.file).map_or(Path::new(""), |file| &file.path)
    }

    /// Whether the file of `span` was written for `session`.
    pub(super) fn is_home(&self, span: &Span, session: &Session) -> bool {
        self.files.get(span.file).is_some_and(|file| file.home.as_ref() == Some(&session.id))
    }

    /// Where a session begins.
    pub(super) fn first_line<'a>(&'a self, session: &'a Session) -> (&'a Path, u64) {
        session.spans.first().map_or((Path::new(""), 1), |span| (self.path(span), span.first_line))
    }

    pub(super) fn summary(&self, leaf: &str) -> Option<&str> {
        self.summaries.get(leaf).map(String::as_str)
    }

    /// Reads a file for the first time. Returns the lines that belong nowhere.
    pub(super) fn add(&mut self, path: &Path, source: &Source) -> Vec<Fault> {
        let file = self.files.len();
        self.files.push(IndexedFile { path: path.to_owned(), home: None, last: None });
        let mut faults = Vec::new();
        let mut lines = match source.open(path) {
            Ok(input) => LineReader::new(input, MAX_RECORD_BYTES, 0, 1),
            Err(e) => return vec![Fault { line: 1, problem: format!("cannot be read: {e}") }],
        };
        while let Some(line) = lines.next_line() {
            let line = match line {
                Ok(line) => line,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            match Head::parse(&line.text) {
                Ok(head) => self.place(&head, file, line.number, line.span),
                Err(problem) => faults.push(line.fault(problem)),
            }
        }
        faults
    }

    fn place(&mut self, head: &Head, file: usize, number: u64, (start, end): (u64, u64)) {
        if let Scalar::Text(leaf) = &head.leaf
            && self.summaries.len() < MAX_SUMMARIES
        {
            self.summaries.insert(leaf.clone(), head.summary.to_text());
        }
        let Some(id) = head.session().or_else(|| self.home_of(head, file)) else { return };
        let next = self.sessions.len();
        let at = *self.by_id.entry(id.clone()).or_insert_with(|| {
            self.sessions.push(Session { id: id.clone(), spans: Vec::new() });
            next
        });
        let Some(indexed) = self.files.get_mut(file) else { return };
        indexed.home.get_or_insert(id);
        let goes_on = indexed.last.replace(at) == Some(at);
        let Some(session) = self.sessions.get_mut(at) else { return };
        match session.spans.last_mut() {
            // Lines of no session in between are read again, and passed over again.
            Some(last) if goes_on => last.end = end,
            _ => session.spans.push(Span { file, first_line: number, start, end }),
        }
    }

    /// A message without a session belongs to the one its file was written for, and without any to
    /// the one that the file is named after. Lines of other types need no session.
    fn home_of(&self, head: &Head, file: usize) -> Option<String> {
        if !matches!(head.kind.to_text().as_str(), "user" | "assistant") {
            return None;
        }
        let file = self.files.get(file)?;
        let stem = || Some(file.path.file_stem()?.to_string_lossy().into_owned());
        file.home.clone().or_else(stem)
    }
}
