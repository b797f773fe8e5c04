//! The command line.
//!
//! - [`args`], [`filter`]: what can be typed
//! - [`output`]: the terminal; nothing else prints
//! - [`failure`]: exit codes, messages with hints
//! - `session`: settings, log and memory of one run
//! - one module a command

pub mod args;
pub mod failure;
pub mod filter;
pub mod output;

mod backup;
mod bench;
mod checkpoint;
mod completions;
mod config;
mod consolidate;
mod copy;
mod doctor;
mod embed;
mod eval;
mod export;
mod forget;
mod hook;
mod import;
pub mod init;
mod list;
mod man;
mod migrate;
mod outbox;
mod playbook;
mod progress;
mod purge;
mod quickstart;
mod rate;
mod recall;
mod relate;
mod restore;
mod serve;
mod session;
mod show;
mod stats;
mod token;
mod verify;

use std::process::ExitCode;

use clap::Parser;
use memory_core::EpisodeStore;

pub use failure::{Exit, Failure};

use args::{Args, Command, ForgetArgs};
use output::Output;
use session::{LocalMemory, Session};

use crate::config::Place;
use crate::hook::settle::Effort;
use crate::hook::{Journal, settle};

/// Runs the command of this process's command line. The result is the exit code.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(told) => {
            // A client takes a usage error of a hook for an order to stop the agent.
            if told.use_stderr() && hook::is_meant() {
                return ExitCode::SUCCESS;
            }
            // Help goes to stdout, a usage error to stderr; a closed one is no reason to fail.
            let _ = told.print();
            return ExitCode::from(if told.use_stderr() { Exit::Usage as u8 } else { 0 });
        }
    };
    if let Command::Hook(hook) = &args.command {
        return hook::run(hook, &args.global);
    }
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::report(&failure);
            failure.exit_code()
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let mut out = Output::stdout(args.global.json);
    // These need no settings, and so work where they are wrong.
    match &args.command {
        Command::Completions(args) => {
            completions::run(args, &mut out)?;
            return out.finish();
        }
        Command::Man(args) => {
            man::run(args, &mut out)?;
            return out.finish();
        }
        Command::Init(init) => {
            let done = init::run(init, &args.global, &mut out);
            let flushed = out.finish();
            return done.and(flushed);
        }
        _ => {}
    }
    let session = Session::begin(&args.global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start the worker threads: {e}")))?;
    let done = runtime.block_on(dispatch(args.command, &session, &mut out));
    // Not waiting: a thread may still read a file or stdin that nobody wants any more.
    runtime.shutdown_background();
    // What was written before a failure is worth showing.
    let flushed = out.finish();
    done.and(flushed)
}

async fn dispatch(command: Command, session: &Session, out: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Config => return config::run(session, out),
        Command::Doctor => return doctor::run(session, out).await,
        Command::Quickstart => return quickstart::run(out).await,
        Command::Bench(args) => return bench::run(&args, session, out).await,
        Command::Eval(command) => return eval::run(&command, session, out).await,
        Command::Token(command) => return token::run(&command, session, out),
        Command::Copy(args) => return copy::run(&args, session, out).await,
        Command::Forget(args) => return forget_all(&args, session, out).await,
        Command::Outbox(command) => return outbox::run(&command, session, out).await,
        Command::Verify(args) => return verify::run(&args, session, out).await,
        Command::Backup(args) => return backup::run(&args, session, out).await,
        Command::Restore(args) => return restore::run(&args, session, out).await,
        Command::Migrate(args) => return migrate::run(&args, session, out).await,
        _ => {}
    }
    let memory = session.open().await?;
    settle_hooks(&command, &memory, session).await;
    let done = match command {
        Command::Serve(args) => {
            let upkeep = tokio::spawn(hook::upkeep(memory.clone(), session.config().clone()));
            let served = serve::run(&args, &memory, session).await;
            upkeep.abort();
            served
        }
        Command::Import(args) => import::run(&args, &memory, session, out).await,
        Command::Export(args) => export::run(&args, &memory, session, out).await,
        Command::Recall(args) => recall::run(&args, &memory, session, out).await,
        Command::List(args) => list::run(&args, &memory, session, out).await,
        Command::Show(args) => show::run(&args, &memory, session, out).await,
        Command::Rate(args) => rate::run(&args, &memory, session, out).await,
        Command::Checkpoint(args) => checkpoint::note(&args, &memory, session, out).await,
        Command::Resume(args) => checkpoint::resume(&args, &memory, session, out).await,
        Command::Relate(args) => relate::run(&args, &memory, session, out).await,
        Command::Playbook(args) => playbook::run(&args, &memory, session, out).await,
        Command::Stats => stats::run(&memory, session, out).await,
        Command::Consolidate(args) => consolidate::run(&args, &memory, session, out).await,
        Command::Embed => embed::run(&memory, session, out).await,
        Command::Bench(_)
        | Command::Config
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Init(_)
        | Command::Doctor
        | Command::Copy(_)
        | Command::Eval(_)
        | Command::Forget(_)
        | Command::Hook(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Migrate(_)
        | Command::Outbox(_)
        | Command::Token(_)
        | Command::Verify(_)
        | Command::Quickstart => Ok(()),
    };
    if done.is_ok() && memory.store().stale_possible() {
        output::warn(crate::MAY_BE_STALE);
    }
    memory.store().durable().close().await;
    let place = session.place()?;
    done.map_err(|failure| failure.about(&place))
}

/// What hooks left is taken in before it is looked at. A server may be far or away: there only a command
/// that writes anyway does it, and `serve`.
async fn settle_hooks(command: &Command, memory: &LocalMemory, session: &Session) {
    let effort = match command {
        // Does it by itself, beside serving.
        Command::Serve(_) => return,
        Command::Import(_) => Effort { transcripts: true, running: false },
        _ => Effort::QUICK,
    };
    let local = matches!(session.place(), Ok(Place::File(_)));
    let writes = matches!(command, Command::Import(_) | Command::Rate(_));
    let journal = Journal::in_data_dir(&session.config().data_dir);
    if (local || writes) && journal.is_used() {
        settle(memory, &journal, effort).await;
    }
}

/// Purging needs the database and the cache for itself.
async fn forget_all(args: &ForgetArgs, session: &Session, out: &mut Output) -> Result<(), Failure> {
    let memory = session.open().await?;
    let forgotten = forget::run(args, &memory, session).await;
    memory.store().durable().close().await;
    drop(memory);
    let place = session.place()?;
    forgotten.map_err(|failure| failure.about(&place))?;
    if args.purge {
        purge::run(&forget::ids(args)?, session).await.map_err(|failure| failure.about(&place))?;
    }
    forget::tell(args, out)
}
