//! Adding steps to a running episode.

use memory_core::episode::limits::{MAX_EPISODE_BYTES, MAX_STEPS};
use memory_core::store::{AppendSteps, Kept, Written};
use memory_core::{EpisodeId, Error, Result, Step};

use super::save::{RECORD_CHANGE, json};
use super::{Plan, applied, blob, hex, integer, scope_value};
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::payload::Payloads;

/// Decides. The row knows how many steps there are and how large they are, so nothing is counted.
const BUMP: &str = "\
UPDATE episodes SET version = version + 1, write_id = ?2, step_count = step_count + ?4,
    text_bytes = text_bytes + ?5
WHERE id = ?1 AND outcome = 'running' AND (?3 IS NULL OR project = ?3)
    AND (?6 IS NULL OR step_count + 1 = ?6)
    AND step_count + ?4 <= ?7 AND text_bytes + ?5 <= ?8
    AND NOT EXISTS (SELECT 1 FROM changes WHERE id = ?1 AND write_id = ?2)";

const PUT_STEPS: &str = concat!(
    "INSERT INTO steps (episode, n, count, payload) \
     SELECT e.rid, e.step_count - ?3 + 1, ?3, ?4 FROM episodes e WHERE ",
    applied!()
);

/// What is still there of what was recalled; a word that is there already stays.
const PUT_RECALLED: &str = concat!(
    "INSERT INTO feedback (subject, by_episode, project, verdict, at) \
     SELECT unhex(j.value), e.id, e.project, 'recalled', ?4 FROM episodes e, json_each(?3) j \
     WHERE (EXISTS (SELECT 1 FROM lessons l WHERE l.id = unhex(j.value) AND l.project = e.project) \
         OR EXISTS (SELECT 1 FROM episodes o WHERE o.id = unhex(j.value) AND o.project = e.project)) \
     AND ",
    applied!(),
    " ON CONFLICT (subject, by_episode) DO NOTHING"
);

const STATUS: &str = "\
SELECT (SELECT version FROM changes WHERE id = ?1 AND write_id = ?2),
    EXISTS (SELECT 1 FROM tombstones WHERE id = ?1 AND (?3 IS NULL OR project = ?3)),
    e.version, e.outcome, e.step_count, e.text_bytes
FROM (SELECT 1) LEFT JOIN episodes e ON e.id = ?1 AND (?3 IS NULL OR e.project = ?3)";

pub(super) fn plan(append: &AppendSteps, payloads: &Payloads) -> Result<Plan> {
    if append.steps.is_empty() {
        return Err(Error::invalid("steps", "is empty; give at least one step"));
    }
    for (i, step) in append.steps.iter().enumerate() {
        step.validate().map_err(|e| e.within(&format!("steps[{i}]")))?;
    }
    let count = append.steps.len() as u64;
    let bytes = append.steps.iter().map(Step::size_bytes).sum::<usize>() as u64;
    check_limits(count, bytes, 0, 0)?;
    let (id, write_id) = (blob(append.id.as_bytes()), blob(append.write_id.as_bytes()));
    let (scope, n) = (scope_value(&append.scope), integer("steps", count)?);
    let first = append.first.map_or(Value::Null, |first| Value::Integer(first.into()));
    let payload = Value::Blob(payloads.encode_steps(&append.steps)?);
    let bump = vec![
        id.clone(),
        write_id.clone(),
        scope.clone(),
        n.clone(),
        integer("steps", bytes)?,
        first,
        integer("steps", MAX_STEPS as u64)?,
        integer("steps", MAX_EPISODE_BYTES as u64)?,
    ];
    let gated = |sql, more: Vec<Value>| {
        Statement::new(sql, [vec![id.clone(), write_id.clone()], more].concat())
    };
    let mut statements = vec![Statement::new(BUMP, bump), gated(PUT_STEPS, vec![n, payload])];
    if !append.recalled.is_empty() {
        let ids: Vec<String> = append.recalled.iter().map(|id| hex(id.as_bytes())).collect();
        let at = append.steps.iter().filter_map(|step| step.at).max().map_or(0, |at| at.0);
        statements.push(gated(PUT_RECALLED, vec![json(&ids)?, Value::Integer(at)]));
    }
    statements.push(gated(RECORD_CHANGE, vec![]));
    statements.push(gated(STATUS, vec![scope]));
    let id = append.id;
    Ok(Plan::new(statements, move |row| verdict(id, count, bytes, row)))
}

fn verdict(id: EpisodeId, count: u64, bytes: u64, mut row: Columns) -> Result<Written> {
    let (applied, forgotten) = (row.optional_integer()?, row.boolean()?);
    let (version, outcome) = (row.optional_integer()?, row.optional_text()?);
    let (steps, held) = (row.optional_integer()?, row.optional_integer()?);
    let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
    if forgotten {
        return Err(Error::Forgotten { id });
    }
    let (Some(version), Some(outcome), Some(steps), Some(held)) = (version, outcome, steps, held)
    else {
        return Err(Error::NotFound {
            kind: "episode",
            id: id.to_string(),
            hint: "start the episode first",
        });
    };
    if applied.is_some() {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        return Ok(Written { version: unsigned(version), steps, kept: Kept::Stored });
    }
    if outcome != "running" {
        return Err(Error::Completed { id, outcome });
    }
    check_limits(count, bytes, unsigned(steps), unsigned(held))?;
    // What is left is a first number that does not follow the last one.
    Err(Error::Conflict { id, base: 0, current: unsigned(version) })
}

fn check_limits(count: u64, bytes: u64, steps: u64, held: u64) -> Result<()> {
    let (max_steps, max_bytes) = (MAX_STEPS as u64, MAX_EPISODE_BYTES as u64);
    if steps + count > max_steps {
        let problem = format!(
            "would be {}, the limit of one episode is {max_steps}; complete it and start another",
            steps + count
        );
        return Err(Error::invalid("steps", problem));
    }
    if held + bytes > max_bytes {
        let problem = format!(
            "would hold {} bytes of text, the limit of one episode is {max_bytes}; shorten \
             observations or start another episode",
            held + bytes
        );
        return Err(Error::invalid("steps", problem));
    }
    Ok(())
}
