//! Migrations with steps made for the purpose, so that there is something to go through.
//!
//! - `change`: up, down, refused, from several sides at once
//! - `kill`: a process that ends in the middle

mod change;
mod kill;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::Result;
use tempfile::TempDir;

use super::{Down, MIGRATIONS, Migration, Upgrade, bring_up};
use crate::batch::{Access, Batch, Statement, Value};
use crate::config::TursoConfig;
use crate::transport::{LocalTransport, Transport};

/// Gives every note a length, and cannot be undone once one is marked.
const LENGTHS: Migration = Migration {
    number: 2,
    name: "lengths",
    sql: "CREATE TABLE lengths (note INTEGER PRIMARY KEY, length INTEGER NOT NULL) STRICT;\n\
          INSERT INTO lengths SELECT rid, length(payload) FROM notes;\n\
          UPDATE notes SET payload = payload || 'x';\n",
    down: Down::Lossless {
        sql: "UPDATE notes SET payload = substr(payload, 1, length(payload) - 1);\n\
              DROP TABLE lengths;\n",
        blocked_by: Some(("SELECT count(*) FROM notes WHERE marked", "there are marked notes")),
    },
};

const INDEX: Migration = Migration {
    number: 3,
    name: "index",
    sql: "CREATE INDEX notes_by_payload ON notes (payload, rid);\n",
    down: Down::Lossless { sql: "DROP INDEX notes_by_payload;\n", blocked_by: None },
};

const NOTES: Migration = Migration {
    number: 1,
    name: "notes",
    sql: "CREATE TABLE notes (rid INTEGER PRIMARY KEY, payload TEXT NOT NULL, marked INTEGER) STRICT;\n",
    down: Down::None("there would be nothing left"),
};

/// The schema of yesterday, and of today.
static OLD: [Migration; 1] = [NOTES];
static NEW: [Migration; 3] = [NOTES, LENGTHS, INDEX];

fn database() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    (directory, path)
}

fn transport(path: &Path) -> Transport {
    let opened = LocalTransport::open(TursoConfig::at(path), Arc::default());
    Transport::Local(opened.unwrap())
}

async fn run(transport: &Transport, sql: &'static str) -> Vec<Vec<Value>> {
    let statements = vec![Statement::new(sql, vec![])];
    let results = transport.run(Batch { access: Access::Write, statements }).await.unwrap();
    results.into_iter().flat_map(|result| result.rows).collect()
}

async fn number(transport: &Transport, sql: &'static str) -> i64 {
    match run(transport, sql).await.first().and_then(|row| row.first()) {
        Some(Value::Integer(n)) => *n,
        other => panic!("{sql}: {other:?}"),
    }
}

/// A database of yesterday's schema with so many notes.
async fn old(path: &Path, notes: i64) {
    let transport = transport(path);
    bring_up(&transport, &OLD, "test", Upgrade::Auto).await.unwrap();
    let fill = "INSERT INTO notes (payload) \
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
        SELECT printf('%d %s', i, hex(zeroblob(400))) FROM n";
    let statements = vec![Statement::new(fill, vec![Value::Integer(notes)])];
    transport.run(Batch { access: Access::Write, statements }).await.unwrap();
    transport.close().await;
}

async fn upgrade(path: &Path) -> Result<()> {
    let transport = transport(path);
    let done = bring_up(&transport, &NEW, "memory.db", Upgrade::Auto).await;
    transport.close().await;
    done
}

/// 1 or 3: the database is whole, at yesterday's schema or at today's.
async fn assert_whole(path: &Path, notes: i64) -> usize {
    let transport = transport(path);
    let schema = run(&transport, "SELECT n FROM migrations").await.len();
    assert_eq!(number(&transport, "SELECT count(*) FROM notes").await, notes);
    assert_eq!(run(&transport, "PRAGMA integrity_check").await, [[Value::Text("ok".into())]]);
    let made = "SELECT count(*) FROM sqlite_schema WHERE name IN ('lengths', 'notes_by_payload')";
    let marked = number(&transport, "SELECT count(*) FROM notes WHERE payload LIKE '%x'").await;
    match schema {
        1 => assert_eq!((number(&transport, made).await, marked), (0, 0)),
        3 => {
            assert_eq!((number(&transport, made).await, marked), (2, notes));
            assert_eq!(number(&transport, "SELECT count(*) FROM lengths").await, notes);
        }
        between => panic!("the schema is {between}"),
    }
    transport.close().await;
    schema
}

fn backups(path: &Path) -> Vec<String> {
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut backups: Vec<_> = names.filter(|name| name.ends_with(".backup")).collect();
    backups.sort();
    backups
}
