//! Raw batches on a table of keys and values.

use memory_storage_turso::RemoteTransport;
use memory_storage_turso::batch::{Access, Batch, Statement, StatementResult, Value};

pub(crate) fn write(statements: Vec<Statement>) -> Batch {
    Batch { access: Access::Write, statements }
}

pub(crate) fn read(statements: Vec<Statement>) -> Batch {
    Batch { access: Access::Read, statements }
}

pub(crate) fn create() -> Batch {
    write(vec![Statement::new("CREATE TABLE t(k INTEGER PRIMARY KEY, v ANY) STRICT", vec![])])
}

pub(crate) fn put(k: i64, v: Value) -> Statement {
    Statement::new("INSERT INTO t VALUES (?1, ?2)", vec![Value::Integer(k), v])
}

pub(crate) fn put_once(k: i64) -> Batch {
    let sql = "INSERT INTO t VALUES (?1, 0) ON CONFLICT DO NOTHING";
    write(vec![Statement::new(sql, vec![Value::Integer(k)])])
}

pub(crate) const COUNT: &str = "SELECT count(*) FROM t";

pub(crate) async fn count(db: &RemoteTransport) -> i64 {
    let results = db.run(read(vec![Statement::new(COUNT, vec![])])).await.unwrap();
    integer(&results, 0)
}

pub(crate) fn integer(results: &[StatementResult], statement: usize) -> i64 {
    match results[statement].rows[0][0] {
        Value::Integer(n) => n,
        ref other => panic!("{other:?}"),
    }
}
