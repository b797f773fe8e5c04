//! A word on something that was recalled.

use memory_core::store::Feedback;
use memory_core::{Error, Result};

use super::{Plan, blob, done, own_write_id, text};
use crate::batch::{Statement, Value};
use crate::names;

/// True when this word is to be taken: it is about something of its project, nobody forgot who said
/// it, and no later word of the same episode is there. That it was merely recalled is no word.
macro_rules! accepted {
    () => {
        "(EXISTS (SELECT 1 FROM lessons WHERE id = ?1 AND project = ?3) \
           OR EXISTS (SELECT 1 FROM episodes WHERE id = ?1 AND project = ?3)) \
         AND NOT EXISTS (SELECT 1 FROM tombstones WHERE id = ?2) \
         AND NOT EXISTS (SELECT 1 FROM feedback WHERE subject = ?1 AND by_episode = ?2 \
           AND (?4 = 'recalled' OR verdict <> 'recalled') \
           AND (?4 = 'recalled' OR at > ?5 OR (at = ?5 AND verdict = ?4)))"
    };
}

/// Before the word itself, which would make it look like a repetition.
const RECORD_CHANGE: &str = concat!(
    "INSERT INTO changes (kind, id, version, write_id) SELECT 'feedback', ?1, NULL, ?6 WHERE ",
    accepted!()
);

const PUT: &str = concat!(
    "INSERT INTO feedback (subject, by_episode, project, verdict, at) \
     SELECT ?1, ?2, ?3, ?4, ?5 WHERE ",
    accepted!(),
    " ON CONFLICT (subject, by_episode) DO UPDATE SET verdict = excluded.verdict, at = excluded.at \
     WHERE feedback.project = excluded.project"
);

const STATUS: &str = "\
SELECT EXISTS (SELECT 1 FROM feedback WHERE subject = ?1 AND by_episode = ?2 AND project = ?3),
    EXISTS (SELECT 1 FROM tombstones WHERE id = ?2),
    EXISTS (SELECT 1 FROM tombstones WHERE id = ?1 AND project = ?3)";

pub(super) fn plan(feedback: &Feedback) -> Result<Plan> {
    let subject = blob(feedback.subject.as_bytes());
    let (by, project) = (blob(feedback.by.as_bytes()), text(&feedback.project));
    let word = vec![
        subject.clone(),
        by.clone(),
        project.clone(),
        text(names::verdict(feedback.verdict)),
        Value::Integer(feedback.at.0),
    ];
    let change = [word.clone(), vec![own_write_id(feedback.at)]].concat();
    let statements = vec![
        Statement::new(RECORD_CHANGE, change),
        Statement::new(PUT, word),
        Statement::new(STATUS, vec![subject, by, project]),
    ];
    let (subject, by) = (feedback.subject, feedback.by);
    Ok(Plan::new(statements, move |mut row| {
        let (there, by_forgotten, subject_forgotten) =
            (row.boolean()?, row.boolean()?, row.boolean()?);
        if there {
            return done(0);
        }
        if by_forgotten {
            return Err(Error::Forgotten { id: by });
        }
        if subject_forgotten {
            let id = memory_core::EpisodeId::from_bytes(*subject.as_bytes());
            return Err(Error::Forgotten { id });
        }
        Err(Error::NotFound {
            kind: "lesson or episode",
            id: subject.to_string(),
            hint: "give an id that a recall returned",
        })
    }))
}
