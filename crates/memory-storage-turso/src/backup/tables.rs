//! What a database of ours consists of: its tables with their columns, and its whole schema.

use memory_core::Result;

use crate::batch::{Statement, Value};
use crate::columns::Columns;

/// The tables that hold rows, those behind the text index included, and the counters of row ids.
const TABLES: &str = "\
SELECT l.name, l.wr,
    (SELECT json_group_array(c.name) FROM pragma_table_info(l.name) c),
    (SELECT json_group_array(k.name) FROM
        (SELECT name FROM pragma_table_info(l.name) WHERE pk > 0 ORDER BY pk) k)
FROM pragma_table_list l
WHERE l.schema = 'main' AND l.type IN ('table', 'shadow')
    AND (l.name NOT LIKE 'sqlite_%' OR l.name = 'sqlite_sequence')
ORDER BY l.name";

/// A table that holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    columns: Vec<String>,
    /// What rows are read in the order of.
    key: Vec<String>,
}

/// The tables of a database, asked of it by `ask`. Names come from our own schema and from nowhere
/// else: statements are made of them.
pub(crate) fn tables(ask: impl FnOnce(Statement) -> Result<Vec<Vec<Value>>>) -> Result<Vec<Table>> {
    let rows = ask(Statement::new(TABLES, Vec::new()))?;
    rows.into_iter()
        .map(|row| {
            let mut row = Columns::new(row);
            let (name, without_rowid) = (row.text()?, row.boolean()?);
            let (columns, key) = (names(&row.text()?)?, names(&row.text()?)?);
            let key = if without_rowid { key } else { vec!["rowid".to_owned()] };
            Ok(Table { name, columns, key })
        })
        .collect()
}

fn names(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json)
        .map_err(|e| memory_core::envelope::damaged(&"the database", e.to_string()))
}

impl Table {
    /// A page of rows behind `after`, a key; each row begins with its key.
    pub(super) fn page(&self, after: Option<&[Value]>, limit: i64) -> Statement {
        let (name, key) = (quoted(&self.name), list(&self.key));
        let columns = list(&self.columns);
        let mut sql = format!("SELECT {key}, {columns} FROM {name}");
        let mut params = after.unwrap_or_default().to_vec();
        if after.is_some() {
            sql.push_str(&format!(" WHERE ({key}) > ({})", marks(self.key.len())));
        }
        params.push(Value::Integer(limit));
        sql.push_str(&format!(" ORDER BY {key} LIMIT +?{}", params.len()));
        Statement { sql: sql.into(), params }
    }

    /// The key and the row of a row of a page.
    pub(super) fn parts(&self, mut row: Vec<Value>) -> (Vec<Value>, Vec<Value>) {
        let rest = row.split_off(self.key.len().min(row.len()));
        (row, rest)
    }

    /// Puts a row as [`parts`](Self::parts) gives it.
    pub(super) fn insert(&self, row: Vec<Value>) -> Statement {
        let (name, columns) = (quoted(&self.name), list(&self.columns));
        let marks = marks(self.columns.len());
        let sql = format!("INSERT INTO {name} ({columns}) VALUES ({marks})");
        Statement { sql: sql.into(), params: row }
    }

    /// Deletes every row.
    pub(crate) fn clear(&self) -> Statement {
        let sql = format!("DELETE FROM main.{}", quoted(&self.name));
        Statement { sql: sql.into(), params: Vec::new() }
    }

    /// Fills the table from its twin in the attached database `from`.
    pub(crate) fn fill(&self, from: &str) -> Statement {
        let (name, columns) = (quoted(&self.name), list(&self.columns));
        let sql =
            format!("INSERT INTO main.{name} ({columns}) SELECT {columns} FROM {from}.{name}");
        Statement { sql: sql.into(), params: Vec::new() }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

fn marks(count: usize) -> String {
    (1..=count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ")
}
