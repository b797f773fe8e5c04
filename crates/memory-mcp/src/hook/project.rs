//! What a project says about itself: where it begins, and in `.memory-mcp.toml` whether its sessions are
//! recorded and as which project.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::project_name;

/// Name of the file, in the root of a project or any directory below it.
pub const PROJECT_FILE: &str = ".memory-mcp.toml";

/// Directories above a session's that are looked at.
const MAX_DEPTH: usize = 64;

/// Bytes of the file.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What was found for a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFile {
    /// The directory of the repository, of the file, or without either the session's own.
    pub root: PathBuf,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// False: nothing is recorded here.
    pub hooks: Option<bool>,
    /// The project that sessions here belong to.
    pub project: Option<String>,
    /// Why the file was left out of account.
    pub problem: Option<String>,
}

#[derive(Default, Deserialize)]
struct Content {
    hooks: Option<bool>,
    project: Option<String>,
}

impl ProjectFile {
    /// Looks from `cwd` upwards to the repository's root, for the nearest file.
    pub fn of(cwd: &Path) -> Self {
        let mut found = ProjectFile { root: cwd.to_owned(), ..ProjectFile::default() };
        let mut file_at = None;
        for dir in cwd.ancestors().take(MAX_DEPTH) {
            if file_at.is_none() && dir.join(PROJECT_FILE).is_file() {
                file_at = Some(dir.to_owned());
                found.read(&dir.join(PROJECT_FILE));
            }
            let git = dir.join(".git");
            if git.exists() {
                found.root = dir.to_owned();
                found.branch = branch(&git);
                return found;
            }
        }
        if let Some(dir) = file_at {
            found.root = dir;
        }
        found
    }

    fn read(&mut self, path: &Path) {
        let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= MAX_FILE_BYTES);
        let text = if small { std::fs::read_to_string(path).ok() } else { None };
        let content = text
            .ok_or_else(|| "cannot be read".to_owned())
            .and_then(|text| basic_toml::from_str::<Content>(&text).map_err(|e| e.to_string()))
            .and_then(|content| match content.project.as_deref().map(project_name) {
                Some(Err(problem)) => Err(format!("project {problem}")),
                _ => Ok(content),
            });
        match content {
            Ok(Content { hooks, project }) => (self.hooks, self.project) = (hooks, project),
            // Who wrote the file wanted something said about recording: better none than against it.
            Err(problem) => {
                self.hooks = Some(false);
                self.problem = Some(format!("{}: {problem}", path.display()));
            }
        }
    }
}

/// The branch in `.git/HEAD`, or in that of a worktree, whose `.git` is a file that names it.
fn branch(git: &Path) -> Option<String> {
    let head = match std::fs::read_to_string(git) {
        Ok(text) => {
            let dir = PathBuf::from(text.trim().strip_prefix("gitdir:")?.trim());
            git.parent()?.join(dir).join("HEAD")
        }
        Err(_) => git.join("HEAD"),
    };
    let head = std::fs::read_to_string(head).ok()?;
    Some(head.trim().strip_prefix("ref: refs/heads/")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_up_to_the_repository_counts() {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("shop");
        let deep = repo.join("src/api");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(repo.join(".git")).unwrap();
        std::fs::write(repo.join(".git/HEAD"), "ref: refs/heads/fix/login\n").unwrap();
        std::fs::write(dir.path().join(PROJECT_FILE), "hooks = false").unwrap();
        let found = ProjectFile::of(&deep);
        assert_eq!((found.root.as_path(), found.hooks), (repo.as_path(), None));
        assert_eq!(found.branch.as_deref(), Some("fix/login"));
        std::fs::write(repo.join(PROJECT_FILE), "project = 'shop'\nhooks = true\n").unwrap();
        let found = ProjectFile::of(&deep);
        assert_eq!((found.hooks, found.project.as_deref()), (Some(true), Some("shop")));
        std::fs::write(repo.join("src").join(PROJECT_FILE), "hooks = ???").unwrap();
        let found = ProjectFile::of(&deep);
        assert_eq!(found.hooks, Some(false), "a broken file records nothing");
        assert!(found.problem.unwrap().contains(PROJECT_FILE));
    }
}
