//! Typed metadata values.

use serde::{Deserialize, Serialize};

/// A metadata value. Plain in JSON (`"x"`, `3`, `0.5`, `true`), tagged in binary formats.
#[derive(Debug, Clone, PartialEq)]
pub enum MetadataValue {
    /// UTF-8 text.
    Text(String),
    /// 64-bit signed integer.
    Integer(i64),
    /// Finite double.
    Real(f64),
    /// True or false.
    Boolean(bool),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Plain {
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
}

#[derive(Serialize, Deserialize)]
enum Tagged {
    Text(String),
    Integer(i64),
    Real(f64),
    Boolean(bool),
}

macro_rules! convert {
    ($($twin:ident),*) => {$(
        impl From<MetadataValue> for $twin {
            fn from(value: MetadataValue) -> Self {
                match value {
                    MetadataValue::Text(v) => $twin::Text(v),
                    MetadataValue::Integer(v) => $twin::Integer(v),
                    MetadataValue::Real(v) => $twin::Real(v),
                    MetadataValue::Boolean(v) => $twin::Boolean(v),
                }
            }
        }

        impl From<$twin> for MetadataValue {
            fn from(value: $twin) -> Self {
                match value {
                    $twin::Text(v) => MetadataValue::Text(v),
                    $twin::Integer(v) => MetadataValue::Integer(v),
                    $twin::Real(v) => MetadataValue::Real(v),
                    $twin::Boolean(v) => MetadataValue::Boolean(v),
                }
            }
        }
    )*};
}

convert!(Plain, Tagged);

impl Serialize for MetadataValue {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            Plain::from(self.clone()).serialize(s)
        } else {
            Tagged::from(self.clone()).serialize(s)
        }
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            Plain::deserialize(d).map(Into::into)
        } else {
            Tagged::deserialize(d).map(Into::into)
        }
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        MetadataValue::Text(text.to_owned())
    }
}

impl From<i64> for MetadataValue {
    fn from(value: i64) -> Self {
        MetadataValue::Integer(value)
    }
}
