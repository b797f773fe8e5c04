//! From the JSON text of a call's arguments to values, with errors that name the field.

use std::collections::BTreeMap;
use std::str::FromStr;

use memory_core::error::excerpt;
use memory_core::{Error, MetadataValue, Result};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Characters of an error text about arguments: enough for a list of known fields.
const MAX_PROBLEM_CHARS: usize = 400;

/// Reads the arguments of a tool. The error names the field, and what would be right.
pub(super) fn decode<T: DeserializeOwned>(json: &str) -> Result<T> {
    if !json.starts_with('{') {
        return Err(Error::invalid("arguments", "must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|e| {
        let field = match e.path().to_string() {
            root if root == "." => "arguments".into(),
            path => excerpt(&path),
        };
        Error::invalid(field, problem(e.inner()))
    })
}

/// serde's words, without the position in a text that the caller never saw, and in JSON's terms.
fn problem(e: &serde_json::Error) -> String {
    let text = e.to_string();
    let position = format!(" at line {} column {}", e.line(), e.column());
    let text = text.strip_suffix(&position).unwrap_or(&text);
    let text = match text.rsplit_once(", expected ") {
        Some((what, "f64")) => format!("{what}, expected a number"),
        Some((what, "u32" | "u64" | "usize")) => format!("{what}, expected a whole number from 0"),
        Some((what, "a map")) => format!("{what}, expected an object"),
        Some((what, "a sequence")) => format!("{what}, expected an array"),
        _ => text.into(),
    };
    shorten(text)
}

/// Cuts a long text in the middle: what was sent comes first in it, what was expected last.
fn shorten(text: String) -> String {
    let chars = text.chars().count();
    if chars <= MAX_PROBLEM_CHARS {
        return text;
    }
    let head: String = text.chars().take(80).collect();
    let tail: String = text.chars().skip(chars - (MAX_PROBLEM_CHARS - 80)).collect();
    format!("{head}…{tail}")
}

/// Reads a string by its own rules; the error says what they are.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(
    d: D,
) -> Result<T, D::Error> {
    String::deserialize(d)?.parse().map_err(|e| match e {
        Error::Invalid { problem, .. } => D::Error::custom(problem),
        other => D::Error::custom(other),
    })
}

/// The same for a field that may be left out (with `#[serde(default)]`) or `null`.
pub(super) fn parsed_option<'de, D: Deserializer<'de>, T: FromStr<Err = Error>>(
    d: D,
) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(bound = "T: FromStr<Err = Error>")]
    struct Parsed<T>(#[serde(deserialize_with = "parsed")] T);
    Ok(Option::<Parsed<T>>::deserialize(d)?.map(|Parsed(value)| value))
}

/// Takes `null` for left out, where a field is no option.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(d).map(Option::unwrap_or_default)
}

/// Metadata from plain JSON values.
pub(super) fn metadata(values: BTreeMap<String, Value>) -> Result<BTreeMap<String, MetadataValue>> {
    let value = |key: &str, value: Value| match value {
        Value::String(text) => Ok(MetadataValue::Text(text)),
        Value::Bool(flag) => Ok(MetadataValue::Boolean(flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Ok(MetadataValue::Integer(integer)),
            (None, Some(real)) => Ok(MetadataValue::Real(real)),
            (None, None) => Err(unusable(key)),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => Err(unusable(key)),
    };
    values.into_iter().map(|(k, v)| value(&k, v).map(|v| (k, v))).collect()
}

fn unusable(key: &str) -> Error {
    let field = format!("metadata[{}]", excerpt(key));
    Error::invalid(field, "must be a string, a number, true or false")
}

#[cfg(test)]
mod tests {
    use memory_core::{EpisodeId, RawJson};

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        reward: Option<f64>,
        limit: Option<u32>,
        #[serde(deserialize_with = "parsed_option")]
        id: Option<EpisodeId>,
        #[serde(deserialize_with = "or_default")]
        steps: Vec<Inner>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        action: String,
        parameters: RawJson,
    }

    fn refused(json: &str) -> String {
        decode::<Sample>(json).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field_and_what_would_be_right() {
        assert_eq!(
            refused(r#"{"reward":"NaN"}"#),
            "reward: invalid type: string \"NaN\", expected a number"
        );
        assert_eq!(refused(r#"{"reward":1e999}"#), "reward: number out of range");
        assert_eq!(
            refused(r#"{"limit":-1}"#),
            "limit: invalid value: integer `-1`, expected a whole number from 0"
        );
        assert!(refused(r#"{"id":"x"}"#).starts_with("id: \"x\" is no id; ids look like"));
        assert_eq!(
            refused(r#"{"steps":[{},{"actoin":"ls"}]}"#),
            "steps[1].actoin: unknown field `actoin`, expected `action` or `parameters`"
        );
        assert!(refused(r#"{"task":1}"#).contains("expected one of `reward`, `limit`"));
        assert_eq!(refused("[]"), "arguments: must be an object");
        let deep = format!(
            "{{\"steps\":[{{\"parameters\":{}{}}}]}}",
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        assert!(refused(&deep).starts_with("steps[0].parameters: is nested deeper than"));
        let long = refused(&format!("{{\"{}\":1}}", "y".repeat(9999)));
        assert!(long.ends_with("`reward`, `limit`, `id`, `steps`"), "{long}");
        assert!(long.chars().count() < 600, "{long}");
    }

    #[test]
    fn null_is_the_same_as_left_out_and_free_json_keeps_its_letters() {
        let sample: Sample = decode(
            r#"{"reward":null,"id":null,"steps":[{"action":"x","parameters":{"n": 0.10, "m":1e400}}]}"#,
        )
        .unwrap();
        assert!(sample.reward.is_none() && sample.id.is_none() && sample.limit.is_none());
        assert_eq!(sample.steps[0].action, "x");
        assert_eq!(sample.steps[0].parameters.as_str(), r#"{"n":0.10,"m":1e400}"#);
    }

    #[test]
    fn lists_may_be_null() {
        assert!(decode::<Sample>(r#"{"steps":null}"#).unwrap().steps.is_empty());
    }

    #[test]
    fn metadata_holds_plain_values_only() {
        let read = |json: &str| metadata(decode(json).unwrap());
        let good = read(r#"{"a":"x","b":3,"c":0.5,"d":true}"#).unwrap();
        assert_eq!(good["b"], MetadataValue::Integer(3));
        assert_eq!(good["c"], MetadataValue::Real(0.5));
        let e = read(r#"{"a":{}}"#).unwrap_err().to_string();
        assert_eq!(e, "metadata[a]: must be a string, a number, true or false");
    }
}
