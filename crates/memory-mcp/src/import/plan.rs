//! What the given files and folders hold, before anything is imported.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Format;
use super::claude_code;
use super::detect::detect;
use super::scan::Shape;

/// A file that will be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Where it is, as reached from the given path.
    pub path: PathBuf,
    /// What it holds.
    pub format: Format,
    /// Its size when it was looked at.
    pub bytes: u64,
    pub(super) shape: Shape,
}

/// A file in a given folder that will not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is skipped.
    pub reason: String,
}

/// What an import will read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the given paths; the contents of a folder sorted by name.
    pub files: Vec<PlannedFile>,
    /// Files in folders that are none of ours.
    pub skipped: Vec<Skipped>,
}

/// A path that was named and cannot be imported. Nothing was read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct PlanError {
    /// As it was given.
    pub path: PathBuf,
    /// What is wrong and what would help.
    pub problem: String,
}

/// Looks at every path: files, and folders with all that is below them. Symbolic links are
/// followed, but nothing is read twice. The subagent files of a Claude Code session that is named
/// are part of it.
pub fn plan(paths: &[PathBuf]) -> Result<Plan, PlanError> {
    let mut walk = Walk::default();
    for path in paths {
        walk.named(path).map_err(|problem| PlanError { path: path.clone(), problem })?;
    }
    Ok(walk.plan)
}

const UNKNOWN: &str = "no known format (tau-bench, intercode, swe-agent, claude-code, native JSONL, \
                       MCP memory file)";

#[derive(Default)]
struct Walk {
    plan: Plan,
    /// Canonical paths of what was visited: no loops, nothing twice.
    visited: HashSet<PathBuf>,
}

impl Walk {
    fn named(&mut self, path: &Path) -> Result<(), String> {
        let metadata = fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?;
        if metadata.is_dir() {
            self.folder(path);
            return Ok(());
        }
        if !metadata.is_file() {
            return Err("is neither a file nor a folder".to_owned());
        }
        if !self.is_first_visit(path) {
            return Ok(());
        }
        let format = self.file(path, metadata.len())?;
        if format == Format::ClaudeCode {
            for companion in claude_code::companions(path) {
                self.found(&companion);
            }
        }
        Ok(())
    }

    /// Everything below `root`, without recursion.
    fn folder(&mut self, root: &Path) {
        let mut pending = vec![root.to_owned()];
        while let Some(path) = pending.pop() {
            if !path.is_dir() {
                self.found(&path);
                continue;
            }
            if !self.is_first_visit(&path) {
                continue;
            }
            match fs::read_dir(&path) {
                Ok(entries) => {
                    let mut inside: Vec<PathBuf> =
                        entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                    inside.sort_unstable_by(|a, b| b.cmp(a));
                    pending.extend(inside);
                }
                Err(e) => self.skip(&path, format!("cannot be listed: {e}")),
            }
        }
    }

    /// A file that nobody named: a problem with it is a reason to skip it.
    fn found(&mut self, path: &Path) {
        if !self.is_first_visit(path) {
            return;
        }
        let looked_at = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => self.file(path, metadata.len()).map(|_| ()),
            Ok(_) => Err("is no regular file".to_owned()),
            Err(e) => Err(format!("cannot be read: {e}")),
        };
        if let Err(reason) = looked_at {
            self.skip(path, reason);
        }
    }

    fn file(&mut self, path: &Path, bytes: u64) -> Result<Format, String> {
        let detected = detect(|| File::open(path)).map_err(|e| format!("cannot be read: {e}"))?;
        let (format, shape) = detected.ok_or(if bytes == 0 { "is empty" } else { UNKNOWN })?;
        self.plan.files.push(PlannedFile { path: path.to_owned(), format, bytes, shape });
        Ok(format)
    }

    fn skip(&mut self, path: &Path, reason: String) {
        self.plan.skipped.push(Skipped { path: path.to_owned(), reason });
    }

    fn is_first_visit(&mut self, path: &Path) -> bool {
        let canonical = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.visited.insert(canonical)
    }
}
