//! Rows that belong to nothing, and the feed against what it tells of.

use memory_core::{EpisodeId, Result};

use super::report::{Part, Problem};
use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::database::Database;
use crate::read;

/// How many of each are told and repaired in one run.
macro_rules! most {
    () => {
        " LIMIT 1000"
    };
}

/// Rows of one kind that should not be there: the key is a row's number or an episode's id.
struct Search {
    part: Part,
    sql: &'static str,
    problem: &'static str,
    /// Takes the key as `?1`; `None`: there is nothing to repair it from.
    repair: Option<&'static str>,
}

const SEARCHES: [Search; 9] = [
    Search {
        part: Part::Metadata,
        sql: concat!(
            "SELECT DISTINCT episode FROM episode_metadata \
             WHERE episode NOT IN (SELECT rid FROM episodes)",
            most!()
        ),
        problem: "metadata without an episode",
        repair: Some(
            "DELETE FROM episode_metadata WHERE episode = ?1 \
             AND NOT EXISTS (SELECT 1 FROM episodes WHERE rid = ?1)",
        ),
    },
    Search {
        part: Part::Text,
        sql: concat!(
            "SELECT id FROM episode_text_docsize WHERE id NOT IN (SELECT rid FROM episodes)",
            most!()
        ),
        problem: "the index has a row without an episode",
        repair: Some(
            "DELETE FROM episode_text WHERE rowid = ?1 \
             AND NOT EXISTS (SELECT 1 FROM episodes WHERE rid = ?1)",
        ),
    },
    Search {
        part: Part::Steps,
        sql: concat!(
            "SELECT DISTINCT episode FROM steps WHERE episode NOT IN (SELECT rid FROM episodes)",
            most!()
        ),
        problem: "steps of an episode that is not there",
        repair: None,
    },
    Search {
        part: Part::Vectors,
        sql: concat!(
            "SELECT episode FROM vectors WHERE episode NOT IN (SELECT rid FROM episodes)",
            most!()
        ),
        problem: "a vector without an episode",
        repair: Some(
            "DELETE FROM vectors WHERE episode = ?1 \
             AND NOT EXISTS (SELECT 1 FROM episodes WHERE rid = ?1)",
        ),
    },
    Search {
        part: Part::Tombstones,
        sql: concat!("SELECT t.id FROM tombstones t JOIN episodes e ON e.id = t.id", most!()),
        problem: "it was forgotten and is still there; forget it again",
        repair: None,
    },
    Search {
        part: Part::Tombstones,
        sql: concat!(
            "SELECT t.id FROM tombstones t WHERE (SELECT c.version FROM changes c \
             WHERE c.id = t.id AND c.kind = 'episode' ORDER BY c.seq DESC LIMIT 1) IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM episodes e WHERE e.id = t.id)",
            most!()
        ),
        problem: "it was forgotten, and no change says so",
        repair: Some(
            "INSERT INTO changes (kind, id, version, write_id) \
             SELECT 'episode', id, NULL, randomblob(16) FROM tombstones t WHERE t.id = ?1",
        ),
    },
    Search {
        part: Part::Changes,
        sql: concat!(
            "SELECT c.id FROM changes c WHERE c.kind = 'episode' AND c.version IS NOT NULL \
             AND c.seq = (SELECT max(d.seq) FROM changes d \
               WHERE d.id = c.id AND d.kind = 'episode') \
             AND NOT EXISTS (SELECT 1 FROM episodes e WHERE e.id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM tombstones t WHERE t.id = c.id)",
            most!()
        ),
        problem: "it was written, never forgotten, and is not there",
        repair: None,
    },
    Search {
        part: Part::Lessons,
        sql: concat!(
            "SELECT DISTINCT episode FROM lesson_evidence \
             WHERE lesson NOT IN (SELECT id FROM lessons)",
            most!()
        ),
        problem: "it is evidence for a lesson that is not there",
        repair: None,
    },
    Search {
        part: Part::Changes,
        sql: "SELECT 0 WHERE NOT EXISTS \
             (SELECT 1 FROM meta WHERE key = 'database' AND length(value) = 16)",
        problem: "the database does not say which one it is: caches cannot tell it from another",
        repair: Some(
            "INSERT INTO meta (key, value) SELECT 'database', randomblob(16) WHERE ?1 = 0 \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE length(meta.value) <> 16",
        ),
    },
];

/// What belongs to nothing, all from one snapshot.
pub(super) async fn problems(database: &Database) -> Result<Vec<Problem>> {
    let statements = SEARCHES.iter().map(|search| Statement::new(search.sql, vec![])).collect();
    let results = database.run(read::read(statements)).await?;
    let mut problems = Vec::new();
    for (search, result) in SEARCHES.iter().zip(results) {
        for row in result.rows {
            problems.push(search.problem(row)?);
        }
    }
    Ok(problems)
}

impl Search {
    fn problem(&self, row: Vec<Value>) -> Result<Problem> {
        let key = row.first().cloned().unwrap_or(Value::Null);
        let thing = match &key {
            Value::Integer(0) => "the database".into(),
            Value::Integer(rid) => format!("row {rid}"),
            _ => format!("episode {}", EpisodeId::from_bytes(Columns::new(row).id()?)),
        };
        let repair = self.repair.map(|sql| vec![Statement::new(sql, vec![key])]);
        Ok(Problem { part: self.part, thing, problem: self.problem.into(), repair })
    }
}
