//! Every read as statements, and the reading of their rows.

pub(crate) mod activity;
pub(crate) mod changes;
mod condition;
pub(crate) mod counts;
pub(crate) mod cursor;
pub(crate) mod episodes;
pub(crate) mod filter;
pub(crate) mod lessons;
pub(crate) mod list;
pub(crate) mod relations;
pub(crate) mod said;
pub(crate) mod scan;
pub(crate) mod search;

use crate::batch::{Access, Batch, Statement, StatementResult, Value};

/// Rows of one page, at most. More would hold them all in memory for no gain.
pub(crate) const MAX_PAGE: usize = 1000;

/// Bytes of text in the episodes of one page, about. A server answers with at most 10 MB.
pub(crate) const MAX_PAGE_BYTES: i64 = 4 * 1024 * 1024;

pub(crate) fn read(statements: Vec<Statement>) -> Batch {
    Batch { access: Access::Read, statements }
}

/// The rows of the only statement of a batch.
pub(crate) fn rows(results: Vec<StatementResult>) -> Vec<Vec<Value>> {
    results.into_iter().next().map(|result| result.rows).unwrap_or_default()
}

/// `limit` rows and one more, which says that there is a next page.
fn page_limit(limit: usize) -> (usize, Value) {
    let limit = limit.clamp(1, MAX_PAGE);
    (limit, Value::Integer(limit as i64 + 1))
}
