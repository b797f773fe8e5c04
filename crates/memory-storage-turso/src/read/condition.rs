//! Conditions on metadata as SQL: a test of one episode, and a way to find episodes. Every key and
//! value is bound.

use memory_core::condition::Comparison;
use memory_core::{Condition, MetadataValue};

use super::filter::Sql;
use crate::batch::Value;
use crate::write::save::metadata_value;
use crate::write::text;

/// Where text begins in the order of values, and where booleans do (the schema says why).
const FIRST_TEXT: &str = "''";
const FIRST_BOOLEAN: &str = "x''";

/// Ways to find the episodes of a condition that are considered.
const MAX_WAYS: usize = 4;

/// Ranges of the index that one way may unite.
const MAX_RANGES: usize = 8;

/// Restricts the episodes `e` to a condition.
pub(super) fn test(sql: &mut Sql, condition: &Condition) {
    match condition {
        Condition::All(list) => join(sql, list, "TRUE", " AND "),
        Condition::Any(list) => join(sql, list, "FALSE", " OR "),
        Condition::Not(inner) => {
            sql.push("NOT ");
            test(sql, inner);
        }
        comparison => {
            sql.push("EXISTS (SELECT 1 FROM episode_metadata m WHERE m.episode = e.rid");
            range(sql, comparison);
            sql.push(")");
        }
    }
}

fn join(sql: &mut Sql, list: &[Condition], none: &'static str, word: &'static str) {
    sql.push("(");
    for (i, condition) in list.iter().enumerate() {
        if i > 0 {
            sql.push(word);
        }
        test(sql, condition);
    }
    sql.push(if list.is_empty() { none } else { "" }).push(")");
}

/// Restricts the metadata `m` to one comparison: its key, and a range of values.
pub(super) fn range(sql: &mut Sql, comparison: &Condition) {
    match comparison {
        Condition::Compare { key, how, value } => {
            sql.bind(" AND m.key = ", text(key));
            compared(sql, *how, value);
        }
        Condition::StartsWith { key, prefix } => {
            sql.bind(" AND m.key = ", text(key));
            sql.bind(" AND m.value >= ", text(prefix));
            match after_all_with(prefix) {
                Some(end) => sql.bind(" AND m.value < ", Value::Text(end)),
                None => sql.push(" AND m.value < ").push(FIRST_BOOLEAN),
            };
        }
        Condition::Exists { key } => {
            sql.bind(" AND m.key = ", text(key));
        }
        Condition::All(_) | Condition::Any(_) | Condition::Not(_) => {
            sql.push(" AND FALSE");
        }
    }
}

/// An open end of a range is where the values of its kind end.
fn compared(sql: &mut Sql, how: Comparison, value: &MetadataValue) {
    let operator = match how {
        Comparison::Equal => " AND m.value = ",
        Comparison::NotEqual => " AND m.value <> ",
        Comparison::Less => " AND m.value < ",
        Comparison::LessOrEqual => " AND m.value <= ",
        Comparison::Greater => " AND m.value > ",
        Comparison::GreaterOrEqual => " AND m.value >= ",
    };
    sql.bind(operator, metadata_value(value));
    let is_text = matches!(value, MetadataValue::Text(_));
    match how {
        Comparison::Equal | Comparison::NotEqual => {}
        Comparison::Less | Comparison::LessOrEqual if is_text => {
            sql.push(" AND m.value >= ").push(FIRST_TEXT);
        }
        Comparison::Less | Comparison::LessOrEqual => {}
        Comparison::Greater | Comparison::GreaterOrEqual => {
            let end = if is_text { FIRST_BOOLEAN } else { FIRST_TEXT };
            sql.push(" AND m.value < ").push(end);
        }
    }
}

/// The first text after all that start with `prefix`; `None`: there is none.
fn after_all_with(prefix: &str) -> Option<String> {
    let mut start: Vec<char> = prefix.chars().collect();
    while let Some(last) = start.pop() {
        // The order of UTF-8 is that of the characters; between U+D7FF and U+E000 there are none.
        let next =
            if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            start.push(next);
            return Some(start.into_iter().collect());
        }
    }
    None
}

/// One way to find every episode of a condition by the index of values.
pub(super) struct Way<'c> {
    /// An episode must be in one of these.
    pub(super) ranges: Vec<&'c Condition>,
    /// What is left to test.
    pub(super) rest: Vec<&'c Condition>,
}

impl Way<'_> {
    /// Its only comparison, when that is an equality: all its rows are one value.
    pub(super) fn equality(&self) -> Option<&Condition> {
        match self.ranges.as_slice() {
            [only @ Condition::Compare { how: Comparison::Equal, .. }] => Some(only),
            _ => None,
        }
    }
}

/// The ways to find the episodes of a condition: by any one of what must hold together.
pub(super) fn ways(condition: &Condition) -> Vec<Way<'_>> {
    let mut parts = Vec::new();
    must_hold(condition, &mut parts);
    let way = |(i, part)| {
        let mut ranges = Vec::new();
        let found = collect_ranges(part, &mut ranges) && ranges.len() <= MAX_RANGES;
        found.then(|| {
            let known = is_its_ranges(part);
            let left = parts.iter().enumerate().filter(|(j, _)| !known || *j != i);
            Way { ranges, rest: left.map(|(_, c)| *c).collect() }
        })
    };
    parts.iter().copied().enumerate().filter_map(way).take(MAX_WAYS).collect()
}

/// What is joined by AND at the top.
fn must_hold<'c>(condition: &'c Condition, parts: &mut Vec<&'c Condition>) {
    match condition {
        Condition::All(list) => list.iter().for_each(|c| must_hold(c, parts)),
        other => parts.push(other),
    }
}

/// True when what is in its ranges need not be tested again.
fn is_its_ranges(condition: &Condition) -> bool {
    match condition {
        Condition::Any(list) => list.iter().all(is_its_ranges),
        Condition::All(_) | Condition::Not(_) => false,
        _ => true,
    }
}

/// The ranges that together hold all its episodes; false when the index cannot tell.
fn collect_ranges<'c>(condition: &'c Condition, ranges: &mut Vec<&'c Condition>) -> bool {
    match condition {
        Condition::Any(list) => list.iter().all(|c| collect_ranges(c, ranges)),
        // Any one of them would do; the first is as good as the others.
        Condition::All(list) => list.iter().any(|c| {
            let before = ranges.len();
            let found = collect_ranges(c, ranges);
            if !found {
                ranges.truncate(before);
            }
            found
        }),
        Condition::Not(_) | Condition::Compare { how: Comparison::NotEqual, .. } => false,
        comparison => {
            ranges.push(comparison);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_after_a_prefix_is_the_next_in_order() {
        let after = |prefix: &str| after_all_with(prefix);
        assert_eq!(after("ab").as_deref(), Some("ac"));
        assert_eq!(after("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after("\u{10ffff}"), None);
        assert_eq!(after(""), None);
    }

    #[test]
    fn a_way_holds_every_episode_of_its_condition() {
        let shape = |text: &str| {
            let condition: Condition = text.parse().unwrap();
            let ways = ways(&condition);
            ways.iter().map(|w| (w.ranges.len(), w.rest.len())).collect::<Vec<_>>()
        };
        assert_eq!(shape("a = 1"), [(1, 0)]);
        assert_eq!(shape("a = 1 AND b > 2 AND NOT c = 3"), [(1, 2), (1, 2)]);
        assert_eq!(shape("a = 1 OR b = 2"), [(2, 0)]);
        // An OR with a branch that the index cannot find is found by nothing.
        assert_eq!(shape("a = 1 OR NOT b = 2"), []);
        assert_eq!(shape("(a = 1 OR b = 2) AND d EXISTS"), [(2, 1), (1, 1)]);
        // Ranges that hold more than the condition leave it to be tested.
        assert_eq!(shape("(a = 1 OR b = 2 AND NOT c = 3) AND d EXISTS"), [(2, 2), (1, 1)]);
        assert_eq!(shape("a != 1"), []);
    }
}
