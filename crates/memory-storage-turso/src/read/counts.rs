//! How much there is.

use memory_core::Result;
use memory_core::store::{Counts, Scope};

use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::write::scope_value;

/// Rows of (what, state, how many).
const COUNTS: &str = "\
SELECT 'episode', outcome, count(*) FROM episodes WHERE ?1 IS NULL OR project = ?1 GROUP BY outcome
UNION ALL
SELECT 'lesson', kind, count(*) FROM lessons WHERE ?1 IS NULL OR project = ?1 GROUP BY kind
UNION ALL
SELECT 'feedback', '', count(*) FROM feedback
    WHERE (?1 IS NULL OR project = ?1) AND verdict <> 'recalled'
UNION ALL
SELECT 'relation', '', count(*) FROM relations WHERE ?1 IS NULL OR project = ?1
UNION ALL
SELECT 'tombstone', '', count(*) FROM tombstones WHERE ?1 IS NULL OR project = ?1";

pub(crate) fn counts(scope: &Scope) -> Statement {
    Statement::new(COUNTS, vec![scope_value(scope)])
}

pub(crate) fn result(rows: Vec<Vec<Value>>) -> Result<Counts> {
    let mut counts = Counts::default();
    for row in rows {
        let mut row = Columns::new(row);
        let (what, state, n) = (row.text()?, row.text()?, row.unsigned()?);
        match (what.as_str(), state.as_str()) {
            ("episode", _) => {
                counts.episodes.insert(state, n);
            }
            ("lesson", "heuristic") => counts.heuristics += n,
            ("lesson", _) => counts.patterns += n,
            ("feedback", _) => counts.feedback = n,
            ("relation", _) => counts.relations = n,
            _ => counts.tombstones = n,
        }
    }
    Ok(counts)
}
