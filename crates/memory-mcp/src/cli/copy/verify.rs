//! Both sides read again: whatever was copied is there, to the byte of an export.

use std::collections::HashSet;

use indicatif::ProgressBar;
use memory_core::EpisodeId;
use memory_core::Result;
use memory_core::record::{Record, RecordKind};
use memory_core::store::LessonRecord;
use sha2::{Digest, Sha256};

use super::Sides;
use super::stream::{Key, Stream};
use super::tally::{SHOWN_PROBLEMS, Tally, Verified};
use crate::cli::Failure;

/// Lines of an export, counted and summed up.
#[derive(Default)]
struct Sum {
    lines: u64,
    hash: Sha256,
}

impl Sum {
    fn add(&mut self, line: &str) {
        self.lines += 1;
        self.hash.update(line);
        self.hash.update("\n");
    }

    fn hex(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Compares what was copied, and that alone: the target may hold more, and newer states.
pub(super) async fn run(
    sides: &Sides<'_>,
    tally: &Tally,
    bar: &ProgressBar,
) -> Result<Verified, Failure> {
    let (mut ours, mut theirs) = (Sum::default(), Sum::default());
    let (mut differing, mut problems) = (0, Vec::new());
    bar.set_message("verifying");
    for kind in RecordKind::ALL {
        let mut from = Stream::new(sides.source, sides.scope, kind);
        let mut to = Stream::new(sides.target, sides.scope, kind);
        loop {
            let page = from.page().await?;
            if page.is_empty() {
                break;
            }
            bar.inc(page.len() as u64);
            for record in page {
                let key = Key::of(&record);
                let found = to.at(&key).await?;
                if tally.is_left_out(kind, &key) {
                    continue;
                }
                let (mine, found) = comparable(record, found, tally);
                let mine = mine.to_line()?;
                let found = found.map(|record| record.to_line()).transpose()?;
                ours.add(&mine);
                if let Some(line) = &found {
                    theirs.add(line);
                }
                if found.as_ref() != Some(&mine) {
                    differing += 1;
                    if problems.len() < SHOWN_PROBLEMS {
                        let what = if found.is_some() { "differs" } else { "is missing" };
                        let line = memory_core::error::excerpt(&mine);
                        problems.push(format!("{what} in the target: {line}"));
                    }
                }
            }
        }
    }
    let (records, found) = (ours.lines, theirs.lines);
    let (sha256_from, sha256_to) = (ours.hex(), theirs.hex());
    Ok(Verified { records, found, sha256_from, sha256_to, differing, problems })
}

/// A lesson of the target may rest on more than the source knows; and not on what was left out.
fn comparable(ours: Record, theirs: Option<Record>, tally: &Tally) -> (Record, Option<Record>) {
    let copied =
        |episode: &EpisodeId| !tally.is_left_out(RecordKind::Episode, &Key::of_episode(*episode));
    let common = |mut record: LessonRecord, among: &HashSet<EpisodeId>| {
        record.evidence.retain(|e| among.contains(&e.episode));
        record
    };
    let evidence = |record: &LessonRecord| -> HashSet<EpisodeId> {
        record.evidence.iter().map(|e| e.episode).filter(copied).collect()
    };
    match (ours, theirs) {
        (Record::Pattern(ours), Some(Record::Pattern(theirs))) => {
            let among = evidence(&ours);
            (Record::Pattern(common(ours, &among)), Some(Record::Pattern(common(theirs, &among))))
        }
        (Record::Heuristic(ours), Some(Record::Heuristic(theirs))) => {
            let among = evidence(&ours);
            let theirs = Record::Heuristic(common(theirs, &among));
            (Record::Heuristic(common(ours, &among)), Some(theirs))
        }
        sides => sides,
    }
}
