//! What of an episode is searchable, by field.

use crate::episode::Episode;

/// Analyzed text by field, ready for the index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Task description.
    pub task: String,
    /// Task type, domain, language, framework, tags, text metadata.
    pub context: String,
    /// Tools, actions, errors, the beginning of observations.
    pub steps: String,
    /// Verdict and reflection.
    pub reflection: String,
}

impl Document {
    /// The document of an episode.
    pub fn of(_episode: &Episode) -> Self {
        Document::default()
    }
}
