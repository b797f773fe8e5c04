//! A client's file: read, shown as a difference, replaced in one step with what was there kept beside it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the file as it was is called beside it.
const BACKUP: &str = "before-memory-mcp";

/// Bytes of a client's file; Claude Code keeps its history in one.
const MAX_BYTES: u64 = 64 << 20;

/// The text of a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    match fs::metadata(path) {
        Ok(file) if file.len() > MAX_BYTES => return Err("it is too large to be edited".to_owned()),
        _ => {}
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("it cannot be read: {e}")),
    }
}

/// Where the file as it was before we first changed it is kept.
pub(super) fn backup_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(BACKUP);
    path.with_file_name(name)
}

/// Puts `text` in the place of the file, or removes it.
pub(super) fn replace(path: &Path, text: Option<&str>) -> io::Result<()> {
    // A link stays a link: people keep such files elsewhere.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Some(text) = text else { return fs::remove_file(path) };
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    if let Ok(before) = fs::metadata(&path) {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Keeps the file as it is, unless that was done before. For its owner alone, as others' settings may
/// hold tokens.
pub(super) fn keep(path: &Path, text: &str) -> io::Result<()> {
    let backup = backup_of(path);
    if backup.exists() {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    let mut file =
        crate::hook::journal::private_file(&backup, options.write(true).create_new(true))?;
    file.write_all(text.as_bytes())
}

/// The lines that differ, with a `-` or `+` in front and two lines around them.
pub(super) fn difference(before: &str, after: &str) -> String {
    const AROUND: usize = 2;
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - same;
    let tail =
        old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str], mark: &str, from: usize, to: usize| -> Vec<String> {
        let lines = lines.iter().take(to).skip(from);
        lines.map(|line| format!("{mark}{line}")).collect()
    };
    let mut shown = part(&old, " ", same.saturating_sub(AROUND), same);
    shown.extend(part(&old, "-", same, old.len() - tail));
    shown.extend(part(&new, "+", same, new.len() - tail));
    shown.extend(part(&old, " ", old.len() - tail, old.len() - tail + AROUND));
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_changed_and_a_little_around_it() {
        let before = "a\nb\nc\nd\ne\nf\n";
        assert_eq!(difference(before, "a\nb\nc\nX\nd\ne\nf\n"), " b\n c\n+X\n d\n e");
        assert_eq!(difference(before, "a\nb\nc\ne\nf\n"), " b\n c\n-d\n e\n f");
        assert_eq!(difference("", "x\n"), "+x");
        assert_eq!(difference("x\n", ""), "-x");
    }
}
