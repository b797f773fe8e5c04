//! `memory-mcp doctor`: whether everything on this machine is as it should be, and what to do.
//!
//! - `machine`: directories, permissions, room, clock, cache files, what hooks left
//! - `database`: does it answer, is it sound, what waits for it
//! - `setup`: the clients

mod database;
mod machine;
mod setup;

use serde::Serialize;
use serde_json::json;

use super::output::{BAD, CODE, FAIR, GOOD, Output, TITLE, paint};
use super::session::Session;
use super::{Exit, Failure};

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    /// What was found.
    found: String,
    /// What to do, unless it is well.
    todo: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, state: State::Ok, found: found.into(), todo: None }
    }

    fn warn(name: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Check { name, state: State::Warn, found: found.into(), todo: Some(todo.into()) }
    }

    fn fail(name: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Check { name, state: State::Fail, found: found.into(), todo: Some(todo.into()) }
    }
}

pub(super) async fn run(session: &Session, out: &mut Output) -> Result<(), Failure> {
    // Before the database is opened, which makes what is missing.
    let mut checks = machine::checks(session.config());
    checks.extend(database::checks(session).await);
    checks.extend(setup::checks());
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (warnings, failures) = (count(State::Warn), count(State::Fail));
    if out.is_json() {
        let state = if failures > 0 {
            State::Fail
        } else if warnings > 0 {
            State::Warn
        } else {
            State::Ok
        };
        out.json(&json!({ "state": state, "checks": checks }))?;
    } else {
        for Check { name, state, found, todo } in &checks {
            let (style, word) = match state {
                State::Ok => (GOOD, "ok  "),
                State::Warn => (FAIR, "warn"),
                State::Fail => (BAD, "fail"),
            };
            out.line(format_args!("{} {name:<12} {found}", paint(style, word)))?;
            if let Some(todo) = todo {
                out.line(format_args!("                  {}", paint(CODE, todo)))?;
            }
        }
        let sum = format!("{} checks, {warnings} warnings, {failures} failures", checks.len());
        out.line(paint(TITLE, sum))?;
    }
    if failures > 0 { Err(Failure::Silent(Exit::Unsound)) } else { Ok(()) }
}
