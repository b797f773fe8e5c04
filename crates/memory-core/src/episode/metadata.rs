//! Typed metadata values.

use std::cmp::Ordering;

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

impl MetadataValue {
    /// How this stands to `other`: numbers by value, integers against reals exactly, text byte by
    /// byte. `None`: they are of different kinds.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        use MetadataValue::{Boolean, Integer, Real, Text};
        match (self, other) {
            (Text(a), Text(b)) => Some(a.cmp(b)),
            (Boolean(a), Boolean(b)) => Some(a.cmp(b)),
            (Integer(a), Integer(b)) => Some(a.cmp(b)),
            (Real(a), Real(b)) => a.partial_cmp(b),
            (Integer(n), Real(x)) => compare_exactly(*n, *x),
            (Real(x), Integer(n)) => compare_exactly(*n, *x).map(Ordering::reverse),
            _ => None,
        }
    }
}

/// Without rounding the integer to a double, which would lose what is beyond 2^53.
fn compare_exactly(n: i64, x: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if x.is_nan() {
        None
    } else if x >= BEYOND {
        Some(Ordering::Less)
    } else if x < -BEYOND {
        Some(Ordering::Greater)
    } else {
        let whole = x.trunc();
        Some(n.cmp(&(whole as i64)).then_with(|| 0.0_f64.total_cmp(&(x - whole + 0.0))))
    }
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
