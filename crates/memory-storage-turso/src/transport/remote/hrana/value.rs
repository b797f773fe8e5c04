//! Values as Hrana writes them in JSON: `{"type": "integer", "value": "42"}`.
//!
//! Integers travel as text, because many JSON readers round them; blobs as base64 without padding.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::batch::Value;

/// A bound parameter on its way out.
pub(super) struct Outgoing<'a>(pub(super) &'a Value);

impl Serialize for Outgoing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            Value::Null => map.serialize_entry("type", "null")?,
            Value::Integer(n) => {
                map.serialize_entry("type", "integer")?;
                map.serialize_entry("value", &n.to_string())?;
            }
            Value::Real(x) => {
                map.serialize_entry("type", "float")?;
                map.serialize_entry("value", x)?;
            }
            Value::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("value", text)?;
            }
            Value::Blob(bytes) => {
                map.serialize_entry("type", "blob")?;
                map.serialize_entry("base64", &STANDARD_NO_PAD.encode(bytes))?;
            }
        }
        map.end()
    }
}

/// A value of a row on its way in.
pub(super) struct Incoming(pub(super) Value);

impl<'de> Deserialize<'de> for Incoming {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(IncomingVisitor)
    }
}

struct IncomingVisitor;

impl<'de> Visitor<'de> for IncomingVisitor {
    type Value = Incoming;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its type")
    }

    /// The fields in any order, although every server sends `type` first.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Incoming, A::Error> {
        let mut kind = None;
        let mut content = None;
        while let Some(field) = map.next_key::<Field>()? {
            match field {
                Field::Type => kind = Some(map.next_value::<Kind>()?),
                Field::Content => content = Some(map.next_value::<Content>()?),
                Field::Other => drop(map.next_value::<de::IgnoredAny>()?),
            }
        }
        let kind = kind.ok_or_else(|| de::Error::missing_field("type"))?;
        value(kind, content).map(Incoming).map_err(de::Error::custom)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Type,
    #[serde(alias = "value", alias = "base64")]
    Content,
    #[serde(other)]
    Other,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Null,
    Integer,
    Float,
    Text,
    Blob,
}

/// What stands beside the type.
enum Content {
    Text(String),
    Number(f64),
    Null,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl Visitor<'_> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Content, E> {
        Ok(Content::Number(x))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Content, E> {
        Ok(Content::Number(n as f64))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Content, E> {
        Ok(Content::Number(n as f64))
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }
}

fn value(kind: Kind, content: Option<Content>) -> Result<Value, String> {
    match (kind, content) {
        (Kind::Null, _) => Ok(Value::Null),
        (Kind::Integer, Some(Content::Text(digits))) => {
            digits.parse().map(Value::Integer).map_err(|e| format!("integer {digits:?}: {e}"))
        }
        (Kind::Float, Some(Content::Number(x))) => Ok(Value::Real(x)),
        // JSON has no infinity: a server that stores one sends null.
        (Kind::Float, Some(Content::Null)) => Ok(Value::Null),
        (Kind::Text, Some(Content::Text(text))) => Ok(Value::Text(text)),
        (Kind::Blob, Some(Content::Text(encoded))) => decode(&encoded).map(Value::Blob),
        (kind, _) => Err(format!("a value of type {kind:?} without its content")),
    }
}

/// Servers differ in whether they pad.
fn decode(encoded: &str) -> Result<Vec<u8>, String> {
    let engine = if encoded.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    engine.decode(encoded).map_err(|e| format!("base64: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_went_out() {
        let values = [
            Value::Null,
            Value::Integer(i64::MIN),
            Value::Integer(i64::MAX),
            Value::Real(0.1),
            Value::Real(-0.0),
            Value::Real(1e300),
            Value::Text("quote \" newline \n emoji 🦀".into()),
            Value::Text(String::new()),
            Value::Blob(Vec::new()),
            Value::Blob((0..=255).collect()),
        ];
        for value in values {
            let json = serde_json::to_string(&Outgoing(&value)).unwrap();
            let Incoming(back) = serde_json::from_str(&json).unwrap();
            assert_eq!(back, value, "{json}");
        }
    }

    #[test]
    fn other_servers_spelling_is_understood() {
        let read = |json| serde_json::from_str::<Incoming>(json).map(|v| v.0);
        assert_eq!(read(r#"{"value":"7","type":"integer"}"#).unwrap(), Value::Integer(7));
        assert_eq!(read(r#"{"type":"float","value":3}"#).unwrap(), Value::Real(3.0));
        assert_eq!(read(r#"{"type":"float","value":null}"#).unwrap(), Value::Null);
        assert_eq!(read(r#"{"type":"blob","base64":"AQ=="}"#).unwrap(), Value::Blob(vec![1]));
        assert_eq!(read(r#"{"type":"null","later":[{}]}"#).unwrap(), Value::Null);
    }

    #[test]
    fn malformed_values_are_errors() {
        for json in [
            r#"{}"#,
            r#"{"type":"integer","value":"x"}"#,
            r#"{"type":"integer","value":"9223372036854775808"}"#,
            r#"{"type":"integer"}"#,
            r#"{"type":"text"}"#,
            r#"{"type":"blob","base64":"*"}"#,
            r#"{"type":"vector","value":"x"}"#,
            r#"{"type":"text","value":["x"]}"#,
        ] {
            assert!(serde_json::from_str::<Incoming>(json).is_err(), "{json}");
        }
    }
}
