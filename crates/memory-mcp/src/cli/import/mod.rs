//! `memory-mcp import PATH...`.
//!
//! One thread reads and puts batches together while the batch before is being written.
//!
//! - `batch`: the reading thread
//! - `watch`: goes on until it is stopped
//! - `tally`: what became of what was read, and its report

mod batch;
mod tally;
mod watch;

use std::io;
use std::pin::{Pin, pin};

use super::args::ImportArgs;
use super::output::Output;
use super::session::{LocalMemory, Session};
use super::{Exit, Failure, progress};
use crate::import::{Format, ImportOptions, Importer, Plan, PlannedFile, plan};

use batch::{Piece, Reading};
use tally::{FileTally, Label, Report};

pub(super) async fn run(
    args: &ImportArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    if args.watch {
        return watch::run(args, memory, session, out).await;
    }
    let plan = plan(&args.paths).map_err(|e| {
        let told = e.to_string();
        let failure = if e.path.exists() { Failure::usage(told) } else { Failure::not_found(told) };
        failure.hint("`memory-mcp import --help` lists the formats; nothing was read")
    })?;
    let mut report = Report::default();
    report.skip(&plan.skipped);
    let done = take_in_all(plan, session, memory, &mut report).await;
    // What went in before a failure is in for good, so it is told in any case.
    report.print(out)?;
    done?;
    if report.is_complete() { Ok(()) } else { Err(Failure::Silent(Exit::Incomplete)) }
}

/// The files of one line of the report: a file, or all transcripts, since a session may span several.
struct Group {
    label: String,
    importer: Importer,
}

fn groups(plan: Plan, options: &ImportOptions) -> Vec<Group> {
    let is_transcript = |format| format == Format::ClaudeCode;
    let (transcripts, files): (Vec<_>, Vec<_>) =
        plan.files.into_iter().partition(|file| is_transcript(file.format));
    let name = |paths: &[PlannedFile]| match paths {
        [one] => one.path.display().to_string(),
        many => format!("{} transcripts", many.len()),
    };
    let files = files.into_iter().map(|file| vec![file]).chain([transcripts]);
    let filled = files.filter(|files| !files.is_empty());
    let group = |files: Vec<_>| Group {
        label: name(&files),
        importer: Importer::new(Plan { files, skipped: Vec::new() }, options.clone()),
    };
    filled.map(group).collect()
}

async fn take_in_all(
    plan: Plan,
    session: &Session,
    memory: &LocalMemory,
    report: &mut Report,
) -> Result<(), Failure> {
    let options = ImportOptions {
        project: session.config().write_project().to_owned(),
        default_time: memory.now(),
    };
    let groups = groups(plan, &options);
    let total = groups.iter().map(|group| group.importer.progress().total_bytes).sum();
    let bar = progress::bytes(total);
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut before = 0;
    for Group { label, importer } in groups {
        bar.set_message(label.clone());
        let bytes = importer.progress().total_bytes;
        let mut tally = FileTally::new(label);
        let reading = batch::read(importer, bar.clone(), before);
        let done = take_in(reading, memory, interrupt.as_mut(), &mut tally).await;
        report.add(tally);
        if done.is_err() {
            bar.finish_and_clear();
        }
        done?;
        before += bytes;
        bar.set_position(before);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Takes in one file. An interrupt ends it between two batches.
async fn take_in(
    mut reading: Reading,
    memory: &LocalMemory,
    mut interrupt: Pin<&mut impl Future<Output = io::Result<()>>>,
    tally: &mut FileTally,
) -> Result<(), Failure> {
    loop {
        let piece = tokio::select! {
            biased;
            _ = interrupt.as_mut() => return Err(interrupted()),
            piece = reading.pieces.recv() => piece,
        };
        match piece {
            Some(Piece::Malformed(malformed)) => tally.malformed(&malformed),
            Some(Piece::Batch(records)) => {
                let labels: Vec<Label> = records.iter().map(Label::of).collect();
                for (label, result) in labels.iter().zip(memory.take_in(records).await?) {
                    tally.taken_in(label, result);
                }
            }
            None => break,
        }
    }
    reading.thread.await.map_err(|_| {
        Failure::failed("reading ended in an internal error; what was counted is in")
            .hint("please report this, with the file if you can share it")
    })
}

fn interrupted() -> Failure {
    Failure::interrupted("stopped by Ctrl-C; what was counted is in")
        .hint("run the same command again to go on where it stopped")
}
