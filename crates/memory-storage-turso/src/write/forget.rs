//! Deleting an episode and all that points to it.

use memory_core::store::Forget;
use memory_core::{EpisodeId, Error, Result, Timestamp};

use super::{Plan, blob, done, own_write_id, scope_value};
use crate::batch::{Statement, Value};

/// True while the episode of `?1` is there to be deleted: in the project `?2`, where that is given,
/// and at most at version `?3`, where that is given.
macro_rules! doomed {
    () => {
        "SELECT e.rid FROM episodes e WHERE e.id = ?1 AND (?2 IS NULL OR e.project = ?2) \
         AND (?3 IS NULL OR e.version <= ?3)"
    };
}

/// Lessons of which it is the only evidence: what they say comes from it, so they go with it, whoever
/// said what about them.
macro_rules! only_witness {
    () => {
        "SELECT v.lesson FROM lesson_evidence v WHERE v.episode = ?1 \
         AND NOT EXISTS (SELECT 1 FROM lesson_evidence o \
           WHERE o.lesson = v.lesson AND o.episode <> ?1)"
    };
}

const DELETIONS: [&str; 12] = [
    concat!("DELETE FROM episode_metadata WHERE episode = (", doomed!(), ")"),
    concat!("DELETE FROM episode_text WHERE rowid = (", doomed!(), ")"),
    concat!("DELETE FROM steps WHERE episode = (", doomed!(), ")"),
    concat!("DELETE FROM vectors WHERE episode = (", doomed!(), ")"),
    concat!("DELETE FROM feedback WHERE subject = ?1 AND EXISTS (", doomed!(), ")"),
    concat!(
        "DELETE FROM feedback WHERE subject IN (",
        only_witness!(),
        ") AND EXISTS (",
        doomed!(),
        ")"
    ),
    concat!("DELETE FROM lessons WHERE id IN (", only_witness!(), ") AND EXISTS (", doomed!(), ")"),
    // Lessons that nothing but a word of it keeps.
    concat!(
        "DELETE FROM lessons WHERE id IN (SELECT subject FROM feedback WHERE by_episode = ?1) \
         AND NOT EXISTS (SELECT 1 FROM lesson_evidence o \
           WHERE o.lesson = lessons.id AND o.episode <> ?1) \
         AND NOT EXISTS (SELECT 1 FROM feedback f \
           WHERE f.subject = lessons.id AND f.by_episode <> ?1) \
         AND EXISTS (",
        doomed!(),
        ")"
    ),
    concat!("DELETE FROM feedback WHERE by_episode = ?1 AND EXISTS (", doomed!(), ")"),
    concat!("DELETE FROM lesson_evidence WHERE episode = ?1 AND EXISTS (", doomed!(), ")"),
    concat!("DELETE FROM relations WHERE from_id = ?1 AND EXISTS (", doomed!(), ")"),
    concat!("DELETE FROM relations WHERE to_id = ?1 AND EXISTS (", doomed!(), ")"),
];

const LEAVE_TOMBSTONE: &str = "\
INSERT INTO tombstones (id, project, version, at)
SELECT e.id, e.project, e.version, ?3 FROM episodes e
WHERE e.id = ?1 AND (?2 IS NULL OR e.project = ?2)
ON CONFLICT (id) DO NOTHING";

const RECORD_CHANGE: &str = concat!(
    "INSERT INTO changes (kind, id, version, write_id) \
     SELECT 'episode', ?1, NULL, ?4 WHERE EXISTS (",
    doomed!(),
    ")"
);

const DELETE_EPISODE: &str = concat!("DELETE FROM episodes WHERE rid = (", doomed!(), ")");

const STATUS: &str = "\
SELECT (SELECT version FROM tombstones WHERE id = ?1 AND (?2 IS NULL OR project = ?2))";

/// The statements that delete the episode, if it is there: what hangs on it first, itself last.
pub(super) fn deletion(id: EpisodeId, at: Timestamp, scope: Value, up_to: Value) -> Vec<Statement> {
    let doomed = vec![blob(id.as_bytes()), scope, up_to];
    let change = [doomed.clone(), vec![own_write_id(at)]].concat();
    let mut statements: Vec<_> =
        DELETIONS.iter().map(|sql| Statement::new(sql, doomed.clone())).collect();
    statements.push(Statement::new(RECORD_CHANGE, change));
    statements.push(Statement::new(DELETE_EPISODE, doomed));
    statements
}

pub(super) fn plan(forget: &Forget) -> Result<Plan> {
    let (id, scope) = (blob(forget.id.as_bytes()), scope_value(&forget.scope));
    let leave = vec![id.clone(), scope.clone(), Value::Integer(forget.at.0)];
    let mut statements = vec![Statement::new(LEAVE_TOMBSTONE, leave)];
    statements.extend(deletion(forget.id, forget.at, scope.clone(), Value::Null));
    statements.push(Statement::new(STATUS, vec![id, scope]));
    let id = forget.id;
    Ok(Plan::new(statements, move |mut row| match row.optional_integer()? {
        Some(version) => done(u64::try_from(version).unwrap_or(0)),
        None => Err(Error::NotFound {
            kind: "episode",
            id: id.to_string(),
            hint: "list the episodes to find the right id",
        }),
    }))
}
