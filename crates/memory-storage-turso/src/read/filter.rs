//! Composing a WHERE clause from constant fragments, every value bound.

use std::ops::Range;

use memory_core::store::{Filter, Scope};

use crate::batch::{Statement, Value};
use crate::write::text;

/// A statement in the making.
pub(crate) struct Sql {
    text: String,
    params: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(text: &str) -> Self {
        Sql { text: text.to_owned(), params: Vec::new() }
    }

    /// A text that names its first parameters by number.
    pub(crate) fn with(text: &str, params: Vec<Value>) -> Self {
        Sql { text: text.to_owned(), params }
    }

    /// Adds a constant fragment.
    pub(crate) fn push(&mut self, fragment: &'static str) -> &mut Self {
        self.text.push_str(fragment);
        self
    }

    /// Adds a parameter where the fragment ends.
    pub(crate) fn bind(&mut self, fragment: &'static str, value: Value) -> &mut Self {
        self.params.push(value);
        self.text.push_str(fragment);
        self.text.push('?');
        self.text.push_str(&self.params.len().to_string());
        self
    }

    /// Where the next fragment will begin.
    pub(crate) fn mark(&self) -> usize {
        self.text.len()
    }

    /// Adds what was written there once more, with the same parameters and `to` for `from`.
    pub(crate) fn repeat(&mut self, there: Range<usize>, from: &str, to: &str) -> &mut Self {
        let again = self.text.get(there).unwrap_or_default().replace(from, to);
        self.text.push_str(&again);
        self
    }

    pub(crate) fn statement(self) -> Statement {
        Statement { sql: self.text.into(), params: self.params }
    }
}

/// Restricts the episodes `e` to a scope.
pub(crate) fn scope(sql: &mut Sql, scope: &Scope) {
    if let Scope::Project(project) = scope {
        sql.bind(" AND e.project = ", text(project));
    }
}

/// Restricts the episodes `e` to a filter, but for its condition on metadata.
pub(crate) fn filter(sql: &mut Sql, filter: &Filter) {
    let names = [
        (" AND e.task_type = ", &filter.task_type),
        (" AND e.domain = ", &filter.domain),
        (" AND e.language = ", &filter.language),
    ];
    for (fragment, name) in names {
        if let Some(name) = name {
            sql.bind(fragment, text(name));
        }
    }
    if !filter.states.is_empty() {
        // One parameter for any number of states: the text stays the same, and so does its plan.
        let states = serde_json::Value::from(filter.states.clone()).to_string();
        sql.bind(" AND e.outcome IN (SELECT value FROM json_each(", Value::Text(states));
        sql.push("))");
    }
    if let Some(reward) = filter.min_reward {
        sql.bind(" AND e.reward >= ", Value::Real(reward));
    }
    if let Some(since) = filter.since {
        sql.bind(" AND e.started_at >= ", Value::Integer(since.0));
    }
    if let Some(until) = filter.until {
        sql.bind(" AND e.started_at < ", Value::Integer(until.0));
    }
    if !filter.include_archived {
        sql.push(" AND e.archived_at IS NULL");
    }
}
