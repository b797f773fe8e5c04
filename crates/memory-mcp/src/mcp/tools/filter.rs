//! Which episodes a listing or a recall may return.

use memory_core::error::excerpt;
use memory_core::store::Filter;
use memory_core::{Condition, OutcomeKind, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::arguments;

/// States: running or outcomes. Times: RFC 3339.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FilterArguments {
    task_type: Option<String>,
    domain: Option<String>,
    language: Option<String>,
    #[serde(deserialize_with = "arguments::or_default")]
    #[schemars(with = "Vec<String>")]
    states: Vec<State>,
    min_reward: Option<f64>,
    #[schemars(with = "Option<String>")]
    since: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    until: Option<Timestamp>,
    // Said in the server's instructions: here every byte counts twice.
    #[serde(rename = "where", deserialize_with = "arguments::parsed_option")]
    #[schemars(with = "Option<String>")]
    condition: Option<Condition>,
}

impl FilterArguments {
    pub(super) fn build(self) -> Filter {
        Filter {
            task_type: self.task_type,
            domain: self.domain,
            language: self.language,
            states: self.states.into_iter().map(|s| s.0).collect(),
            min_reward: self.min_reward,
            since: self.since,
            until: self.until,
            metadata: self.condition,
            include_archived: false,
        }
    }
}

/// `running`, or the name of an outcome.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct State(String);

impl TryFrom<String> for State {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        if name == "running" || name.parse::<OutcomeKind>().is_ok() {
            return Ok(State(name));
        }
        let outcomes = OutcomeKind::ALL.map(OutcomeKind::as_str).join(", ");
        Err(format!("\"{}\" is none of running, {outcomes}", excerpt(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_states_are_refused_by_name() {
        let read = |json: &str| arguments::decode::<FilterArguments>(json);
        assert_eq!(
            read(r#"{"states":["running","partial"]}"#).unwrap().build().states,
            ["running", "partial"]
        );
        let e = read(r#"{"states":["running","won"]}"#).err().unwrap().to_string();
        assert!(e.starts_with("states[1]: \"won\" is none of running, success"), "{e}");
        let e = read(r#"{"since":"yesterday"}"#).err().unwrap().to_string();
        assert!(e.starts_with("since: \"yesterday\" is no RFC 3339 time"), "{e}");
        let e = read(r#"{"where":"repo = "}"#).err().unwrap().to_string();
        assert!(e.starts_with("where: at character 8 (after repo =): a value is missing"), "{e}");
    }
}
