//! What can be told of a database in a moment: is the file sound, are rows found by index.

use memory_core::store::{Filter, LessonQuery, ListQuery, Scope, SearchQuery};
use memory_core::{Condition, EpisodeId, Result};

use crate::batch::{Access, Batch, Statement, Value};
use crate::maintenance::Maintenance;
use crate::read::{episodes, lessons, list, search};
use crate::transport::Transport;

/// Structure and contents of pages; not whether the indexes agree with their tables.
const QUICK_CHECK: &str = "PRAGMA quick_check(10)";

/// What may be scanned: it is as long as the question or the page, or an index made for it.
pub(crate) const MAY_BE_SCANNED: &[&str] = &[
    "SCAN j VIRTUAL TABLE",
    "SCAN json_each VIRTUAL TABLE",
    "SCAN episode_text VIRTUAL TABLE",
    "SCAN CONSTANT ROW",
    "SCAN page",
    "SCAN candidates",
    "SCAN chosen",
    "SCAN present",
    "SCAN spread",
    "SCAN found",
    "SCAN v",
    "SCAN 8-ROW VALUES CLAUSE",
    "SCAN h",
    "SCAN near",
    "SCAN (subquery",
    "SCAN above",
    "SCAN earlier",
    "SCAN asked",
    "SCAN ranked",
    "SCAN few",
    "SCAN small",
    "SCAN together",
    "SCAN common",
    "SCAN heavy",
    "SCAN rare",
    "SCAN tried",
    "SCAN expression",
    "SCAN m",
];

impl Maintenance {
    /// What the engine finds wrong with the pages of its file. `None`: a server that does not answer such
    /// questions.
    ///
    /// # Errors
    ///
    /// Those of a read.
    pub async fn quick_check(&self) -> Result<Option<Vec<String>>> {
        let lines = match self.texts(QUICK_CHECK, Vec::new()).await {
            Ok(lines) => lines,
            Err(e) if e.is_retryable() => return Err(e),
            Err(_) if matches!(self.transport, Transport::Remote(_)) => return Ok(None),
            Err(e) => vec![e.to_string()],
        };
        Ok(Some(lines.into_iter().filter(|line| line != "ok").collect()))
    }

    /// Steps of the plans for getting, listing (by metadata too), searching and for lessons that read a whole table: an index
    /// is missing then, or the statistics that plans are made by are wrong. `None`: a server that does not
    /// explain.
    ///
    /// # Errors
    ///
    /// Those of a read.
    pub async fn full_scans(&self) -> Result<Option<Vec<String>>> {
        let mut found = Vec::new();
        for Statement { sql, params } in everyday()? {
            match self.texts(&format!("EXPLAIN QUERY PLAN {sql}"), params).await {
                Ok(steps) => found.extend(steps.into_iter().filter(|step| is_full_scan(step))),
                Err(e) if e.is_retryable() => return Err(e),
                Err(_) if matches!(self.transport, Transport::Remote(_)) => return Ok(None),
                Err(e) => found.push(e.to_string()),
            }
        }
        Ok(Some(found))
    }

    /// The last column of each row.
    async fn texts(&self, sql: &str, params: Vec<Value>) -> Result<Vec<String>> {
        let statements = vec![Statement { sql: sql.to_owned().into(), params }];
        let results = self.transport.run(Batch { access: Access::Read, statements }).await?;
        let rows = results.into_iter().flat_map(|result| result.rows);
        Ok(rows
            .filter_map(|mut row| match row.pop() {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            })
            .collect())
    }
}

pub(crate) fn is_full_scan(step: &str) -> bool {
    step.contains("SCAN") && !MAY_BE_SCANNED.iter().any(|allowed| step.starts_with(allowed))
}

/// The reads of a working day.
fn everyday() -> Result<Vec<Statement>> {
    let scope = Scope::Project("p".into());
    let id = EpisodeId::from_bytes([0; 16]);
    let filter = Filter::default();
    let list = ListQuery { scope: scope.clone(), filter: filter.clone(), after: None, limit: 20 };
    let search = SearchQuery {
        scope: scope.clone(),
        terms: vec!["a".into()],
        synonyms: Vec::new(),
        filter,
        limit: 5,
    };
    let lessons = LessonQuery { scope: scope.clone(), episodes: vec![id], kinds: vec![], limit: 9 };
    let metadata = Some(Condition::equals("k", 1));
    let by_metadata =
        ListQuery { filter: Filter { metadata, ..list.filter.clone() }, ..list.clone() };
    let mut statements = vec![
        episodes::get(&scope, &[id]),
        list::list(&list)?,
        list::list(&by_metadata)?,
        lessons::lessons(&lessons),
    ];
    statements.extend(search::search(&search, search::WEIGHED)?.statements);
    Ok(statements)
}
