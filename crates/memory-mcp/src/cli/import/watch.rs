//! `memory-mcp import --watch [PATH]...`: goes on taking in what is added and what grows.
//!
//! Looks at sizes and times every two seconds. A transcript is written a few times a minute and nobody waits
//! for it, so the notifications of the system, which differ from one to the other and overflow, would buy
//! nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::batch::{self, Piece};
use super::tally::{FileTally, Label};
use crate::cli::Failure;
use crate::cli::args::ImportArgs;
use crate::cli::output::{self, Output, utc};
use crate::cli::session::{LocalMemory, Session};
use crate::import::{Format, ImportOptions, Importer, plan};

/// How often the folders are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// The same after what failed, at most.
const LONGEST: Duration = Duration::from_secs(60);

/// Files that are watched: more than that are no transcripts.
const MAX_FILES: usize = 100_000;

/// How much there was of a file and when it was last written to.
type State = (u64, Option<SystemTime>);

pub(in crate::cli) async fn run(
    args: &ImportArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let roots = roots(args)?;
    for root in &roots {
        output::say(format_args!("watching {}; Ctrl-C ends it", root.display()));
    }
    let mut known: HashMap<PathBuf, State> = HashMap::new();
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut every = EVERY;
    loop {
        let found = files(&roots);
        known.retain(|path, _| found.contains_key(path));
        let changed: Vec<PathBuf> = found
            .iter()
            .filter(|(path, state)| known.get(*path) != Some(state))
            .map(|(path, _)| path.clone())
            .collect();
        known.extend(found);
        if !changed.is_empty() {
            let again = changed.clone();
            tokio::select! {
                biased;
                _ = interrupt.as_mut() => return Ok(()),
                taken = take_in(changed, memory, session, out) => match taken {
                    // A server may be away for a while, and a file half written.
                    Err(Failure::Told { message, .. }) => {
                        output::warn(format_args!("{message}; tried again by itself"));
                        again.iter().for_each(|path| _ = known.remove(path));
                        every = (every * 2).min(LONGEST);
                    }
                    other => {
                        other?;
                        every = EVERY;
                    }
                },
            }
        }
        tokio::select! {
            _ = interrupt.as_mut() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// What is watched: as given, or where Claude Code keeps its sessions.
fn roots(args: &ImportArgs) -> Result<Vec<PathBuf>, Failure> {
    if args.paths.is_empty() {
        let home = etcetera::home_dir()
            .map_err(|e| Failure::failed(format!("there is no home directory: {e}")))?;
        let folder = home.join(".claude/projects");
        if !folder.is_dir() {
            return Err(Failure::not_found(format!("there is no folder {}", folder.display()))
                .hint("name the folder of your transcripts: `memory-mcp import --watch FOLDER`"));
        }
        return Ok(vec![folder]);
    }
    match args.paths.iter().find(|path| !path.exists()) {
        Some(absent) => Err(Failure::not_found(format!("{} does not exist", absent.display()))),
        None => Ok(args.paths.clone()),
    }
}

/// Every file below the roots. Links to folders are not followed.
fn files(roots: &[PathBuf]) -> HashMap<PathBuf, State> {
    let mut found = HashMap::new();
    let mut pending: Vec<PathBuf> = roots.to_vec();
    while let Some(path) = pending.pop() {
        let Ok(file) = std::fs::metadata(&path) else { continue };
        if file.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let entries = entries.filter(|e| e.file_type().is_ok_and(|t| !t.is_symlink()));
            pending.extend(entries.map(|entry| entry.path()));
        } else if found.len() < MAX_FILES {
            found.insert(path, (file.len(), file.modified().ok()));
        }
    }
    found
}

/// Takes in files that changed; a session's other files come along with each of its own.
async fn take_in(
    changed: Vec<PathBuf>,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut transcripts: Vec<(PathBuf, Format)> = Vec::new();
    for path in changed {
        // What is of no known format, or empty yet, is looked at again when it changes.
        let Ok(plan) = plan(std::slice::from_ref(&path)) else { continue };
        for file in plan.files {
            if !transcripts.iter().any(|(known, _)| *known == file.path) {
                transcripts.push((file.path, file.format));
            }
        }
    }
    if transcripts.is_empty() {
        return Ok(());
    }
    let label = match &*transcripts {
        [(one, _)] => one.display().to_string(),
        many => format!("{} files", many.len()),
    };
    let paths: Vec<PathBuf> = transcripts.into_iter().map(|(path, _)| path).collect();
    let plan = plan(&paths).map_err(|e| Failure::failed(e.to_string()))?;
    let sessions = plan.files.iter().all(|file| file.format == Format::ClaudeCode);
    let options = ImportOptions {
        project: session.config().write_project().to_owned(),
        default_time: memory.now(),
    };
    let mut reading =
        batch::read(Importer::new(plan, options), indicatif::ProgressBar::hidden(), 0);
    let mut tally = FileTally::new(label);
    while let Some(piece) = reading.pieces.recv().await {
        match piece {
            // The last line of a transcript may be half written: the next look finds it whole.
            Piece::Malformed(_) if sessions => {}
            Piece::Malformed(malformed) => tally.malformed(&malformed),
            Piece::Batch(records) => {
                let labels: Vec<Label> = records.iter().map(Label::of).collect();
                for (label, result) in labels.iter().zip(memory.take_in(records).await?) {
                    tally.taken_in(label, result);
                }
            }
        }
    }
    tally.problems().iter().for_each(output::warn);
    if tally.changed_nothing() {
        return Ok(());
    }
    if out.is_json() {
        let event = json!({ "at": memory.now(), "change": tally });
        out.line(event)?;
    } else {
        output::say(format_args!("{} {}", utc(memory.now()), tally.line()));
    }
    out.finish()
}
