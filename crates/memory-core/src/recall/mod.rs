//! From a task to what helps with it.
//!
//! - [`text`]: how text becomes index terms, for documents and queries alike
//! - [`document`]: what of an episode is searchable, by field
pub mod document;
pub mod text;
