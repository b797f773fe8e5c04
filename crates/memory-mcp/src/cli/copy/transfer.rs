//! What the target lacks goes to it, kind by kind, page by page.

use std::sync::Arc;

use indicatif::ProgressBar;
use memory_core::record::{Record, RecordKind};
use memory_core::store::{EpisodeStore, LessonRecord, Save, Write};
use memory_core::{Clock, Error, Result, SystemClock, WriteId};

use memory_storage_turso::TursoStore;

use super::Sides;
use super::stream::{Key, Stream};
use super::tally::{Became, Tally, plural};
use crate::cli::Failure;

/// A page of the source, decided record by record.
struct Page {
    decided: Vec<(Key, Became)>,
    writes: Vec<(Key, String, Became, Write)>,
}

pub(super) struct Transfer<'a> {
    sides: &'a Sides<'a>,
    bar: &'a ProgressBar,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(sides: &'a Sides<'a>, bar: &'a ProgressBar) -> Self {
        Transfer { sides, bar }
    }

    /// In the order of an export, so that whatever a record points to is there before it.
    pub(super) async fn run(&self, tally: &mut Tally) -> Result<(), Failure> {
        for kind in RecordKind::ALL {
            self.bar.set_message(plural(kind));
            self.kind(kind, tally).await?;
        }
        Ok(())
    }

    async fn kind(&self, kind: RecordKind, tally: &mut Tally) -> Result<(), Failure> {
        let Sides { source, target, scope } = *self.sides;
        let mut from = Stream::new(source, scope, kind);
        let mut to = Stream::new(target, scope, kind);
        let mut page = read(&mut from, &mut to).await?;
        while let Some(Page { decided, writes }) = page {
            self.bar.inc((decided.len() + writes.len()) as u64);
            for (key, became) in decided {
                tally.count(kind, key, became);
            }
            let put = put(target, kind, writes, tally);
            // The next page is read while this one is written.
            let (next, ()) = futures::try_join!(read(&mut from, &mut to), put)?;
            page = next;
        }
        Ok(())
    }
}

async fn read(from: &mut Stream<'_>, to: &mut Stream<'_>) -> Result<Option<Page>> {
    let records = from.page().await?;
    if records.is_empty() {
        return Ok(None);
    }
    let mut page = Page { decided: Vec::new(), writes: Vec::new() };
    for record in records {
        let key = Key::of(&record);
        let theirs = to.at(&key).await?;
        match decide(record, theirs)? {
            Decision::Done(became) => page.decided.push((key, became)),
            Decision::Write(label, became, write) => page.writes.push((key, label, became, *write)),
        }
    }
    Ok(Some(page))
}

async fn put(
    target: &TursoStore,
    kind: RecordKind,
    writes: Vec<(Key, String, Became, Write)>,
    tally: &mut Tally,
) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut labels = Vec::with_capacity(writes.len());
    let mut batch = Vec::with_capacity(writes.len());
    for (key, label, became, write) in writes {
        labels.push((key, label, became));
        batch.push(write);
    }
    for ((key, label, became), result) in labels.into_iter().zip(target.write(batch).await?) {
        match result {
            Ok(_) => tally.count(kind, key, became),
            Err(Error::Forgotten { .. }) => tally.count(kind, key, Became::Forgotten),
            Err(e) => {
                tally.problem(format!("{label}: {e}"));
                tally.count(kind, key, Became::Refused);
            }
        }
    }
    Ok(())
}

enum Decision {
    Done(Became),
    Write(String, Became, Box<Write>),
}

/// What is to be done about a record of which the target has `theirs`.
fn decide(ours: Record, theirs: Option<Record>) -> Result<Decision> {
    let became = match &theirs {
        None => Became::Added,
        Some(theirs) if theirs.to_line()? == ours.to_line()? => {
            return Ok(Decision::Done(Became::AlreadyThere));
        }
        Some(theirs) => match against(&ours, theirs) {
            Became::Updated => Became::Updated,
            done => return Ok(Decision::Done(done)),
        },
    };
    let base = match &theirs {
        Some(Record::Episode(theirs)) => theirs.version,
        _ => 0,
    };
    let (label, write) = match ours {
        // Lessons follow as records, with all of their evidence.
        Record::Episode(episode) => {
            let write_id = WriteId::generate(SystemClock.now());
            let label = format!("episode {}", episode.id);
            let episode = Arc::new(*episode);
            (label, Write::Save(Save { episode, base, write_id, lessons: Vec::new() }))
        }
        Record::Pattern(record) | Record::Heuristic(record) => {
            (format!("lesson {}", record.lesson.id), Write::PutLesson(record))
        }
        Record::Feedback(word) => (format!("feedback on {}", word.subject), Write::Feedback(word)),
        Record::Relation(relation) => {
            (format!("relation from {}", relation.from), Write::Relate(relation))
        }
        Record::Tombstone(tombstone) => {
            (format!("tombstone {}", tombstone.id), Write::PutTombstone(tombstone))
        }
    };
    Ok(Decision::Write(label, became, Box::new(write)))
}

/// Two different records of one key: the newer one counts.
fn against(ours: &Record, theirs: &Record) -> Became {
    match (ours, theirs) {
        (Record::Episode(ours), Record::Episode(theirs)) if ours.project == theirs.project => {
            match ours.version.cmp(&theirs.version) {
                std::cmp::Ordering::Greater => Became::Updated,
                std::cmp::Ordering::Less => Became::Kept,
                std::cmp::Ordering::Equal => Became::Diverged,
            }
        }
        (
            Record::Pattern(ours) | Record::Heuristic(ours),
            Record::Pattern(theirs) | Record::Heuristic(theirs),
        ) => {
            if is_within(ours, theirs) {
                Became::AlreadyThere
            } else {
                Became::Updated
            }
        }
        (Record::Feedback(ours), Record::Feedback(theirs)) if ours.at > theirs.at => {
            Became::Updated
        }
        (Record::Feedback(_), _) | (Record::Relation(_), _) | (Record::Tombstone(_), _) => {
            Became::Kept
        }
        _ => Became::Diverged,
    }
}

/// True when the target's lesson rests on all that the source's does.
fn is_within(ours: &LessonRecord, theirs: &LessonRecord) -> bool {
    ours.lesson == theirs.lesson && ours.evidence.iter().all(|e| theirs.evidence.contains(e))
}
