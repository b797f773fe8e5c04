//! Where `--plot` goes.

use std::path::Path;

use crate::cli::{Failure, output};
use crate::eval::plot::Bars;

/// Draws into `path`, if one was given.
pub(super) fn write<'a>(
    path: Option<&Path>,
    bars: impl FnOnce() -> Bars<'a>,
) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, bars().svg()).map_err(|e| {
        Failure::failed(format!("cannot write the plot to {}: {e}", path.display()))
            .hint("--plot takes a file in a directory that exists")
    })?;
    output::say(format_args!("plot: {}", path.display()));
    Ok(())
}
