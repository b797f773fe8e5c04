//! The opaque cursors of pages: the sort key of the last row, in hexadecimal.

use memory_core::error::excerpt;
use memory_core::{Error, Result};

use crate::write::hex;

/// A cursor of several parts.
pub(crate) fn encode(parts: &[&[u8]]) -> String {
    parts.iter().map(|part| hex(part)).collect::<Vec<_>>().join(".")
}

/// The parts of a cursor.
pub(crate) fn decode<const N: usize>(cursor: &str) -> Result<[Vec<u8>; N]> {
    let parts: Option<Vec<Vec<u8>>> = cursor.split('.').map(unhex).collect();
    parts.and_then(|parts| parts.try_into().ok()).ok_or_else(|| unreadable(cursor))
}

/// The error of a cursor that did not come from here.
pub(crate) fn unreadable(cursor: &str) -> Error {
    let problem =
        format!("\"{}\" is no cursor; pass `next` of the page before as it is", excerpt(cursor));
    Error::invalid("after", problem)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect())
}
