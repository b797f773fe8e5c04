//! Databases in the older layout: a table `episodes` with a row an episode and JSON in text columns.
//! They are read and never written.

use std::path::Path;

use libsql::OpenFlags;
use memory_core::error::excerpt;
use memory_core::{Error, Result};

use crate::batch::Value;
use crate::transport::offload;

/// Columns without which a table `episodes` is none of the older layout.
const MARKS: [&str; 3] = ["episode_id", "task_description", "start_time"];

/// The columns of a row by name.
pub type OlderRow = Vec<(String, Value)>;

/// A file in the older layout.
pub struct OlderFile {
    connection: libsql::Connection,
    columns: Vec<String>,
    select: String,
    /// Rows in it.
    pub rows: u64,
    /// Other tables with rows, which are not read, each with their number.
    pub other_tables: Vec<(String, u64)>,
}

impl OlderFile {
    /// Opens a file to read.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: it is not there, no database, or not in the older layout.
    pub async fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        if !path.is_file() {
            return Err(refused(&name, "is no file"));
        }
        let path = path.to_owned();
        let opened = offload(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
            let build = libsql::Builder::new_local(path).flags(flags).build();
            futures::executor::block_on(build).and_then(|database| database.connect())
        });
        let connection = opened.await?.map_err(|e| refused(&name, e))?;
        let asked = ask(&connection, "SELECT name FROM pragma_table_info('episodes')").await;
        let rows = asked.map_err(|e| refused(&name, e))?;
        let columns: Vec<String> = rows.into_iter().filter_map(first_text).collect();
        if !MARKS.iter().all(|mark| columns.iter().any(|column| column == mark)) {
            return Err(refused(&name, "has no table episodes of the older layout"));
        }
        let values: Vec<String> = columns.iter().map(|column| value_of(column)).collect();
        let select = format!(
            "SELECT rowid, {} FROM episodes WHERE rowid > ?1 ORDER BY rowid LIMIT +?2",
            values.join(", ")
        );
        let mut file = OlderFile { connection, columns, select, rows: 0, other_tables: Vec::new() };
        file.rows = file.count("episodes").await?;
        file.other_tables = file.others().await?;
        Ok(file)
    }

    /// At most `limit` rows behind `after`, each with its place.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub async fn page(&self, after: i64, limit: i64) -> Result<Vec<(i64, OlderRow)>> {
        let mut rows = self.connection.query(&self.select, [after, limit]).await.map_err(engine)?;
        let mut page = Vec::new();
        while let Some(row) = rows.next().await.map_err(engine)? {
            let mut values = Vec::with_capacity(self.columns.len());
            for (at, column) in (0..).zip(&self.columns) {
                let value = row.get_value(1 + 2 * at).map_err(engine)?;
                let is_text = matches!(row.get_value(2 + 2 * at), Ok(Value::Integer(1)));
                // As bytes: the engine would cut text at NUL, and panic at what is not UTF-8.
                let value = match value {
                    Value::Blob(bytes) if is_text => {
                        Value::Text(String::from_utf8_lossy(&bytes).into_owned())
                    }
                    other => other,
                };
                values.push((column.clone(), value));
            }
            page.push((row.get::<i64>(0).map_err(engine)?, values));
        }
        Ok(page)
    }

    async fn count(&self, table: &str) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", quoted(table));
        let rows = ask(&self.connection, &sql).await.map_err(engine)?;
        match rows.into_iter().flatten().next() {
            Some(Value::Integer(n)) => Ok(u64::try_from(n).unwrap_or(0)),
            _ => Ok(0),
        }
    }

    async fn others(&self) -> Result<Vec<(String, u64)>> {
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'episodes' \
                      AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'libsql_%' ORDER BY name";
        let mut others = Vec::new();
        for row in ask(&self.connection, tables).await.map_err(engine)? {
            let Some(name) = first_text(row) else { continue };
            // A virtual table of an extension that is not here cannot be read, nor need it be.
            match self.count(&name).await {
                Ok(0) | Err(_) => {}
                Ok(rows) => others.push((name, rows)),
            }
        }
        Ok(others)
    }
}

/// The value, text as bytes, and whether it is text.
fn value_of(column: &str) -> String {
    let column = quoted(column);
    format!(
        "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END, \
         typeof({column}) = 'text'"
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn ask(connection: &libsql::Connection, sql: &str) -> libsql::Result<Vec<Vec<Value>>> {
    let mut rows = connection.query(sql, ()).await?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().await? {
        all.push((0..row.column_count()).map(|at| row.get_value(at)).collect::<Result<_, _>>()?);
    }
    Ok(all)
}

fn first_text(row: Vec<Value>) -> Option<String> {
    match row.into_iter().next() {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn engine(e: libsql::Error) -> Error {
    Error::Engine { context: "reading the older database".into(), message: e.to_string() }
}

fn refused(name: &str, why: impl std::fmt::Display) -> Error {
    Error::Refused {
        problem: format!(
            "{name} is no database in the older layout: {}",
            excerpt(&why.to_string())
        ),
        hint: "name the file of the older program; a database of this one is taken over with \
               `memory-mcp copy --from`"
            .into(),
    }
}
