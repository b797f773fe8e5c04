//! The token shown to the server, which can be replaced while the store runs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use memory_core::{Error, Result};
use reqwest::header::HeaderValue;

use super::config::{Secret, TokenSource};

/// Gives the `authorization` header of the next request.
#[derive(Debug)]
pub struct Token {
    file: Option<PathBuf>,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    /// Marked sensitive, so that it shows nothing of itself.
    header: Option<HeaderValue>,
    /// When the file was changed that it came from.
    modified: Option<SystemTime>,
}

impl Token {
    /// From the settings, else from the URL.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the file cannot be read. [`Error::Invalid`]: no header can hold it.
    pub fn new(source: &TokenSource, in_url: Option<Secret>) -> Result<Self> {
        let (file, fixed) = match source {
            TokenSource::None => (None, in_url),
            TokenSource::Fixed(secret) => (None, Some(secret.clone())),
            TokenSource::File(path) => (Some(path.clone()), None),
        };
        let header = fixed.as_ref().map(bearer).transpose()?;
        let token = Token { file, current: Mutex::new(Current { header, modified: None }) };
        token.header()?;
        Ok(token)
    }

    /// The header to send; `None` where no token is needed. A file is looked at (microseconds) on
    /// every call and read when it has changed.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn header(&self) -> Result<Option<HeaderValue>> {
        let mut current = self.lock();
        if let Some(path) = &self.file {
            let modified = modified(path)?;
            if current.modified != Some(modified) {
                *current = Current { header: Some(read(path)?), modified: Some(modified) };
            }
        }
        Ok(current.header.clone())
    }

    /// After the server refused `sent`: whether there is another one by now.
    pub fn replaced(&self, sent: Option<&HeaderValue>) -> bool {
        // A file may have been replaced without a visible change of its time.
        self.lock().modified = None;
        self.header().is_ok_and(|now| now.as_ref() != sent)
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn modified(path: &Path) -> Result<SystemTime> {
    path.metadata().and_then(|m| m.modified()).map_err(|e| unreadable(path, &e))
}

fn read(path: &Path) -> Result<HeaderValue> {
    let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
    bearer(&Secret::new(text.trim()))
}

fn bearer(secret: &Secret) -> Result<HeaderValue> {
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", secret.expose())).map_err(|_| {
            Error::invalid("token", "holds characters that no token has; copy it again")
        })?;
    value.set_sensitive(true);
    Ok(value)
}

fn unreadable(path: &Path, e: &std::io::Error) -> Error {
    Error::Refused {
        problem: format!("the token file {} cannot be read: {e}", path.display()),
        hint: "write the token into it, readable by you alone".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_noticed_and_nothing_shows_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "hush-1\n").unwrap();
        let token = Token::new(&TokenSource::File(path.clone()), None).unwrap();
        let first = token.header().unwrap().unwrap();
        assert_eq!(first.to_str().unwrap(), "Bearer hush-1");
        assert!(!token.replaced(Some(&first)));
        std::fs::write(&path, "hush-2").unwrap();
        assert!(token.replaced(Some(&first)));
        assert_eq!(token.header().unwrap().unwrap().to_str().unwrap(), "Bearer hush-2");
        let shown = format!("{token:?} {first:?}");
        assert!(!shown.contains("hush"), "{shown}");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(token.header(), Err(Error::Refused { .. })));
        let error = Token::new(&TokenSource::Fixed(Secret::new("hu\nsh")), None).unwrap_err();
        assert!(!error.to_string().contains("sh\n"), "{error}");
    }
}
