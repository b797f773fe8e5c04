//! One stream of items over all planned files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::detect::marker;
use super::draft::Draft;
use super::lines::LineReader;
use super::mcp_memory::Relations;
use super::scan::{Fault, MAX_RECORD_BYTES, RecordScanner, Shape};
use super::{
    Format, ImportItem, ImportOptions, Malformed, Plan, PlannedFile, Reject, claude_code,
    intercode, native, swe_agent, tau_bench,
};

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far.
    pub bytes: u64,
    /// Bytes to read in all. Files that are read twice count twice.
    pub total_bytes: u64,
}

/// Reads planned files, one item at a time. Never holds more than one record of a file, except for
/// what the formats of transcripts and graphs need to be put together.
pub struct Importer {
    pending: VecDeque<Unit>,
    current: Option<Items>,
    options: Arc<ImportOptions>,
    read: Arc<AtomicU64>,
    total_bytes: u64,
}

type Items = Box<dyn Iterator<Item = Result<ImportItem, Malformed>> + Send>;

/// What is read in one go: a file, or all transcripts, since a session may span several.
enum Unit {
    File(PlannedFile),
    Transcripts(Vec<PlannedFile>),
}

impl Importer {
    /// Begins to read what was planned.
    pub fn new(plan: Plan, options: ImportOptions) -> Self {
        let passes = |file: &PlannedFile| match file.format {
            Format::ClaudeCode | Format::McpMemory => 2,
            _ => 1,
        };
        let total_bytes = plan.files.iter().map(|file| passes(file) * file.bytes).sum();
        let (transcripts, files): (Vec<_>, Vec<_>) =
            plan.files.into_iter().partition(|file| file.format == Format::ClaudeCode);
        let mut pending: VecDeque<Unit> = files.into_iter().map(Unit::File).collect();
        if !transcripts.is_empty() {
            pending.push_back(Unit::Transcripts(transcripts));
        }
        let (options, read) = (Arc::new(options), Arc::new(AtomicU64::new(0)));
        Importer { pending, current: None, options, read, total_bytes }
    }

    /// How far it is. A file that grows while it is read does not go beyond the total.
    pub fn progress(&self) -> Progress {
        let bytes = self.read.load(Ordering::Relaxed).min(self.total_bytes);
        Progress { bytes, total_bytes: self.total_bytes }
    }

    fn open(&self, unit: Unit) -> Items {
        let source = Source { read: self.read.clone() };
        let options = self.options.clone();
        let file = match unit {
            Unit::Transcripts(files) => {
                let paths = files.into_iter().map(|file| file.path).collect();
                return Box::new(claude_code::sessions(paths, source, options));
            }
            Unit::File(file) => file,
        };
        let opened = match (file.format, file.shape) {
            (Format::McpMemory, _) => entities(&file.path, &source, &options),
            (Format::Native, Shape::Values) => native_lines(&file.path, &source, &options),
            _ => records(&file, &source, &options),
        };
        opened.unwrap_or_else(|e| {
            let problem = format!("cannot be read: {e}");
            Box::new(std::iter::once(Err(Malformed { file: file.path, line: 1, problem })))
        })
    }
}

impl Iterator for Importer {
    type Item = Result<ImportItem, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.current.as_mut().and_then(Iterator::next) {
                return Some(item);
            }
            let unit = self.pending.pop_front()?;
            self.current = Some(self.open(unit));
        }
    }
}

/// Opens files and counts what is read from them.
#[derive(Clone)]
pub(super) struct Source {
    read: Arc<AtomicU64>,
}

impl Source {
    pub(super) fn open(&self, path: &Path) -> io::Result<Counted<File>> {
        Ok(Counted { input: File::open(path)?, read: self.read.clone() })
    }
}

/// A reader that counts its bytes.
pub(super) struct Counted<R> {
    pub(super) input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buf)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// tau-bench, InterCode and SWE-agent, and native episodes in an array.
fn records(file: &PlannedFile, source: &Source, options: &Arc<ImportOptions>) -> io::Result<Items> {
    fn scanner<R: Read>(input: R, file: &PlannedFile) -> RecordScanner<R> {
        RecordScanner::new(input, file.shape, marker(file.format), MAX_RECORD_BYTES)
    }
    let run_name = match file.format {
        Format::Intercode => intercode::run_name(scanner(File::open(&file.path)?, file)),
        _ => String::new(),
    };
    let mut records = scanner(source.open(&file.path)?, file);
    let (path, format, options) = (file.path.clone(), file.format, options.clone());
    Ok(Box::new(std::iter::from_fn(move || {
        let item = records.next_record()?.and_then(|raw| {
            let reject = |r: Reject| Fault { line: raw.line + r.lines_below, problem: r.problem };
            let draft = match format {
                Format::TauBench => tau_bench::read(&raw),
                Format::Intercode => intercode::read(&raw, &run_name),
                Format::SweAgent => swe_agent::read(&raw),
                Format::ClaudeCode | Format::Native | Format::McpMemory => {
                    return native::read(&raw.text, &options).map_err(|p| reject(p.into()));
                }
            };
            episode(draft.map_err(reject)?, &options, raw.line)
        });
        Some(item.map_err(|fault| malformed(&path, fault)))
    })))
}

fn native_lines(path: &Path, source: &Source, options: &Arc<ImportOptions>) -> io::Result<Items> {
    let mut lines = LineReader::new(source.open(path)?, MAX_RECORD_BYTES, 0, 1);
    let (path, options) = (path.to_owned(), options.clone());
    Ok(Box::new(std::iter::from_fn(move || {
        let item = lines.next_line()?.and_then(|line| {
            native::read(&line.text, &options).map_err(|problem| line.fault(problem))
        });
        Some(item.map_err(|fault| malformed(&path, fault)))
    })))
}

fn entities(path: &Path, source: &Source, options: &Arc<ImportOptions>) -> io::Result<Items> {
    let lines = || io::Result::Ok(LineReader::new(source.open(path)?, MAX_RECORD_BYTES, 0, 1));
    let mut relations = Relations::default();
    let mut first_pass = lines()?;
    while let Some(line) = first_pass.next_line() {
        if let Ok(line) = line {
            relations.add(&line);
        }
    }
    let mut lines = lines()?;
    let (path, options) = (path.to_owned(), options.clone());
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            let item = match lines.next_line()? {
                Err(fault) => Err(fault),
                Ok(line) => match relations.read(&line) {
                    Ok(None) => continue,
                    Ok(Some(draft)) => episode(draft, &options, line.number),
                    Err(problem) => Err(line.fault(problem)),
                },
            };
            return Some(item.map_err(|fault| malformed(&path, fault)));
        }
    })))
}

/// A finished draft as an item.
pub(super) fn episode(
    draft: Draft,
    options: &ImportOptions,
    line: u64,
) -> Result<ImportItem, Fault> {
    let episode = draft.finish(options).map_err(|problem| Fault { line, problem })?;
    Ok(ImportItem::Episode(Box::new(episode)))
}

pub(super) fn malformed(path: &Path, fault: Fault) -> Malformed {
    Malformed { file: PathBuf::from(path), line: fault.line, problem: fault.problem }
}
