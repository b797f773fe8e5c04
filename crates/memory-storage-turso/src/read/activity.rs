//! Which projects there are, and how many episodes began when.

use memory_core::store::{Activity, ActivityQuery, Period, Scope, TaskType};
use memory_core::{Result, Timestamp};

use crate::batch::{Batch, Statement, StatementResult, Value};
use crate::columns::Columns;
use crate::read::read;
use crate::write::text;

/// The names of all projects, one index look-up each; a scan would read every episode.
const PROJECTS: &str = "\
WITH RECURSIVE projects (name) AS (
    SELECT min(project) FROM episodes
    UNION ALL
    SELECT (SELECT min(e.project) FROM episodes e WHERE e.project > projects.name)
    FROM projects WHERE projects.name IS NOT NULL
    LIMIT 1000)
SELECT name FROM projects WHERE name IS NOT NULL";

const PROJECT: &str = "SELECT ?1 WHERE EXISTS (SELECT 1 FROM episodes e WHERE e.project = ?1)";

const PERIODS: &str = "\
SELECT e.started_at / ?1, e.outcome, count(*)
FROM episodes e WHERE e.project = ?3 AND e.started_at >= ?2
GROUP BY 1, 2 ORDER BY 1, 2";

/// For all projects one after the other, because only the index of a project has the outcomes in it: the other one would lead
/// to the wide rows.
const PERIODS_OF_ALL: &str = "\
WITH RECURSIVE projects (name) AS (
    SELECT min(project) FROM episodes
    UNION ALL
    SELECT (SELECT min(e.project) FROM episodes e WHERE e.project > projects.name)
    FROM projects WHERE projects.name IS NOT NULL
    LIMIT 1000)
SELECT e.started_at / ?1, e.outcome, count(*)
FROM projects CROSS JOIN episodes e ON e.project = projects.name AND e.started_at >= ?2
GROUP BY 1, 2 ORDER BY 1, 2";

const TASK_TYPES: &str = "\
SELECT task_type, count(*), sum(outcome = 'success') FROM episodes WHERE ?1 IS NULL OR project = ?1
GROUP BY task_type ORDER BY 2 DESC, 1 LIMIT 100";

pub(crate) fn activity(query: &ActivityQuery) -> Batch {
    let period = Value::Integer(query.period_us.max(1));
    let since = Value::Integer(query.since.0.max(0));
    read(match &query.scope {
        Scope::All => vec![
            Statement::new(PROJECTS, Vec::new()),
            Statement::new(PERIODS_OF_ALL, vec![period, since]),
        ],
        Scope::Project(project) => vec![
            Statement::new(PROJECT, vec![text(project)]),
            Statement::new(PERIODS, vec![period, since, text(project)]),
        ],
    })
}

pub(crate) fn activity_result(
    query: &ActivityQuery,
    results: Vec<StatementResult>,
) -> Result<Activity> {
    let mut results = results.into_iter().map(|result| result.rows);
    let names = results.next().unwrap_or_default();
    let projects = names.into_iter().map(|row| Columns::new(row).text()).collect::<Result<_>>()?;
    let period = |row| {
        let mut row = Columns::new(row);
        let start = Timestamp(row.integer()?.saturating_mul(query.period_us.max(1)));
        Ok(Period { start, state: row.text()?, episodes: row.unsigned()? })
    };
    let periods = results.next().unwrap_or_default().into_iter().map(period);
    Ok(Activity { projects, periods: periods.collect::<Result<_>>()? })
}

pub(crate) fn task_types(scope: &Scope) -> Statement {
    Statement::new(TASK_TYPES, vec![crate::write::scope_value(scope)])
}

pub(crate) fn task_type(row: Vec<Value>) -> Result<TaskType> {
    let mut row = Columns::new(row);
    Ok(TaskType { name: row.text()?, episodes: row.unsigned()?, successes: row.unsigned()? })
}
