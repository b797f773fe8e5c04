//! How text becomes index terms, for documents and queries alike.

/// The index terms of `text` in order, separated by spaces: lower case, stemmed, identifiers and
/// paths both split and whole. Terms are alphanumeric only.
pub fn analyze(text: &str) -> String {
    text.to_lowercase()
}
