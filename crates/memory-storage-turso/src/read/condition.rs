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
            range(sql, &[comparison]);
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

/// Restricts the metadata `m` to comparisons of one key, which an episode has once: together they are one
/// range of values.
pub(super) fn range(sql: &mut Sql, comparisons: &[&Condition]) {
    bounds(sql, comparisons, true);
}

/// The ends of that range alone; without the lower ones when the caller has a closer one. What lies
/// between and is excluded is not.
pub(super) fn ends(sql: &mut Sql, comparisons: &[&Condition], lower: bool) {
    let between: Vec<_> = comparisons.iter().copied().filter(|c| !is_unequal(c)).collect();
    bounds(sql, &between, lower);
}

fn bounds(sql: &mut Sql, comparisons: &[&Condition], lower: bool) {
    for comparison in comparisons {
        let Some(key) = key(comparison) else {
            sql.push(" AND FALSE");
            return;
        };
        sql.bind(" AND m.key = ", text(key));
        match comparison {
            Condition::Compare { how, value, .. } => {
                if lower || !matches!(how, Comparison::Greater | Comparison::GreaterOrEqual) {
                    sql.bind(operator(*how), metadata_value(value));
                }
                // The engine goes by one bound at either end, so there must be no looser one.
                open_end(sql, *how, value, |end| {
                    (lower || end == End::Upper) && !is_bounded(comparisons, end, value)
                });
            }
            Condition::StartsWith { prefix, .. } => {
                if lower {
                    sql.bind(" AND m.value >= ", text(prefix));
                }
                match after_all_with(prefix) {
                    Some(end) => sql.bind(" AND m.value < ", Value::Text(end)),
                    None => sql.push(" AND m.value < ").push(FIRST_BOOLEAN),
                };
            }
            _ => {}
        }
    }
}

/// The key of a comparison; of anything else none.
fn key(comparison: &Condition) -> Option<&str> {
    match comparison {
        Condition::Compare { key, .. }
        | Condition::StartsWith { key, .. }
        | Condition::Exists { key } => Some(key),
        Condition::All(_) | Condition::Any(_) | Condition::Not(_) => None,
    }
}

fn operator(how: Comparison) -> &'static str {
    match how {
        Comparison::Equal => " AND m.value = ",
        Comparison::NotEqual => " AND m.value <> ",
        Comparison::Less => " AND m.value < ",
        Comparison::LessOrEqual => " AND m.value <= ",
        Comparison::Greater => " AND m.value > ",
        Comparison::GreaterOrEqual => " AND m.value >= ",
    }
}

/// An end of a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lower,
    Upper,
}

/// An open end of a range is where the values of its kind end, unless it is closed by something else.
fn open_end(sql: &mut Sql, how: Comparison, value: &MetadataValue, is_open: impl Fn(End) -> bool) {
    let is_text = matches!(value, MetadataValue::Text(_));
    match how {
        Comparison::Less | Comparison::LessOrEqual if is_text && is_open(End::Lower) => {
            sql.push(" AND m.value >= ").push(FIRST_TEXT);
        }
        Comparison::Greater | Comparison::GreaterOrEqual if is_open(End::Upper) => {
            let end = if is_text { FIRST_BOOLEAN } else { FIRST_TEXT };
            sql.push(" AND m.value < ").push(end);
        }
        _ => {}
    }
}

/// True when one of the comparisons closes this end among values of the kind of `value`.
fn is_bounded(comparisons: &[&Condition], end: End, value: &MetadataValue) -> bool {
    let kind = |value: &MetadataValue| match value {
        MetadataValue::Text(_) => 0,
        MetadataValue::Integer(_) | MetadataValue::Real(_) => 1,
        MetadataValue::Boolean(_) => 2,
    };
    comparisons.iter().any(|comparison| match comparison {
        Condition::Compare { how, value: other, .. } => {
            kind(other) == kind(value)
                && match how {
                    Comparison::Equal => true,
                    Comparison::NotEqual => false,
                    Comparison::Less | Comparison::LessOrEqual => end == End::Upper,
                    Comparison::Greater | Comparison::GreaterOrEqual => end == End::Lower,
                }
        }
        Condition::StartsWith { .. } => matches!(value, MetadataValue::Text(_)),
        _ => false,
    })
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
    /// An episode must be in one of these ranges, each the comparisons of one key.
    pub(super) ranges: Vec<Vec<&'c Condition>>,
    /// What is left to test.
    pub(super) rest: Vec<&'c Condition>,
}

impl Way<'_> {
    /// True when every range is a single value, so that its rows are in the order of time.
    pub(super) fn is_of_values(&self) -> bool {
        self.ranges.iter().all(|range| range.iter().any(|comparison| is_equality(comparison)))
    }
}

fn is_equality(comparison: &Condition) -> bool {
    matches!(comparison, Condition::Compare { how: Comparison::Equal, .. })
}

/// The ways to find the episodes of a condition: by any one of what must hold together.
pub(super) fn ways(condition: &Condition) -> Vec<Way<'_>> {
    let mut parts = Vec::new();
    must_hold(condition, &mut parts);
    let mut ways: Vec<Way<'_>> = Vec::new();
    for (i, part) in parts.iter().copied().enumerate() {
        let mut found = Vec::new();
        if !collect_ranges(part, &mut found) || found.len() > MAX_RANGES {
            continue;
        }
        let is_known = is_its_ranges(part);
        let mut ranges: Vec<Vec<&Condition>> = found.into_iter().map(|c| vec![c]).collect();
        let same_key = |c: &Condition| is_known && key(part).is_some() && key(c) == key(part);
        if parts.iter().take(i).any(|c| same_key(c) && !is_unequal(c)) {
            continue; // It is part of the range that begins there.
        }
        let mut rest = Vec::new();
        for (j, other) in parts.iter().copied().enumerate().filter(|(j, _)| !is_known || *j != i) {
            match ranges.as_mut_slice() {
                [range] if j != i && same_key(other) => range.push(other),
                _ => rest.push(other),
            }
        }
        ways.push(Way { ranges, rest });
    }
    ways.truncate(MAX_WAYS);
    ways
}

fn is_unequal(comparison: &Condition) -> bool {
    matches!(comparison, Condition::Compare { how: Comparison::NotEqual, .. })
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
    fn bounds_of_one_key_are_the_only_ones() {
        let sql = |condition: &str| {
            let condition: Condition = condition.parse().unwrap();
            let mut sql = Sql::new("");
            range(&mut sql, &ways(&condition)[0].ranges[0]);
            sql.statement().sql.matches("m.value <").count()
        };
        assert_eq!(sql("a >= 1"), 1, "numbers end where texts begin");
        assert_eq!(sql("a >= 1 AND a < 9"), 1);
        assert_eq!(sql("a >= 1 AND a < \"x\""), 2, "of two kinds, nothing has both");
        assert_eq!(sql("a >= 1 AND a = true"), 1, "of two kinds again");
        assert_eq!(sql("a >= \"b\" AND a STARTS WITH \"b\""), 1);
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
        // Comparisons of one key are one range.
        assert_eq!(shape("a >= 1 AND b = 2 AND a < 9"), [(1, 1), (1, 2)]);
        assert_eq!(shape("a >= 1 AND a < 9 AND a != 5"), [(1, 0)]);
    }
}
