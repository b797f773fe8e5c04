//! Cursors as clients see them: opaque, good for one project, and only from this process.
//!
//! The store's own cursors name a place in the order of all episodes. A client gets such a cursor with
//! a tag over it and the project that it was made for, so that none can be made up, or used to look
//! into another project's order.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memory_core::{Error, Result};
use sha2::{Digest, Sha256};

/// Bytes of a tag: 2^64 tries to make one up, each of them a call.
const TAG_BYTES: usize = 8;

/// Makes and reads cursors.
pub(super) struct Cursors {
    /// `None`: this machine has no random numbers.
    key: Option<[u8; 32]>,
}

impl Cursors {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        Cursors { key: getrandom::fill(&mut key).ok().map(|()| key) }
    }

    /// What a client gets for the store's cursor.
    pub(super) fn seal(&self, project: &str, cursor: &str) -> Result<String> {
        let tag = self.tag(project, cursor)?;
        Ok(URL_SAFE_NO_PAD.encode([tag.as_slice(), cursor.as_bytes()].concat()))
    }

    /// The store's cursor.
    pub(super) fn open(&self, project: &str, sealed: &str) -> Result<String> {
        let refused = || {
            let problem = "is not from a page of this project's list by this server: pass the last \
                           next_cursor as it was, or leave it out to begin again";
            Error::invalid("cursor", problem)
        };
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| refused())?;
        let (tag, cursor) = bytes.split_at_checked(TAG_BYTES).ok_or_else(refused)?;
        let cursor = std::str::from_utf8(cursor).map_err(|_| refused())?;
        if self.tag(project, cursor)? == tag { Ok(cursor.to_owned()) } else { Err(refused()) }
    }

    /// A keyed hash: hashed twice under the key, as HMAC does, so that none can be extended.
    fn tag(&self, project: &str, cursor: &str) -> Result<[u8; TAG_BYTES]> {
        let key = self.key.ok_or_else(|| Error::Unavailable {
            reason: "this machine has no random numbers to protect a cursor with".into(),
        })?;
        let inner = Sha256::new()
            .chain_update(key)
            .chain_update(project.len().to_le_bytes())
            .chain_update(project)
            .chain_update(cursor)
            .finalize();
        let outer = Sha256::new().chain_update(key).chain_update(inner).finalize();
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(outer).for_each(|(byte, hashed)| *byte = hashed);
        Ok(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_for_this_project_opens() {
        let cursors = Cursors::new();
        let sealed = cursors.seal("web", "0a.0b").unwrap();
        assert_eq!(cursors.open("web", &sealed).unwrap(), "0a.0b");
        assert!(!sealed.contains("0a"), "{sealed}");

        assert!(cursors.open("api", &sealed).is_err());
        assert!(Cursors::new().open("web", &sealed).is_err());
        let mut forged = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        *forged.last_mut().unwrap() ^= 1;
        for wrong in [URL_SAFE_NO_PAD.encode(&forged), "0a.0b".into(), String::new(), "ÿ".into()] {
            let e = cursors.open("web", &wrong).unwrap_err().to_string();
            assert!(e.starts_with("cursor: is not from a page"), "{e}");
        }
    }
}
