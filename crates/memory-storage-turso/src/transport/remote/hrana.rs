//! A batch as one request of the Hrana 3 protocol over HTTP, in JSON (libSQL's `HRANA_3_SPEC.md`).
//!
//! The steps of a batch that is atomic: `BEGIN`; each statement if the one before it went well;
//! `COMMIT` if the last one did; `ROLLBACK` if a transaction is still open after that. HTTP 200
//! says nothing: the batch is committed when the `COMMIT` step has a result. Every request ends
//! with `close`, so that the server keeps no stream and we keep no state.

use std::borrow::Cow;
use std::fmt::Write as _;

use memory_core::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};

use super::failure::Failure;
use super::value::{Incoming, Outgoing};
use crate::batch::{Access, Statement, StatementResult, Value};

/// The path of the endpoint, below the database's URL.
pub(super) const PATH: &str = "v3/pipeline";

/// Statements ready to be put into a request, with others if need be.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    json: String,
    /// Where each statement ends in `json`.
    ends: Vec<usize>,
}

impl Encoded {
    /// Writes statements down. Fails on numbers that JSON does not have.
    pub(super) fn new(statements: &[Statement]) -> Result<Self> {
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
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they take in a request.
    pub(super) fn bytes(&self) -> usize {
        self.json.len()
    }

    fn statements(&self) -> impl Iterator<Item = &str> {
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

/// Which steps surround the statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// None: one statement is atomic by itself.
    Bare,
    /// A transaction that begins so.
    Transaction(&'static str),
}

impl Frame {
    fn of(access: Access, statements: usize) -> Self {
        match access {
            Access::Write => Frame::Transaction("BEGIN IMMEDIATE"),
            Access::Read if statements == 1 => Frame::Bare,
            // libSQL's own: a replica serves it itself, and a token that may only read may begin it.
            Access::Read => Frame::Transaction("BEGIN TRANSACTION READONLY"),
        }
    }
}

/// The request that runs all of `batches` in one transaction. `seen` is the newest state of the
/// database this client knows of; a replica waits until it has it.
pub(super) fn request(access: Access, batches: &[Encoded], seen: Option<u64>) -> Vec<u8> {
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

fn plain(sql: &str) -> String {
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

/// What a batch brought.
#[derive(Debug)]
pub(super) struct Answer {
    /// One per statement.
    pub(super) results: Vec<StatementResult>,
    /// The state of the database the answer is from, where the server says so.
    pub(super) seen: Option<u64>,
}

/// Reads the answer to a [`request`] of `count` statements.
pub(super) fn answer(access: Access, count: usize, body: &[u8]) -> Result<Answer, Failure> {
    let body: Body<'_> = serde_json::from_slice(body)
        .map_err(|e| Failure::Lost(format!("the answer is not what a libSQL server sends: {e}")))?;
    let first = body.results.into_iter().next().unwrap_or_default();
    if let Some(e) = first.error {
        return Err(e.before_the_first_step());
    }
    let batch = first.response.and_then(|r| r.result).ok_or_else(|| incomplete("no result"))?;
    match Frame::of(access, count) {
        Frame::Bare => batch.statements(0, count),
        Frame::Transaction(_) => batch.transaction(count),
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    results: Vec<StreamResult<'a>>,
}

#[derive(Deserialize, Default)]
struct StreamResult<'a> {
    #[serde(borrow)]
    response: Option<StreamResponse<'a>>,
    #[serde(borrow)]
    error: Option<ServerError<'a>>,
}

#[derive(Deserialize)]
struct StreamResponse<'a> {
    #[serde(borrow)]
    result: Option<BatchResult<'a>>,
}

#[derive(Deserialize)]
struct BatchResult<'a> {
    step_results: Vec<Option<StepResult>>,
    #[serde(borrow)]
    step_errors: Vec<Option<ServerError<'a>>>,
    #[serde(default, deserialize_with = "index")]
    replication_index: Option<u64>,
}

#[derive(Deserialize)]
struct StepResult {
    rows: Vec<Vec<Incoming>>,
    affected_row_count: u64,
}

#[derive(Deserialize)]
struct ServerError<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

impl ServerError<'_> {
    fn failure(&self) -> Failure {
        Failure::from_server(self.code.as_deref().unwrap_or_default(), &self.message)
    }
}

impl BatchResult<'_> {
    fn transaction(self, count: usize) -> Result<Answer, Failure> {
        let commit = count + 1;
        if self.step_results.get(commit).is_some_and(Option::is_some) {
            return self.statements(1, count);
        }
        let failed = self.step_errors.iter().enumerate().find_map(|(i, e)| Some((i, e.as_ref()?)));
        Err(match failed {
            // Whether a commit that failed has left something behind depends on why it failed.
            Some((step, e)) if step == commit => match e.failure() {
                contended @ Failure::Contended(_) => contended,
                _ => Failure::Lost(format!("COMMIT failed: {}", e.message)),
            },
            Some((_, e)) => e.failure(),
            None => incomplete("neither a result nor an error"),
        })
    }

    fn statements(self, first: usize, count: usize) -> Result<Answer, Failure> {
        if let Some(e) = self.step_errors.iter().flatten().next() {
            return Err(e.failure());
        }
        let results: Vec<StatementResult> = self
            .step_results
            .into_iter()
            .skip(first)
            .take(count)
            .map_while(|step| step.map(StatementResult::from))
            .collect();
        if results.len() < count {
            return Err(incomplete("fewer results than statements"));
        }
        Ok(Answer { results, seen: self.replication_index })
    }
}

impl From<StepResult> for StatementResult {
    fn from(step: StepResult) -> Self {
        let row = |row: Vec<Incoming>| row.into_iter().map(|value| value.0).collect();
        StatementResult {
            rows: step.rows.into_iter().map(row).collect(),
            affected: step.affected_row_count,
        }
    }
}

impl ServerError<'_> {
    /// The error of a whole batch. Nothing ran when it was about the batch itself; of any other we
    /// cannot tell.
    fn before_the_first_step(&self) -> Failure {
        let code = self.code.as_deref().unwrap_or_default();
        match self.failure() {
            Failure::Final(error) if code.starts_with("SQL_") || code.starts_with("ARGS_") => {
                Failure::Final(error)
            }
            Failure::Final(error) => Failure::Lost(error.to_string()),
            other => other,
        }
    }
}

/// What a server says beside a status that is not 200, in one of two shapes.
#[derive(Deserialize)]
pub(super) struct HttpError {
    #[serde(alias = "error")]
    message: String,
    #[serde(default)]
    code: String,
}

impl HttpError {
    pub(super) fn failure(&self, status: u16) -> Failure {
        match (status, self.code.is_empty()) {
            (400, false) => Failure::from_server(&self.code, &self.message),
            _ => Failure::from_status(status, &self.message),
        }
    }
}

fn incomplete(what: &str) -> Failure {
    Failure::Lost(format!("the answer has {what} for the batch"))
}

/// An index is a number in text, as integers are.
fn index<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|digits| digits.parse().ok()))
}
