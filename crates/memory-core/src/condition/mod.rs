//! Conditions on metadata: `repo = "api" AND (attempts > 2 OR NOT green EXISTS)`.
//!
//! A comparison holds for episodes that have the key with a value of the same kind: text, number
//! (integers and reals are one kind, compared exactly), or boolean. `!=` holds for every other value
//! of the key, `NOT` also for episodes without it.

mod lex;
mod parse;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::episode::MetadataValue;
use crate::episode::limits::MAX_METADATA_BYTES;
use crate::error::{Error, Result, excerpt};

/// Comparisons in one condition: more than anyone types, few enough for one statement.
pub const MAX_TERMS: usize = 32;

/// Nesting of NOT and of AND and OR in each other.
pub const MAX_DEPTH: usize = 16;

/// Which metadata an episode must have. Text is read with [`str::parse`].
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The key has a value that compares so.
    Compare {
        /// The key.
        key: String,
        /// How its value stands to `value`.
        how: Comparison,
        /// What it is compared with.
        value: MetadataValue,
    },
    /// The key has a text that starts so.
    StartsWith {
        /// The key.
        key: String,
        /// The start, byte for byte.
        prefix: String,
    },
    /// The key has a value.
    Exists {
        /// The key.
        key: String,
    },
    /// Every one of these holds.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
}

/// How one value stands to another. Text is ordered byte by byte, booleans are not ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Condition {
    /// `key = value`.
    pub fn equals(key: impl Into<String>, value: impl Into<MetadataValue>) -> Self {
        Condition::Compare { key: key.into(), how: Comparison::Equal, value: value.into() }
    }

    /// All of them; `None` when there are none.
    pub fn all(mut conditions: Vec<Condition>) -> Option<Self> {
        match conditions.len() {
            0 => None,
            1 => conditions.pop(),
            _ => Some(Condition::All(conditions)),
        }
    }

    /// Whether it holds for this metadata.
    pub fn matches(&self, metadata: &BTreeMap<String, MetadataValue>) -> bool {
        match self {
            Condition::Compare { key, how, value } => {
                metadata.get(key).is_some_and(|found| how.holds(found.compare(value)))
            }
            Condition::StartsWith { key, prefix } => {
                matches!(metadata.get(key), Some(MetadataValue::Text(t)) if t.starts_with(prefix))
            }
            Condition::Exists { key } => metadata.contains_key(key),
            Condition::All(list) => list.iter().all(|c| c.matches(metadata)),
            Condition::Any(list) => list.iter().any(|c| c.matches(metadata)),
            Condition::Not(inner) => !inner.matches(metadata),
        }
    }

    /// Checks the limits, and that every comparison can hold for something.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] says which part is too long, too much or makes no sense.
    pub fn validate(&self) -> Result<()> {
        let mut terms = 0;
        self.validate_within(MAX_DEPTH, &mut terms)
    }

    fn validate_within(&self, depth: usize, terms: &mut usize) -> Result<()> {
        match self {
            Condition::All(list) | Condition::Any(list) => {
                let depth = deeper(depth)?;
                list.iter().try_for_each(|c| c.validate_within(depth, terms))
            }
            Condition::Not(inner) => inner.validate_within(deeper(depth)?, terms),
            Condition::Compare { key, how, value } => {
                one_more(terms)?;
                check_key(key)?;
                match value {
                    MetadataValue::Text(text) => check_text(text),
                    MetadataValue::Real(x) if !x.is_finite() => {
                        Err(refused(format!("{x} is no number that can be compared")))
                    }
                    MetadataValue::Boolean(b) if how.orders() => {
                        Err(refused(format!("{b} has no order; compare it with = or !=")))
                    }
                    _ => Ok(()),
                }
            }
            Condition::StartsWith { key, prefix } => {
                one_more(terms)?;
                check_key(key)?;
                check_text(prefix)
            }
            Condition::Exists { key } => {
                one_more(terms)?;
                check_key(key)
            }
        }
    }
}

impl Comparison {
    /// True for those that need an order.
    pub fn orders(self) -> bool {
        !matches!(self, Comparison::Equal | Comparison::NotEqual)
    }

    /// `found` is how the value at hand stands to the other; `None`: they are of different kinds.
    fn holds(self, found: Option<Ordering>) -> bool {
        match self {
            Comparison::Equal => found == Some(Ordering::Equal),
            Comparison::NotEqual => found != Some(Ordering::Equal),
            Comparison::Less => found == Some(Ordering::Less),
            Comparison::LessOrEqual => found.is_some_and(Ordering::is_le),
            Comparison::Greater => found == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => found.is_some_and(Ordering::is_ge),
        }
    }
}

fn refused(problem: String) -> Error {
    Error::invalid("where", problem)
}

fn deeper(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or_else(|| {
        refused(format!("is nested deeper than {MAX_DEPTH}; leave out some parentheses or NOTs"))
    })
}

fn one_more(terms: &mut usize) -> Result<()> {
    *terms += 1;
    if *terms > MAX_TERMS {
        return Err(refused(format!("has more than {MAX_TERMS} comparisons; leave some out")));
    }
    Ok(())
}

fn check_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(refused("a key is empty; name the metadata that is meant".into()));
    }
    check_text(key)
}

/// Keys and values beyond these cannot be stored, so nothing could match.
fn check_text(text: &str) -> Result<()> {
    let shown = excerpt(text);
    if text.contains('\0') {
        return Err(refused(format!("\"{shown}\" contains a NUL character; remove it")));
    }
    if text.len() > MAX_METADATA_BYTES {
        let size = text.len();
        return Err(refused(format!(
            "\"{shown}\" has {size} bytes, metadata has at most {MAX_METADATA_BYTES}; shorten it, \
             or compare with STARTS WITH"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> BTreeMap<String, MetadataValue> {
        let big = (1i64 << 53) + 1;
        [
            ("repo", MetadataValue::from("api-web")),
            ("attempts", 3.into()),
            ("share", MetadataValue::Real(0.5)),
            ("green", MetadataValue::Boolean(true)),
            ("big", big.into()),
            ("empty", "".into()),
            ("digits", "10".into()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    #[test]
    fn values_are_compared_within_their_kind() {
        let cases = [
            ("repo = api-web", true),
            ("repo = 'API-web'", false),
            ("repo > api", true),
            ("repo < api", false),
            ("repo STARTS WITH \"api-\"", true),
            ("repo starts with web", false),
            ("empty STARTS WITH ''", true),
            ("attempts STARTS WITH 3", false),
            ("attempts = 3.0", true),
            ("attempts > 2.999", true),
            ("attempts >= 3 AND attempts <= 3", true),
            ("share < 1", true),
            ("share = 0.5", true),
            // 2^53 + 1 is no double: as doubles the two would be equal.
            ("big = 9007199254740992.0", false),
            ("big > 9007199254740992.0", true),
            ("big < 1e300", true),
            ("big > -1e300", true),
            ("digits > 9", false),
            ("digits = 10", false),
            ("digits = \"10\"", true),
            ("green = true", true),
            ("green = TRUE", true),
            ("green = 1", false),
            ("green != false", true),
            ("attempts != x", true),
            ("missing != x", false),
            ("missing EXISTS", false),
            ("NOT missing EXISTS", true),
            ("NOT missing = 3", true),
            ("green exists", true),
            ("missing = 1 OR green = true AND attempts = 3", true),
            ("(missing = 1 OR green = true) AND attempts = 4", false),
            ("NOT (attempts = 4 OR NOT green = true)", true),
        ];
        for (text, expected) in cases {
            let condition: Condition = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(condition.matches(&metadata()), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_match_or_is_too_much_is_refused() {
        let problem = |c: Condition| c.validate().unwrap_err().to_string();
        let many = (0..=MAX_TERMS).map(|n| Condition::equals(format!("k{n}"), 1)).collect();
        assert!(problem(Condition::All(many)).contains("more than 32 comparisons"));
        let deep = (0..=MAX_DEPTH)
            .fold(Condition::equals("k", 1), |inner, _| Condition::Not(Box::new(inner)));
        assert!(problem(deep).contains("nested deeper than 16"));
        assert!(problem(Condition::equals("", 1)).contains("a key is empty"));
        assert!(problem(Condition::equals("k\0", 1)).contains("NUL"));
        assert!(problem(Condition::equals("k", "x".repeat(1025).as_str())).contains("1025 bytes"));
        assert!(problem(Condition::equals("k", MetadataValue::Real(f64::NAN))).contains("NaN"));
    }
}
