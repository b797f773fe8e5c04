//! `memory-mcp eval`: what recall brings, measured without a judge model.
//!
//! - `lessons`: does recall name the mistake of a failed run, or the right action?
//! - `outcomes`: is a task that another agent solved found, with what solved it?
//! - `precision`: does recall say that nothing is relevant where nothing is?
//! - `retrieval`: how high do questions rank the items that answer them?
//! - `plot`: the file that `--plot` names
//! - `args`: what can be typed

mod args;
mod lessons;
mod outcomes;
mod plot;
mod precision;
mod retrieval;

use super::Failure;
pub(super) use args::EvalCommand;

use super::output::Output;
use super::session::Session;

pub(super) async fn run(
    command: &EvalCommand,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    match command {
        EvalCommand::Lessons(args) => lessons::run(args, out).await,
        EvalCommand::Outcomes(args) => outcomes::run(args, out).await,
        EvalCommand::Precision(args) => precision::run(args, session, out).await,
        EvalCommand::Retrieval(args) => retrieval::run(args, out).await,
    }
}
