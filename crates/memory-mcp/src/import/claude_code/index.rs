//! Which lines of which files belong to which session.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::entry::Head;
use crate::import::lenient::Scalar;
use crate::import::lines::Line;

/// Summaries remembered until their session is read, and characters of each.
const MAX_SUMMARIES: usize = 10_000;
const MAX_SUMMARY_CHARS: usize = 2_000;

/// Sessions of one import. Nobody has that many; a file that names a session a line is no
/// transcript.
const MAX_SESSIONS: usize = 1_000_000;

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
#[derive(Clone, Copy)]
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
    pub(super) fn first_line(&self, session: &Session) -> (&Path, u64) {
        session.spans.first().map_or((Path::new(""), 1), |span| (self.path(span), span.first_line))
    }

    pub(super) fn summary(&self, leaf: &str) -> Option<&str> {
        self.summaries.get(leaf).map(String::as_str)
    }

    /// Begins a file. Its lines are to follow, in order.
    pub(super) fn begin(&mut self, path: &Path) {
        self.files.push(IndexedFile { path: path.to_owned(), home: None, last: None });
    }

    /// Notes where a line of the file begun last belongs.
    pub(super) fn place(&mut self, line: &Line) -> Result<(), String> {
        let head = Head::parse(&line.text)?;
        if let Scalar::Text(leaf) = &head.leaf
            && self.summaries.len() < MAX_SUMMARIES
        {
            let summary = head.summary.to_text().chars().take(MAX_SUMMARY_CHARS).collect();
            self.summaries.insert(leaf.clone(), summary);
        }
        let Some(indexed) = self.files.last() else { return Ok(()) };
        let Some(id) = head.session().or_else(|| indexed.home_of(&head)) else { return Ok(()) };
        let next = self.sessions.len();
        if next >= MAX_SESSIONS && !self.by_id.contains_key(&id) {
            return Err(format!("is of one session more than {MAX_SESSIONS}"));
        }
        let at = *self.by_id.entry(id.clone()).or_insert_with(|| {
            self.sessions.push(Session { id: id.clone(), spans: Vec::new() });
            next
        });
        let file = self.files.len() - 1;
        let Some(indexed) = self.files.last_mut() else { return Ok(()) };
        indexed.home.get_or_insert(id);
        let goes_on = indexed.last.replace(at) == Some(at);
        let Some(session) = self.sessions.get_mut(at) else { return Ok(()) };
        let (start, end) = line.span;
        match session.spans.last_mut() {
            // Lines of no session in between are read again, and passed over again.
            Some(last) if goes_on => last.end = end,
            _ => session.spans.push(Span { file, first_line: line.number, start, end }),
        }
        Ok(())
    }
}

impl IndexedFile {
    /// A message without a session belongs to the one its file was written for, and without any to
    /// the one that the file is named after. Lines of other types need no session.
    fn home_of(&self, head: &Head) -> Option<String> {
        if !matches!(head.kind.to_text().as_str(), "user" | "assistant") {
            return None;
        }
        let stem = || Some(self.path.file_stem()?.to_string_lossy().into_owned());
        self.home.clone().or_else(stem)
    }
}
