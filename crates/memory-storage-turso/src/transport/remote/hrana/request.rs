//! Statements as a request.

use std::fmt::Write as _;

use memory_core::{Error, Result};
use serde::Serialize;

use super::Frame;
use super::value::Outgoing;
use crate::batch::{Access, Statement, Value};

/// Statements ready to be put into a request, with others if need be.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    json: String,
    /// Where each statement ends in `json`.
    ends: Vec<usize>,
}

impl Encoded {
    /// Writes statements down. Fails on numbers that JSON does not have.
    pub(crate) fn new(statements: &[Statement]) -> Result<Self> {
        let mut json = Vec::with_capacity(statements.iter().map(weight).sum());
        let mut ends = Vec::with_capacity(statements.len());
        for Statement { sql, params } in statements {
            if let Some(x) = params.iter().find_map(non_finite) {
                let problem = format!("is {x}; a database holds finite numbers only");
                return Err(Error::invalid("number", problem));
            }
            let args = params.iter().map(Outgoing).collect();
            serde_json::to_writer(&mut json, &Stmt { sql, args })
                .map_err(|e| Error::invalid("statement", e.to_string()))?;
            ends.push(json.len());
        }
        let json =
            String::from_utf8(json).map_err(|e| Error::invalid("statement", e.to_string()))?;
        Ok(Encoded { json, ends })
    }

    /// How many statements.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they take in a request.
    pub(crate) fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Each as a JSON object.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).filter_map(|(&start, &end)| self.json.get(start..end))
    }
}

#[derive(Serialize)]
struct Stmt<'a> {
    sql: &'a str,
    args: Vec<Outgoing<'a>>,
}

fn non_finite(value: &Value) -> Option<f64> {
    match value {
        Value::Real(x) if !x.is_finite() => Some(*x),
        _ => None,
    }
}

/// About what a statement takes in JSON.
fn weight(statement: &Statement) -> usize {
    let params = statement.params.iter().map(|value| match value {
        Value::Text(text) => text.len() + text.len() / 8 + 32,
        Value::Blob(bytes) => bytes.len() * 4 / 3 + 32,
        Value::Null | Value::Integer(_) | Value::Real(_) => 48,
    });
    statement.sql.len() + params.sum::<usize>() + 32
}

/// The request that runs all of `batches` in one transaction. `seen` is the newest state of the
/// database this client knows of; a replica waits until it has it.
pub(crate) fn request(access: Access, batches: &[Encoded], seen: Option<u64>) -> Vec<u8> {
    let count = batches.iter().map(Encoded::len).sum();
    let bytes: usize = batches.iter().map(Encoded::bytes).sum();
    let mut out = String::with_capacity(bytes + count * 64 + 512);
    out.push_str(r#"{"baton":null,"requests":[{"type":"batch","batch":{"steps":["#);
    let mut steps = Steps { out: &mut out, next: 0 };
    let frame = Frame::of(access, count);
    if let Frame::Transaction(begin) = frame {
        steps.add(If::Always, &plain(begin));
    }
    for statement in batches.iter().flat_map(Encoded::statements) {
        steps.add(If::PreviousOk, statement);
    }
    if frame != Frame::Bare {
        steps.add(If::PreviousOk, &plain("COMMIT"));
        steps.add(If::InTransaction, &plain("ROLLBACK"));
    }
    out.push(']');
    if let Some(seen) = seen {
        // Writing to a `String` cannot fail.
        let _ = write!(out, r#","replication_index":"{seen}""#);
    }
    out.push_str(r#"}},{"type":"close"}]}"#);
    out.into_bytes()
}

/// The request that runs one statement, if any, on the stream that `baton` names, or on one that it
/// opens. The stream stays open unless this is the `last` one.
pub(crate) fn step(
    baton: Option<&str>,
    statement: Option<&str>,
    last: bool,
    seen: Option<u64>,
) -> Vec<u8> {
    // A string always has a JSON form.
    let baton = baton.and_then(|b| serde_json::to_string(b).ok()).unwrap_or("null".into());
    let seen = seen.map(|n| format!(r#","replication_index":"{n}""#)).unwrap_or_default();
    let run = statement.map(|statement| {
        format!(r#"{{"type":"batch","batch":{{"steps":[{{"stmt":{statement}}}]{seen}}}}}"#)
    });
    let close = last.then(|| r#"{"type":"close"}"#.to_owned());
    let requests: Vec<String> = run.into_iter().chain(close).collect();
    format!(r#"{{"baton":{baton},"requests":[{}]}}"#, requests.join(",")).into_bytes()
}

/// A statement without parameters.
pub(crate) fn plain(sql: &str) -> String {
    format!(r#"{{"sql":"{sql}"}}"#)
}

#[derive(Clone, Copy)]
enum If {
    Always,
    PreviousOk,
    InTransaction,
}

struct Steps<'a> {
    out: &'a mut String,
    next: usize,
}

impl Steps<'_> {
    /// Writing to a `String` cannot fail, so the results are of no interest.
    fn add(&mut self, condition: If, statement: &str) {
        let separator = if self.next == 0 { "" } else { "," };
        let _ = write!(self.out, "{separator}{{");
        match (condition, self.next.checked_sub(1)) {
            (If::PreviousOk, Some(step)) => {
                let _ = write!(self.out, r#""condition":{{"type":"ok","step":{step}}},"#);
            }
            (If::InTransaction, _) => {
                let open = r#""condition":{"type":"not","cond":{"type":"is_autocommit"}},"#;
                self.out.push_str(open);
            }
            (If::Always, _) | (If::PreviousOk, None) => {}
        }
        let _ = write!(self.out, r#""stmt":{statement}}}"#);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn encoded(sql: &'static [&'static str]) -> Encoded {
        let statements: Vec<_> =
            sql.iter().map(|sql| Statement::new(sql, vec![Value::Integer(1)])).collect();
        Encoded::new(&statements).unwrap()
    }

    fn steps(access: Access, batches: &[Encoded], seen: Option<u64>) -> Json {
        let body: Json = serde_json::from_slice(&request(access, batches, seen)).unwrap();
        assert_eq!(body["requests"][1], json!({"type": "close"}));
        body["requests"][0]["batch"].clone()
    }

    #[test]
    fn writes_of_several_batches_share_one_conditional_transaction() {
        let batch = steps(Access::Write, &[encoded(&["A", "B"]), encoded(&["C"])], Some(7));
        let sql: Vec<_> =
            batch["steps"].as_array().unwrap().iter().map(|s| s["stmt"]["sql"].clone()).collect();
        assert_eq!(sql, ["BEGIN IMMEDIATE", "A", "B", "C", "COMMIT", "ROLLBACK"]);
        for n in 1..=4 {
            assert_eq!(batch["steps"][n]["condition"], json!({"type": "ok", "step": n - 1}));
        }
        let open = json!({"type": "not", "cond": {"type": "is_autocommit"}});
        assert_eq!(batch["steps"][5]["condition"], open);
        assert_eq!(batch["replication_index"], "7");
    }

    #[test]
    fn one_read_runs_bare_and_several_in_one_snapshot() {
        let one = steps(Access::Read, &[encoded(&["A"])], None);
        let stmt = json!({"sql": "A", "args": [{"type": "integer", "value": "1"}]});
        assert_eq!(one, json!({"steps": [{"stmt": stmt}]}));
        let two = steps(Access::Read, &[encoded(&["A", "B"])], None);
        assert_eq!(two["steps"][0]["stmt"]["sql"], "BEGIN TRANSACTION READONLY");
        assert_eq!(two["steps"].as_array().unwrap().len(), 5);
    }

    #[test]
    fn one_statement_at_a_time_goes_on_where_the_last_one_ended() {
        let body = |baton, statement, last| -> Json {
            serde_json::from_slice(&step(baton, statement, last, Some(7))).unwrap()
        };
        let begin = plain("BEGIN");
        let batch = json!({"steps": [{"stmt": {"sql": "BEGIN"}}], "replication_index": "7"});
        let run = json!({"type": "batch", "batch": batch});
        let first = json!({"baton": null, "requests": [run]});
        assert_eq!(body(None, Some(&begin), false), first);
        let last = json!({"baton": "a\"b", "requests": [run, {"type": "close"}]});
        assert_eq!(body(Some("a\"b"), Some(&begin), true), last);
        let close = json!({"baton": "c", "requests": [{"type": "close"}]});
        assert_eq!(body(Some("c"), None, true), close);
    }

    #[test]
    fn numbers_that_json_lacks_are_refused_before_anything_is_sent() {
        let statement = Statement::new("A", vec![Value::Real(f64::NAN)]);
        assert!(matches!(Encoded::new(&[statement]), Err(Error::Invalid { .. })));
    }
}
