//! `memory-mcp completions SHELL`.

use clap::CommandFactory;

use super::Failure;
use super::args::{Args, CompletionsArgs};
use super::output::Output;

pub(super) fn run(args: &CompletionsArgs, out: &mut Output) -> Result<(), Failure> {
    // By way of memory: the generator panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "memory-mcp", &mut script);
    out.raw(&script)
}
