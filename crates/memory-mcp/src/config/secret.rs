//! Values that are never shown.

use std::fmt;

use memory_storage_turso::Secret;
use serde::{Deserialize, Serialize};

/// The names of settings that are never shown.
pub(super) const SECRET_SETTINGS: [&str; 2] = ["database.auth_token", "embeddings.api_key"];

/// What is shown in place of a secret that is there.
pub(super) const SHOWN: &str = "[set]";

/// A token; empty when none is set.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthToken(String);

impl AuthToken {
    /// True when there is one.
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// As the storage takes it.
    pub fn secret(&self) -> Secret {
        Secret::new(self.0.trim())
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { SHOWN } else { "none" })
    }
}
