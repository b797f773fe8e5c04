//! Tool calls of chat messages, as OpenAI's API writes them and most agents record them.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::draft::Fingerprint;
use super::lenient::{Scalar, null_as_default};

/// One tool call of an OpenAI chat message.
#[derive(Deserialize)]
pub(crate) struct ToolCall<'a> {
    #[serde(default)]
    pub(crate) id: Scalar,
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    pub(crate) function: Function<'a>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Function<'a> {
    #[serde(default)]
    pub(crate) name: Scalar,
    #[serde(borrow, default)]
    pub(crate) arguments: Option<&'a RawValue>,
}

impl ToolCall<'_> {
    /// Adds the call to what names a run.
    pub(crate) fn name_in(&self, name: Fingerprint) -> Fingerprint {
        name.part(&self.id.to_text())
            .part(&self.function.name.to_text())
            .json(&arguments(self.function.arguments))
    }
}

/// The arguments of a tool call as JSON text: an object, or a string that holds one.
pub(crate) fn arguments(raw: Option<&RawValue>) -> String {
    let text = raw.map_or("", RawValue::get);
    match serde_json::from_str::<String>(text) {
        Ok(inner) if inner.trim().is_empty() => String::new(),
        Ok(inner) if serde_json::from_str::<IgnoredAny>(&inner).is_ok() => inner,
        Ok(_) | Err(_) => text.to_owned(),
    }
}

/// A tool call in one readable line: what it runs or touches, else its arguments by name.
pub(crate) fn readable_call(tool: &str, arguments: &str) -> String {
    const SAYS_IT_ALL: [&str; 3] = ["command", "cmd", "code"];
    const MAX_VALUE_CHARS: usize = 200;
    // A parsed value takes many times the memory of its text: huge arguments are shown as text.
    const MAX_PARSED_BYTES: usize = 1024 * 1024;
    let parsed = if arguments.len() <= MAX_PARSED_BYTES { arguments } else { "" };
    let Ok(map) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(parsed) else {
        return if arguments.trim().is_empty() || arguments == "null" {
            format!("{tool}()")
        } else {
            format!("{tool}({})", excerpt_chars(arguments, MAX_VALUE_CHARS))
        };
    };
    if let Some(said) = SAYS_IT_ALL.iter().find_map(|key| map.get(*key)?.as_str())
        && !said.trim().is_empty()
    {
        return said.to_owned();
    }
    let shown: Vec<String> = map
        .iter()
        .map(|(key, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{key}={}", excerpt_chars(&value, MAX_VALUE_CHARS))
        })
        .collect();
    format!("{tool}({})", shown.join(", "))
}

/// At most `max` characters of `text` on one line.
fn excerpt_chars(text: &str, max: usize) -> String {
    let mut shown: String =
        text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_shown_by_what_it_does() {
        assert_eq!(readable_call("Bash", r#"{"command":"ls -l","timeout":3}"#), "ls -l");
        assert_eq!(
            readable_call("Read", r#"{"file_path":"/a","limit":3}"#),
            "Read(file_path=/a, limit=3)"
        );
        assert_eq!(readable_call("think", ""), "think()");
        assert_eq!(readable_call("odd", "not json"), "odd(not json)");
    }
}
