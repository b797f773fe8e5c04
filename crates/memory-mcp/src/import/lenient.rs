//! Fields as agents really write them: null, absent, a number where a text was meant.

use std::fmt;

use memory_core::MetadataValue;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// For `#[serde(default, deserialize_with = "null_as_default")]`: null counts as absent.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A text, number or boolean; anything else counts as absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Scalar {
    #[default]
    Absent,
    Text(String),
    Integer(i64),
    Real(f64),
    Boolean(bool),
}

impl Scalar {
    /// Its text; empty when absent.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Scalar::Absent => String::new(),
            Scalar::Text(text) => text.clone(),
            Scalar::Integer(n) => n.to_string(),
            Scalar::Real(x) => x.to_string(),
            Scalar::Boolean(b) => b.to_string(),
        }
    }

    /// Its number, also out of a text or a boolean.
    pub(crate) fn to_number(&self) -> Option<f64> {
        match self {
            Scalar::Absent => None,
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Integer(n) => Some(*n as f64),
            Scalar::Real(x) => Some(*x),
            Scalar::Boolean(b) => Some(f64::from(*b)),
        }
        .filter(|x| x.is_finite())
    }

    /// Whether it says yes.
    pub(crate) fn to_bool(&self) -> Option<bool> {
        match self {
            Scalar::Boolean(b) => Some(*b),
            Scalar::Integer(n) => Some(*n != 0),
            _ => None,
        }
    }

    /// As metadata, when there is something to say.
    pub(crate) fn to_metadata(&self) -> Option<MetadataValue> {
        match self {
            Scalar::Absent => None,
            Scalar::Text(text) if text.trim().is_empty() => None,
            Scalar::Text(text) => Some(MetadataValue::Text(text.clone())),
            Scalar::Integer(n) => Some(MetadataValue::Integer(*n)),
            Scalar::Real(x) => x.is_finite().then_some(MetadataValue::Real(*x)),
            Scalar::Boolean(b) => Some(MetadataValue::Boolean(*b)),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a boolean")
    }

    fn visit_bool<E>(self, b: bool) -> Result<Scalar, E> {
        Ok(Scalar::Boolean(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(n).map_or(Scalar::Real(n as f64), Scalar::Integer))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Scalar, E> {
        Ok(Scalar::Real(x))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Absent)
    }
}

/// The text of a message: a string, or blocks with a `text` or `content` each; images and the
/// like are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of text blocks")
    }

    fn visit_bool<E>(self, b: bool) -> Result<Text, E> {
        Ok(Text(b.to_string()))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Text, E> {
        Ok(Text(x.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
        let mut all = String::new();
        while let Some(Text(text)) = seq.next_element()? {
            join(&mut all, &text);
        }
        Ok(Text(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        let mut all = String::new();
        while let Some(key) = map.next_key::<String>()? {
            if matches!(key.as_str(), "text" | "content") {
                join(&mut all, &map.next_value::<Text>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Text(all))
    }
}

/// Appends `text` on a line of its own.
pub(crate) fn join(all: &mut String, text: &str) {
    if !all.is_empty() && !text.is_empty() {
        all.push('\n');
    }
    all.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_and_texts_take_what_comes() {
        let scalars: Vec<Scalar> =
            serde_json::from_str(r#"[1, 1.5, "x", true, null, {"a": 1}, [2]]"#).unwrap();
        let texts: Vec<String> = scalars.iter().map(Scalar::to_text).collect();
        assert_eq!(texts, ["1", "1.5", "x", "true", "", "", ""]);
        let text: Text =
            serde_json::from_str(r#"[{"type":"text","text":"a"}, "b", null, {"image": {}}]"#)
                .unwrap();
        assert_eq!(text.0, "a\nb");
    }
}
