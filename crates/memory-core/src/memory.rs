//! The life of an episode on top of any store.

/// See the module.
pub struct Memory;
