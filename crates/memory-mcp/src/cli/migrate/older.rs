//! `memory-mcp migrate --from FILE`: the episodes of a database in the older layout.

use std::path::Path;

use memory_core::memory::Intake;
use memory_core::record::Record;
use memory_storage_turso::older::OlderFile;
use serde_json::json;

use crate::cli::output::{self, DIM, Output, TITLE, paint};
use crate::cli::session::{LocalMemory, Session};
use crate::cli::{Exit, Failure, progress};
use crate::import::older;

/// Rows of one transaction.
const PAGE: i64 = 256;

/// Problems that are shown one by one; the rest is a number.
const SHOWN_PROBLEMS: usize = 20;

#[derive(Default)]
struct Tally {
    read: u64,
    added: u64,
    updated: u64,
    unchanged: u64,
    forgotten: u64,
    refused: u64,
    problems: Vec<String>,
}

impl Tally {
    fn count(&mut self, name: &str, result: Result<Intake, String>) {
        *match result {
            Ok(Intake::Added) => &mut self.added,
            Ok(Intake::Updated) => &mut self.updated,
            Ok(Intake::Unchanged) => &mut self.unchanged,
            Ok(Intake::Forgotten) => &mut self.forgotten,
            Err(problem) => {
                if self.problems.len() < SHOWN_PROBLEMS {
                    self.problems.push(format!("{name}: {problem}"));
                }
                &mut self.refused
            }
        } += 1;
    }
}

/// The older file is read and never written; run again, what is there already stays as it is.
pub(super) async fn run(
    from: &Path,
    dry_run: bool,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let file = OlderFile::open(from).await?;
    let memory = if dry_run { None } else { Some(session.open().await?) };
    let mut tally = Tally::default();
    let done = tokio::select! {
        done = take_in(&file, memory.as_deref(), session, &mut tally) => done,
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted("stopped by Ctrl-C")
            .hint("run the same command again to go on where it stopped")),
    };
    if let Some(memory) = &memory {
        memory.store().durable().close().await;
    }
    tell(&tally, from, &file, dry_run, out)?;
    done?;
    if tally.refused == 0 { Ok(()) } else { Err(Failure::Silent(Exit::Incomplete)) }
}

async fn take_in(
    file: &OlderFile,
    memory: Option<&LocalMemory>,
    session: &Session,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let bar = progress::records(file.rows);
    let project = session.config().write_project();
    let mut after = i64::MIN;
    loop {
        let page = file.page(after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        let (mut names, mut records) = (Vec::new(), Vec::new());
        for (place, row) in page {
            tally.read += 1;
            let name = format!("row {place}");
            match older::episode(row, project) {
                Ok(episode) => {
                    names.push(name);
                    records.push(Record::Episode(Box::new(episode)));
                }
                Err(problem) => tally.count(&name, Err(problem)),
            }
        }
        if let Some(memory) = memory {
            for (name, result) in names.iter().zip(memory.take_in(records).await?) {
                tally.count(name, result.map_err(|e| e.to_string()));
            }
        }
        bar.set_position(tally.read);
    }
    bar.finish_and_clear();
    Ok(())
}

fn tell(
    tally: &Tally,
    from: &Path,
    file: &OlderFile,
    dry_run: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    tally.problems.iter().for_each(output::warn);
    let Tally { read, added, updated, unchanged, forgotten, refused, problems } = tally;
    let others: Vec<String> =
        file.other_tables.iter().map(|(name, rows)| format!("{name} ({rows} rows)")).collect();
    if out.is_json() {
        return out.json(&json!({
            "from": from,
            "dry_run": dry_run,
            "read": read,
            "added": added,
            "updated": updated,
            "unchanged": unchanged,
            "forgotten": forgotten,
            "refused": refused,
            "problems": problems,
            "other_tables": others,
        }));
    }
    let counts = [
        (updated, "updated"),
        (unchanged, "unchanged"),
        (forgotten, "forgotten earlier"),
        (refused, "refused"),
    ];
    let words = counts.iter().filter(|(n, _)| **n > 0).map(|(n, what)| format!(", {n} {what}"));
    let words: String = words.collect();
    let sum = if dry_run {
        format!("{read} episodes read, {refused} of them would be refused; nothing was written")
    } else {
        format!("{read} episodes read: {added} added{words}")
    };
    out.line(paint(TITLE, sum))?;
    if !others.is_empty() {
        out.line(paint(DIM, format_args!("left where they are: {}", others.join(", "))))?;
    }
    out.line(paint(DIM, format_args!("{} is as it was", from.display())))
}
