//! Session transcripts of Claude Code: one event a line, a session over one or several files.
//!
//! One session is one episode, whatever the number of files: a subagent writes to a file of its own
//! (`agent-*.jsonl` next to the session's file, or below `<session>/subagents/`), and a file may
//! hold lines of other sessions. So the files are read twice: once to find out which lines belong to
//! which session, then session by session. Only positions are kept in between.
//!
//! - [`index`]: which lines belong to which session
//! - [`entry`]: one line
//! - [`session`]: the lines of a session as an episode

mod entry;
mod index;
mod session;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::entry::Head;
use self::index::Index;
pub(crate) use self::session::{AGENT, command_in, prompt_in};

use self::session::SessionReader;
use super::lines::LineReader;
use super::reader::{Counted, Source, episode, malformed};
use super::scan::{Fault, MAX_RECORD_BYTES};
use super::{ImportItem, ImportOptions, Malformed};

/// Every session in `paths` as an episode.
pub(super) fn sessions(
    paths: Vec<PathBuf>,
    source: Source,
    options: Arc<ImportOptions>,
) -> impl Iterator<Item = Result<ImportItem, Malformed>> {
    let mut transcripts = Transcripts {
        unread: paths.into(),
        indexed: None,
        index: Index::default(),
        next_session: 0,
        session: None,
        source,
    };
    std::iter::from_fn(move || transcripts.next_item(&options))
}

struct Transcripts {
    unread: VecDeque<PathBuf>,
    /// The file being read for the first time.
    indexed: Option<(PathBuf, LineReader<Counted<File>>)>,
    index: Index,
    next_session: usize,
    /// The session being read.
    session: Option<SessionReader>,
    source: Source,
}

impl Transcripts {
    fn next_item(&mut self, options: &ImportOptions) -> Option<Result<ImportItem, Malformed>> {
        if let Some(malformed) = self.index_all() {
            return Some(Err(malformed));
        }
        let session = self.index.sessions().get(self.next_session)?;
        let reader = self.session.get_or_insert_with(|| SessionReader::new(&self.index, session));
        if let Some(malformed) = reader.next_malformed(&self.index, &self.source) {
            return Some(Err(malformed));
        }
        self.next_session += 1;
        let (path, line) = self.index.first_line(session);
        let read = self.session.take()?.finish().map_err(|problem| Fault { line, problem });
        let item = read.and_then(|draft| episode(draft, options, line));
        Some(item.map_err(|fault| malformed(path, fault)))
    }

    /// The first pass over the files, up to the next line that belongs nowhere.
    fn index_all(&mut self) -> Option<Malformed> {
        loop {
            let Some((path, lines)) = &mut self.indexed else {
                let path = self.unread.pop_front()?;
                match self.source.open(&path) {
                    Ok(input) => {
                        self.index.begin(&path);
                        self.indexed = Some((path, LineReader::new(input, MAX_RECORD_BYTES, 0, 1)));
                    }
                    Err(e) => {
                        let problem = format!("cannot be read: {e}");
                        return Some(malformed(&path, Fault { line: 1, problem }));
                    }
                }
                continue;
            };
            let Some(line) = lines.next_line() else {
                self.indexed = None;
                continue;
            };
            let placed = line
                .and_then(|line| self.index.place(&line).map_err(|problem| line.fault(problem)));
            if let Err(fault) = placed {
                return Some(malformed(path, fault));
            }
        }
    }
}

/// The other files of the session in `path`: those of its subagents, and for a subagent's file the
/// session's own.
pub(super) fn companions(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else { return Vec::new() };
    let session = session_of(path);
    let mut found = Vec::new();
    if is_agent_file(path) {
        // Either next to it, or next to the folder `<session>` that it is somewhere below.
        let beside = session.iter().map(|s| folder.join(format!("{s}.jsonl")));
        let above = folder.ancestors().filter(|a| a.file_name() == Some(OsStr::new("subagents")));
        let above = above.filter_map(|a| Some(a.parent()?.with_extension("jsonl")));
        if let Some(main) = beside.chain(above).find(|main| main.is_file()) {
            found.extend(companions(&main));
            found.push(main);
        }
        return found;
    }
    if let Some(stem) = path.file_stem() {
        agent_files(&folder.join(stem).join("subagents"), &mut found);
    }
    let mut beside = Vec::new();
    agent_files_in(folder, &mut beside, &mut Vec::new());
    beside.retain(|agent| session.is_some() && session_of(agent) == session);
    found.append(&mut beside);
    found
}

fn is_agent_file(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("agent-") && name.ends_with(".jsonl")
}

/// The subagent files anywhere below `folder`, sorted. Links to folders are not followed.
fn agent_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        agent_files_in(&folder, found, &mut pending);
    }
    found.sort_unstable();
}

fn agent_files_in(folder: &Path, found: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            folders.push(path);
        } else if is_agent_file(&path) {
            found.push(path);
        }
    }
    found.sort_unstable();
}

/// The session that the first lines of a file name.
fn session_of(path: &Path) -> Option<String> {
    const MAX_LINES: usize = 50;
    let mut lines = LineReader::new(File::open(path).ok()?, MAX_RECORD_BYTES, 0, 1);
    (0..MAX_LINES).find_map(|_| match lines.next_line()? {
        Ok(line) => Head::parse(&line.text).ok()?.session(),
        Err(_) => None,
    })
}
