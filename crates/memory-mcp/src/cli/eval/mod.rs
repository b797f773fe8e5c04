//! `memory-mcp eval`: what recall brings, measured without a judge model.
//!
//! - `lessons`: does recall name the mistake of a failed run, or the right action?
//! - `outcomes`: is a task that another agent solved found, with what solved it?
//! - `retrieval`: how high do questions rank the items that answer them?

mod lessons;
mod outcomes;
mod retrieval;

use super::Failure;
use super::args::EvalCommand;
use super::output::Output;

pub(super) async fn run(command: &EvalCommand, out: &mut Output) -> Result<(), Failure> {
    match command {
        EvalCommand::Lessons(args) => lessons::run(args, out).await,
        EvalCommand::Outcomes(args) => outcomes::run(args, out).await,
        EvalCommand::Retrieval(args) => retrieval::run(args, out).await,
    }
}
