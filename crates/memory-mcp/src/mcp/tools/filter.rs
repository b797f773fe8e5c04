//! Which episodes a listing or a recall may return.

use memory_core::error::excerpt;
use memory_core::period::Period;
use memory_core::store::Filter;
use memory_core::{Condition, Error, OutcomeKind, Result, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mcp::arguments;

const TIMES: &str = "give RFC 3339, a date, how long ago (7d), or yesterday, last week, 2026-03";

/// States: running or outcomes. Times: RFC 3339, 7d, last week.
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
    since: Option<String>,
    until: Option<String>,
    // Said in the server's instructions: here every byte counts twice.
    #[serde(rename = "where", deserialize_with = "arguments::parsed_option")]
    #[schemars(with = "Option<String>")]
    condition: Option<Condition>,
}

impl FilterArguments {
    /// The filter, with times relative to `now`.
    pub(super) fn build(self, now: Timestamp) -> Result<Filter> {
        let moment = |name: &str, text: Option<String>| {
            text.map(|text| match Period::parse(&text, now) {
                Some(period) => Ok(period.since),
                None => {
                    Err(Error::invalid(name, format!("\"{}\" is no time; {TIMES}", excerpt(&text))))
                }
            })
            .transpose()
        };
        Ok(Filter {
            task_type: self.task_type,
            domain: self.domain,
            language: self.language,
            states: self.states.into_iter().map(|s| s.0).collect(),
            min_reward: self.min_reward,
            since: moment("filter.since", self.since)?,
            until: moment("filter.until", self.until)?,
            metadata: self.condition,
            include_archived: false,
        })
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
        let states = read(r#"{"states":["running","partial"]}"#).unwrap();
        assert_eq!(states.build(Timestamp(0)).unwrap().states, ["running", "partial"]);
        let e = read(r#"{"states":["running","won"]}"#).err().unwrap().to_string();
        assert!(e.starts_with("states[1]: \"won\" is none of running, success"), "{e}");
        let e = read(r#"{"where":"repo = "}"#).err().unwrap().to_string();
        assert!(e.starts_with("where: at character 8 (after repo =): a value is missing"), "{e}");
    }

    #[test]
    fn times_are_read_in_words_too() {
        let build = |json: &str| {
            arguments::decode::<FilterArguments>(json).unwrap().build(Timestamp(86_400_000_000))
        };
        assert_eq!(build(r#"{"since":"yesterday"}"#).unwrap().since, Some(Timestamp(0)));
        let e = build(r#"{"until":"soon"}"#).unwrap_err().to_string();
        assert!(e.starts_with("filter.until: \"soon\" is no time; give RFC 3339"), "{e}");
    }
}
