//! Secrets in strings inside JSON.

use super::named;
use crate::episode::RawJson;

/// The JSON without secrets and how many there were; `None` when there are none.
///
/// Strings are replaced where they stand, so numbers, key order and nesting stay to the letter. A
/// value is judged by its own text and by the key before it; elements of an array by the array's.
pub(super) fn redact(json: &RawJson) -> Option<(RawJson, usize)> {
    let text = json.as_str();
    if !text.contains('"') {
        return None;
    }
    let (mut out, mut count, mut key) = (String::new(), 0, String::new());
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        let (before, string) = rest.split_at(start);
        let end = string_end(string)?;
        let (literal, after) = string.split_at(end);
        let mut value: String = serde_json::from_str(literal).ok()?;
        out.push_str(before);
        // The key holds for its value and for the elements of an array that is its value.
        if before.contains(['{', '}', ']']) {
            key.clear();
        }
        if after.starts_with(':') {
            key = value;
            out.push_str(literal);
        } else {
            match named(&key, &mut value) {
                0 => out.push_str(literal),
                found => {
                    count += found;
                    out.push_str(&serde_json::to_string(&value).ok()?);
                }
            }
        }
        rest = after;
    }
    out.push_str(rest);
    if count == 0 {
        return None;
    }
    RawJson::parse(&out).ok().map(|json| (json, count))
}

/// Length of the string literal that `text` begins with, quotes included.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(i + 1),
            _ => {}
        }
    }
    None
}
