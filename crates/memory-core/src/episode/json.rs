//! Free JSON, carried as its compact text so that every codec can hold it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::limits::MAX_JSON_DEPTH;

/// A valid JSON text without insignificant white space, nested at most [`MAX_JSON_DEPTH`] deep.
///
/// Numbers and key order are kept to the letter. In JSON documents it appears as the value itself,
/// in binary formats as a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(Box<str>);

impl RawJson {
    /// Checks and compacts `text`. The error says what is wrong, for the caller to add the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The depth first: it is what a hostile text is about, and what the message should say.
        let compact = compact(text)?;
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|e| format!("is not valid JSON: {e}"))?;
        Ok(RawJson(compact.into_boxed_str()))
    }

    /// The compact JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for `null`, the empty object, the empty array and the empty string.
    pub fn is_empty(&self) -> bool {
        matches!(&*self.0, "null" | "{}" | "[]" | "\"\"")
    }
}

impl Default for RawJson {
    fn default() -> Self {
        RawJson("null".into())
    }
}

impl TryFrom<&serde_json::Value> for RawJson {
    type Error = String;

    fn try_from(value: &serde_json::Value) -> Result<Self, String> {
        RawJson::parse(&value.to_string())
    }
}

/// Drops white space outside strings and bounds the depth, without recursion.
fn compact(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => in_string = true,
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                ' ' | '\t' | '\n' | '\r' => continue,
                _ => {}
            }
            if depth > MAX_JSON_DEPTH {
                return Err(format!(
                    "is nested deeper than {MAX_JSON_DEPTH} levels; flatten it or store it as text"
                ));
            }
        }
        out.push(c);
    }
    Ok(out)
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return s.serialize_str(&self.0);
        }
        serde_json::from_str::<&RawValue>(&self.0).map_err(serde::ser::Error::custom)?.serialize(s)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let raw = Box::<RawValue>::deserialize(d)?;
            RawJson::parse(raw.get()).map_err(D::Error::custom)
        } else {
            // What a binary format holds was checked when it was written, and is checksummed.
            Ok(RawJson(String::deserialize(d)?.into_boxed_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_numbers_stay_to_the_letter() {
        let json =
            RawJson::parse("{ \"a b\" : [ 1e400 , 0.10 ],\n\t\"q\": \"x \\\" y\" }").unwrap();
        assert_eq!(json.as_str(), "{\"a b\":[1e400,0.10],\"q\":\"x \\\" y\"}");
    }

    #[test]
    fn deep_nesting_is_refused_without_a_stack_overflow() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(RawJson::parse(&deep).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn invalid_texts_are_refused() {
        for text in ["", "{", "1 2", "tru e", "{\"a\":}", "[1,]", "\"open"] {
            assert!(RawJson::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
