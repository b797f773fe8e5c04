//! An answer as results.

use std::borrow::Cow;

use memory_core::error::excerpt;
use serde::{Deserialize, Deserializer};

use super::super::failure::Failure;
use super::Frame;
use super::value::Incoming;
use crate::batch::{Access, StatementResult};

/// What a batch brought.
#[derive(Debug)]
pub(crate) struct Answer {
    /// One per statement.
    pub(crate) results: Vec<StatementResult>,
    /// The state of the database the answer is from, where the server says so.
    pub(crate) seen: Option<u64>,
}

/// Reads the answer to a [`request`] of `count` statements.
pub(crate) fn answer(access: Access, count: usize, body: &[u8]) -> Result<Answer, Failure> {
    let batch = read(body)?.batch()?;
    match Frame::of(access, count) {
        Frame::Bare => batch.statements(0, count),
        Frame::Transaction(_) => batch.transaction(count),
    }
}

/// Reads the answer to a [`step`](super::step): the baton of the stream, if it is open still, and what
/// the statement brought.
pub(crate) fn step_answer(
    body: &[u8],
) -> Result<(Option<String>, Result<Answer, Failure>), Failure> {
    let mut body = read(body)?;
    let baton = body.baton.take().map(Cow::into_owned);
    Ok((baton, body.batch().and_then(|batch| batch.statements(0, 1))))
}

fn read(body: &[u8]) -> Result<Body<'_>, Failure> {
    serde_json::from_slice(body).map_err(|e| {
        let begins = excerpt(&String::from_utf8_lossy(body.get(..400).unwrap_or(body)));
        Failure::Lost(format!(
            "the answer is not a libSQL server's ({e}; it begins {begins}); a login page or \
             a proxy may be in the way"
        ))
    })
}

impl<'a> Body<'a> {
    fn batch(self) -> Result<BatchResult<'a>, Failure> {
        let first = self.results.into_iter().next().unwrap_or_default();
        if let Some(e) = first.error {
            return Err(e.before_the_first_step());
        }
        first.response.and_then(|r| r.result).ok_or_else(|| incomplete("no result"))
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    baton: Option<Cow<'a, str>>,
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
pub(crate) struct HttpError {
    #[serde(alias = "error")]
    message: String,
    #[serde(default)]
    code: String,
}

impl HttpError {
    pub(crate) fn failure(&self, status: u16) -> Failure {
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

#[cfg(test)]
mod tests {
    use memory_core::Error;
    use serde_json::{Value as Json, json};

    use super::*;

    /// The answer of a server to a write of one statement, with these results and errors.
    fn body(results: Json, errors: Json) -> Vec<u8> {
        let batch = json!({"step_results": results, "step_errors": errors});
        let first = json!({"type": "ok", "response": {"type": "batch", "result": batch}});
        json!({"baton": null, "results": [first, {"type": "ok"}]}).to_string().into_bytes()
    }

    fn done() -> Json {
        json!({"cols": [], "rows": [], "affected_row_count": 1, "last_insert_rowid": "1"})
    }

    fn failed(code: &str) -> Json {
        json!({"message": "no", "code": code})
    }

    #[test]
    fn only_a_committed_transaction_is_a_success() {
        let write = |results, errors| answer(Access::Write, 1, &body(results, errors));
        let (ok, none) = (done(), Json::Null);
        let all = write(json!([ok, ok, ok, none]), json!([none, none, none, none])).unwrap();
        assert_eq!(all.results.len(), 1);
        assert_eq!(all.results[0].affected, 1);

        let busy = write(
            json!([none, none, none, none]),
            json!([failed("SQLITE_BUSY"), none, none, none]),
        );
        assert!(matches!(busy, Err(Failure::Contended(_))));
        let bad = json!([none, failed("SQLITE_CONSTRAINT_UNIQUE"), none, none]);
        let bad = write(json!([ok, none, none, ok]), bad);
        assert!(matches!(bad, Err(Failure::Final(Error::Engine { .. }))));
        let full = json!([none, none, failed("SQLITE_FULL"), none]);
        let full = write(json!([ok, ok, none, ok]), full);
        assert!(matches!(full, Err(Failure::Lost(_))), "a commit that failed is not known undone");
        let skipped = write(json!([ok, none, none, none]), json!([none, none, none, none]));
        assert!(matches!(skipped, Err(Failure::Lost(_))));
    }

    #[test]
    fn errors_of_a_whole_batch_say_what_is_known() {
        let fail = |code: &str| {
            let body = json!({"results": [{"type": "error", "error": failed(code)}]});
            answer(Access::Write, 1, body.to_string().as_bytes()).unwrap_err()
        };
        assert!(matches!(fail("SQL_PARSE_ERROR"), Failure::Final(Error::Engine { .. })));
        assert!(matches!(fail("STREAM_EXPIRED"), Failure::Contended(_)));
        assert!(matches!(fail("RESPONSE_TOO_LARGE"), Failure::TooLarge(_)));
        assert!(matches!(fail("UNHEARD_OF"), Failure::Lost(_)));
    }

    #[test]
    fn every_truncation_of_an_answer_is_lost_and_none_is_believed() {
        let whole = body(json!([done(), done(), done(), null]), json!([null, null, null, null]));
        assert!(answer(Access::Write, 1, &whole).is_ok());
        for end in 0..whole.len() {
            let cut = answer(Access::Write, 1, &whole[..end]);
            assert!(matches!(cut, Err(Failure::Lost(_))), "at {end}: {cut:?}");
        }
        for other in ["[]", "{}", "null", "42", "<html>", r#"{"results":[]}"#] {
            assert!(answer(Access::Write, 1, other.as_bytes()).is_err(), "{other}");
        }
    }
}
