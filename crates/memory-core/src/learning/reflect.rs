//! What worked, what failed, what to do next time.

use crate::episode::{Episode, Reflection};

/// A reflection drawn from the steps and the outcome of a completed episode.
pub fn reflect(_episode: &Episode) -> Reflection {
    Reflection::default()
}
