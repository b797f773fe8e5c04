//! The tokens that may call, on disk as hashes.
//!
//! A token is 256 random bits, so a plain SHA-256 of it cannot be reversed or guessed; a slow hash
//! is for passwords that people make up.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memory_core::Timestamp;
use memory_core::error::excerpt;
use memory_storage::private;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What every token begins with, so that scanners for leaked secrets can tell one.
const PREFIX: &str = "mmcp_";

/// Bytes of the name of a token.
const MAX_NAME_BYTES: usize = 64;

/// A token as it is shown once, to who will use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn generate() -> io::Result<Self> {
        Ok(Token(format!("{PREFIX}{}", random_text()?)))
    }

    /// The text to be sent as `Authorization: Bearer TEXT`.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> Digested {
        digest(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

/// 256 random bits, as letters, digits, `-` and `_`.
pub(super) fn random_text() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 of a token, in hexadecimal.
pub(super) type Digested = String;

pub(super) fn digest(token: &str) -> Digested {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a token gives access to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Names the token.
    pub name: String,
    /// The projects it may see and write; empty: every one.
    pub projects: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Access {
    /// That of the token for a first try.
    pub(super) fn trial() -> Self {
        let created_at = Timestamp(0);
        Access { name: "first try".into(), projects: Vec::new(), created_at }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    access: Access,
    sha256: Digested,
}

/// The file of tokens, as it stands or as an earlier read left it in memory.
#[derive(Default)]
struct Read {
    /// When the file was last changed, and its size; `None`: there was none.
    stamp: Option<(SystemTime, u64)>,
    entries: Vec<Entry>,
}

/// The file that holds the tokens. A change by another process counts from the next request on.
pub struct TokenFile {
    path: PathBuf,
    read: Mutex<Read>,
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TokenFile {
    /// Reads nothing yet; the file need not exist.
    pub fn at(path: PathBuf) -> Self {
        TokenFile { path, read: Mutex::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the token of that digest may do. An unreadable file is an error: nobody gets in.
    pub(super) fn access(&self, digest: &str) -> io::Result<Option<Access>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read)?;
        let found = read.entries.iter().find(|entry| entry.sha256 == digest);
        Ok(found.map(|entry| entry.access.clone()))
    }

    /// Every token, without what would let one in.
    pub fn list(&self) -> io::Result<Vec<Access>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read)?;
        Ok(read.entries.iter().map(|entry| entry.access.clone()).collect())
    }

    /// Makes a token. `InvalidInput`: the name is taken or none.
    pub fn create(&self, name: &str, projects: Vec<String>, now: Timestamp) -> io::Result<Token> {
        let refused = |problem| Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return refused(format!(
                "\"{}\" is no name for a token: 1 to {MAX_NAME_BYTES} bytes of plain text",
                excerpt(name)
            ));
        }
        let _held = self.lock()?;
        let mut entries = self.entries()?;
        if entries.iter().any(|entry| entry.access.name == name) {
            return refused(format!(
                "there is a token \"{name}\" already; revoke it first or choose another name"
            ));
        }
        let token = Token::generate()?;
        let access = Access { name: name.to_owned(), projects, created_at: now };
        entries.push(Entry { access, sha256: token.digest() });
        self.write(&entries)?;
        Ok(token)
    }

    /// Takes a token out. False: there is none of that name.
    pub fn revoke(&self, name: &str) -> io::Result<bool> {
        let _held = self.lock()?;
        let mut entries = self.entries()?;
        let before = entries.len();
        entries.retain(|entry| entry.access.name != name);
        if entries.len() == before {
            return Ok(false);
        }
        self.write(&entries)?;
        Ok(true)
    }

    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh(&mut read)?;
        Ok(read.entries.clone())
    }

    /// Reads the file again when it is not the one that was read.
    fn refresh(&self, read: &mut Read) -> io::Result<()> {
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) => Some((metadata.modified()?, metadata.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        if read.stamp == stamp {
            return Ok(());
        }
        let entries = match stamp {
            None => Vec::new(),
            Some(_) => {
                let text = std::fs::read_to_string(&self.path)?;
                serde_json::from_str(&text).map_err(|e| {
                    let problem = format!("{} is not a file of tokens: {e}", self.path.display());
                    io::Error::new(io::ErrorKind::InvalidData, problem)
                })?
            }
        };
        *read = Read { stamp, entries };
        Ok(())
    }

    /// One process changes the file at a time; released with the result.
    fn lock(&self) -> io::Result<std::fs::File> {
        private::create_directory(self.path.parent().unwrap_or(Path::new(".")))?;
        let lock = private::open(&self.path.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// Replaces the file in one step, for its owner's eyes only (as temporary files are).
    fn write(&self, entries: &[Entry]) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, entries)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        // What was revoked is not to come back with the power.
        #[cfg(unix)]
        std::fs::File::open(directory)?.sync_all()?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Read::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_stored_as_hashes_and_revoked_for_every_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let (here, there) = (TokenFile::at(path.clone()), TokenFile::at(path.clone()));
        let now = Timestamp(0);
        let token = here.create("ci", vec!["web".into()], now).unwrap();
        let other = here.create("laptop", Vec::new(), now).unwrap();
        let seen = there.access(&token.digest()).unwrap().unwrap();
        assert_eq!((seen.name.as_str(), seen.projects), ("ci", vec!["web".to_owned()]));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(token.reveal()) && !format!("{token:?}").contains("mmcp"));

        assert!(here.create("ci", Vec::new(), now).is_err());
        assert!(here.create("", Vec::new(), now).is_err());
        assert!(here.revoke("ci").unwrap());
        assert!(!here.revoke("ci").unwrap());
        assert_eq!(there.access(&token.digest()).unwrap(), None);
        assert!(there.access(&other.digest()).unwrap().is_some());
        let cut = &other.reveal()[..other.reveal().len() - 1];
        assert_eq!(there.access(&digest(cut)).unwrap(), None);
    }

    #[test]
    fn nobody_gets_in_by_a_file_that_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let file = TokenFile::at(path.clone());
        let token = file.create("ci", Vec::new(), Timestamp(0)).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        assert!(file.access(&token.digest()).is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.access(&token.digest()).unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let file = TokenFile::at(path.clone());
        file.create("ci", Vec::new(), Timestamp(0)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
