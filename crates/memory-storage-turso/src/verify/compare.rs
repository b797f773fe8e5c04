//! One episode against what was drawn from it.

use memory_core::recall::document::Document;
use memory_core::{Episode, EpisodeId, Result};

use super::page::Row;
use super::report::{Part, Problem};
use crate::batch::{Statement, Value};
use crate::payload::Payloads;
use crate::write::save::{drawn, metadata_value};

/// True while the episode is as it was when it was looked at.
macro_rules! unchanged {
    () => {
        "rid = ?1 AND version = ?2 AND write_id = ?3"
    };
}

const PUT_COLUMNS: &str = concat!(
    "UPDATE episodes SET project = ?4, task_type = ?5, domain = ?6, language = ?7, \
     started_at = ?8, ended_at = ?9, outcome = ?10, reward = ?11, archived_at = ?12, \
     step_count = ?13, text_bytes = ?14 WHERE ",
    unchanged!()
);

const CLEAR_METADATA: &str = concat!(
    "DELETE FROM episode_metadata WHERE episode = (SELECT rid FROM episodes WHERE ",
    unchanged!(),
    ")"
);

const PUT_METADATA: &str = concat!(
    "INSERT INTO episode_metadata (episode, key, value, project, started_at) \
     SELECT rid, ?4, ?5, ?6, ?7 FROM episodes WHERE ",
    unchanged!()
);

const PUT_TEXT: &str = concat!(
    "INSERT OR REPLACE INTO episode_text (rowid, task, context, steps, reflection) \
     SELECT rid, ?4, ?5, ?6, ?7 FROM episodes WHERE ",
    unchanged!()
);

const PUT_CHANGE: &str = concat!(
    "INSERT INTO changes (kind, id, version, write_id) \
     SELECT 'episode', id, version, write_id FROM episodes WHERE ",
    unchanged!()
);

/// What is wrong with an episode. `complete_feed`: the feed should tell of it.
pub(super) fn problems(row: &Row, payloads: &Payloads, complete_feed: bool) -> Vec<Problem> {
    let id = EpisodeId::from_bytes(row.id);
    let thing = format!("episode {id}");
    let mut found = Vec::new();
    if let Some(problem) = feed(row, complete_feed) {
        let repair = vec![row.statement(PUT_CHANGE, vec![])];
        found.push(Problem::repairable(Part::Changes, &thing, problem, repair));
    }
    let episode: Episode = match payloads.decode(&thing, &row.payload) {
        Ok(episode) => episode,
        Err(e) => {
            found.push(Problem::lost(Part::Payload, thing, e.to_string()));
            return found;
        }
    };
    if episode.id != id {
        let problem = format!("its payload is that of episode {}", episode.id);
        found.push(Problem::lost(Part::Payload, thing, problem));
        return found;
    }
    if !row.has_text {
        found.push(Problem::repairable(
            Part::Text,
            &thing,
            "the index lacks it",
            text(row, &episode),
        ));
    }
    found.extend(metadata_problem(row, &episode, &thing));
    match with_logged_steps(row, payloads, &episode) {
        Ok(whole) => found.extend(columns_problem(row, &whole, &thing)),
        Err(problem) => found.push(Problem::lost(Part::Steps, thing, problem)),
    }
    found
}

/// A change of a lesser version, or none: whoever follows the feed does not know this state.
fn feed(row: &Row, complete_feed: bool) -> Option<String> {
    match row.last_change {
        Some(Some(version)) if version == row.version => None,
        Some(Some(version)) => {
            Some(format!("it has version {}, its last change says {version}", row.version))
        }
        Some(None) => Some("its last change says that it was forgotten".into()),
        None if complete_feed => Some("no change tells of it".into()),
        None => None,
    }
}

fn text(row: &Row, episode: &Episode) -> Vec<Statement> {
    let Document { task, context, steps, reflection } = Document::of(episode);
    let fields = [task, context, steps, reflection].map(Value::Text).to_vec();
    vec![row.statement(PUT_TEXT, fields)]
}

fn metadata_problem(row: &Row, episode: &Episode, thing: &str) -> Option<Problem> {
    let project = || episode.project.clone();
    let row_of = |(key, value)| {
        let at = Value::Integer(episode.started_at.0);
        [Value::Text(String::clone(key)), metadata_value(value), Value::Text(project()), at]
    };
    let wanted: Vec<[Value; 4]> = episode.metadata.iter().map(row_of).collect();
    let is_same_row = |wanted: &[Value; 4], held: &[Value; 4]| {
        wanted.iter().zip(held).all(|(wanted, held)| is_same(wanted, held))
    };
    let is_held = |wanted: &&[Value; 4]| row.metadata.iter().any(|held| is_same_row(wanted, held));
    let is_wanted = |held: &&[Value; 4]| wanted.iter().any(|wanted| is_same_row(wanted, held));
    let missing = wanted.len() - wanted.iter().filter(is_held).count();
    let strange = row.metadata.len() - row.metadata.iter().filter(is_wanted).count();
    if (missing, strange) == (0, 0) {
        return None;
    }
    let problem = format!("{missing} of its rows are missing, {strange} are not its own");
    let mut repair = vec![row.statement(CLEAR_METADATA, vec![])];
    repair.extend(wanted.into_iter().map(|entry| row.statement(PUT_METADATA, entry.to_vec())));
    Some(Problem::repairable(Part::Metadata, thing, problem, repair))
}

/// The episode with the steps logged since its payload was written.
fn with_logged_steps(row: &Row, payloads: &Payloads, episode: &Episode) -> Result<Episode, String> {
    let mut whole = episode.clone();
    for (first, count, payload) in &row.steps {
        let next = whole.steps.len() as u64 + 1;
        if *first != next {
            return Err(format!("steps logged from {first} on follow step {}", next - 1));
        }
        let number = u32::try_from(*first).unwrap_or(u32::MAX);
        let steps = payloads.decode_steps(whole.id, number, payload);
        let steps = steps.map_err(|e| e.to_string())?;
        if steps.len() as u64 != *count {
            return Err(format!("{} steps from {first} on, not {count}", steps.len()));
        }
        whole.steps.extend(steps);
    }
    if !row.steps.is_empty() && whole.outcome.is_some() {
        return Err("it is completed, and has steps that were never put into it".into());
    }
    Ok(whole)
}

fn columns_problem(row: &Row, episode: &Episode, thing: &str) -> Option<Problem> {
    let wanted = drawn(episode).ok()?;
    let differing: Vec<&str> = wanted
        .iter()
        .zip(&row.columns)
        .filter(|((_, wanted), held)| !is_same(wanted, held))
        .map(|((name, _), _)| *name)
        .collect();
    if differing.is_empty() {
        return None;
    }
    let problem = format!("not as in its payload: {}", differing.join(", "));
    let values = wanted.into_iter().map(|(_, value)| value).collect();
    let repair = vec![row.statement(PUT_COLUMNS, values)];
    Some(Problem::repairable(Part::Columns, thing, problem, repair))
}

/// Over HTTP a real without a fraction may come back as an integer.
fn is_same(wanted: &Value, held: &Value) -> bool {
    match (wanted, held) {
        (Value::Real(wanted), Value::Integer(held)) => *wanted == *held as f64,
        _ => wanted == held,
    }
}

impl Row {
    /// A statement that does nothing once the episode has changed.
    fn statement(&self, sql: &'static str, more: Vec<Value>) -> Statement {
        let mut params = vec![
            Value::Integer(self.rid),
            Value::Integer(self.version),
            Value::Blob(self.write_id.to_vec()),
        ];
        params.extend(more);
        Statement::new(sql, params)
    }
}
