//! `memory-mcp export`.

use std::io::IsTerminal;

use indicatif::ProgressBar;
use memory_core::record::RecordKind;
use memory_core::store::{Counts, EpisodeStore, ScanQuery, Scope};

use super::args::ExportArgs;
use super::output::Output;
use super::session::{LocalMemory, Session};
use super::{Failure, progress};

/// Records read at a time: few enough that a page of the largest episodes still fits in memory.
const PAGE: usize = 128;

pub(super) async fn run(
    args: &ExportArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let scope = session.scope();
    let kinds = args.kind.map_or(RecordKind::ALL.to_vec(), |kind| vec![kind]);
    // A bar between the records of a terminal would help nobody.
    let bar = if std::io::stdout().is_terminal() {
        ProgressBar::hidden()
    } else {
        let counts = memory.store().counts(&scope).await?;
        progress::records(kinds.iter().map(|kind| count(&counts, *kind)).sum())
    };
    for kind in kinds {
        bar.set_message(format!("{}s", kind.as_str()));
        write_records(memory, &scope, kind, &bar, out).await?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// One JSON record a line, ordered by id.
async fn write_records(
    memory: &LocalMemory,
    scope: &Scope,
    kind: RecordKind,
    bar: &ProgressBar,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut query = ScanQuery { scope: scope.clone(), kind, after: None, limit: PAGE };
    loop {
        let page = memory.store().scan(&query).await?;
        for record in &page.records {
            out.line(record.to_line()?)?;
        }
        bar.inc(page.records.len() as u64);
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

fn count(counts: &Counts, kind: RecordKind) -> u64 {
    match kind {
        RecordKind::Episode => counts.episodes.values().sum(),
        RecordKind::Pattern => counts.patterns,
        RecordKind::Heuristic => counts.heuristics,
        RecordKind::Feedback => counts.feedback,
        RecordKind::Relation => counts.relations,
        RecordKind::Tombstone => counts.tombstones,
    }
}
