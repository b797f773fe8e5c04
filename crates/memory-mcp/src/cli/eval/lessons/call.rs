//! Calls with their arguments, and when a line of an answer names one.

use std::collections::HashSet;

use memory_core::Step;
use memory_core::learning::task_action::is_change;
use serde_json::{Map, Value};

/// A call that changes something.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) tool: String,
    arguments: Map<String, Value>,
}

impl Call {
    /// `None` for what only looks, or passes the work on.
    pub(super) fn new(tool: &str, arguments: &str) -> Option<Self> {
        let step = Step { tool: tool.to_owned(), action: tool.to_owned(), ..Step::default() };
        let arguments = serde_json::from_str(arguments).ok()?;
        is_change(&step).then(|| Call { tool: tool.to_owned(), arguments })
    }

    /// The changes of a run that worked, in order.
    pub(super) fn of(steps: &[Step]) -> Vec<Call> {
        let worked = steps.iter().filter(|step| step.success != Some(false));
        worked.filter_map(|step| Call::new(&step.tool, step.parameters.as_str())).collect()
    }

    /// True when the line has the tool and every argument: `name=value` for plain ones, every value
    /// within lists and records.
    pub(super) fn is_named_in(&self, line: &str) -> bool {
        let plain = plain(line);
        let words: HashSet<&str> = words(&plain).collect();
        words.contains(self.tool.as_str())
            && self.arguments.iter().all(|(name, value)| match value {
                Value::Array(_) | Value::Object(_) => {
                    leaves(value).iter().all(|leaf| self::words(leaf).all(|w| words.contains(w)))
                }
                value => has_pair(&plain, &format!("{name}={}", leaf(value))),
            })
    }
}

/// JSON and readable calls alike: `name=value`, no quotes.
fn plain(line: &str) -> String {
    let bare: String = line.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
    bare.replace(": ", "=").replace(':', "=")
}

fn is_inner(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_inner(c)).filter(|word| !word.is_empty())
}

/// The pair, and not as a part of a longer name or value.
fn has_pair(plain: &str, pair: &str) -> bool {
    plain.match_indices(pair).any(|(at, _)| {
        let before = plain.get(..at).and_then(|text| text.chars().next_back());
        let after = plain.get(at + pair.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_inner) && !after.is_some_and(is_inner)
    })
}

fn leaf(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        value => vec![leaf(value)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_call_only_with_every_argument_at_its_place() {
        let json = r#"{"id":"Z7","bags":2,"free":0,"flights":[{"n":"HAT1","d":"2024-05-20"}]}"#;
        let call = Call::new("update_bags", json).unwrap();
        assert!(call.is_named_in(&format!("update_bags({json})")));
        assert!(
            call.is_named_in("> update_bags(bags=2, free=0, flights=[HAT1 2024-05-20], id=Z7)")
        );
        for other in [
            "update_bags(bags=0, free=2, flights=[HAT1 2024-05-20], id=Z7)",
            "update_bags(bags=2, free=0, flights=[HAT1 2024-05-21], id=Z7)",
            "update_bags(bags=2, free=0, flights=[HAT1 2024-05-20], id=Z77)",
            "cancel(bags=2, free=0, flights=[HAT1 2024-05-20], id=Z7)",
        ] {
            assert!(!call.is_named_in(other), "{other}");
        }
    }

    #[test]
    fn looking_and_handing_over_are_no_changes() {
        assert!(Call::new("get_user_details", "{}").is_none());
        assert!(Call::new("transfer_to_human_agents", "{}").is_none());
        assert!(Call::new("cancel_reservation", "{}").is_some());
    }
}
