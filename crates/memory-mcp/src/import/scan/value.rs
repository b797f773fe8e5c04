//! One JSON value, byte by byte: where it ends, and what stands around it.

use memchr::{memchr_iter, memmem};

use super::MAX_KEY_BYTES;

/// The state of a scan through one JSON value.
#[derive(Default)]
pub(super) struct ValueScan {
    started: bool,
    depth: u64,
    in_string: bool,
    escaped: bool,
    after_string: bool,
}

pub(super) enum Fed {
    /// The byte belongs to the value, which goes on.
    Inside,
    /// The byte is the value's last.
    Last,
    /// The value ended before this byte.
    After,
    /// No JSON value has this byte here.
    Broken(&'static str),
}

impl ValueScan {
    pub(super) fn feed(&mut self, b: u8) -> Fed {
        if self.in_string {
            return self.feed_string(b);
        }
        if self.after_string && !b.is_ascii_whitespace() {
            self.after_string = false;
            if !matches!(b, b',' | b':' | b']' | b'}') {
                return Fed::Broken("text follows a string, a quote may be missing");
            }
        }
        match b {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 0 => return Fed::After,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Fed::Last;
                }
            }
            b',' | b':' if self.depth == 0 => return Fed::After,
            _ if self.depth == 0 && b.is_ascii_whitespace() => return Fed::After,
            _ => {}
        }
        self.started = true;
        Fed::Inside
    }

    fn feed_string(&mut self, b: u8) -> Fed {
        match b {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                self.after_string = true;
                if self.depth == 0 {
                    return Fed::Last;
                }
            }
            0..=0x1F => return Fed::Broken("a line feed or control character stands in a string"),
            _ => {}
        }
        Fed::Inside
    }

    /// True inside a number or literal that no bracket or quote will end.
    pub(super) fn is_bare(&self) -> bool {
        self.started && self.depth == 0 && !self.in_string
    }
}

pub(super) fn lines_in(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// How many fields called `name` are in a JSON text, at any depth.
pub(super) fn fields_named(json: &[u8], name: &str) -> usize {
    let name = format!("\"{name}\"");
    memmem::find_iter(json, &name)
        .filter_map(|at| json.get(at + name.len()..))
        .filter(|rest| rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':'))
        .count()
}

/// Index of the last byte before `end` that is no white space.
pub(super) fn last_before(buf: &[u8], end: usize) -> Option<usize> {
    buf.get(..end)?.iter().rposition(|b| !b.is_ascii_whitespace())
}

/// Index of the opening quote of the `"key":` in front of `brace`.
pub(super) fn key_before(buf: &[u8], brace: usize) -> Option<usize> {
    let colon = last_before(buf, brace).filter(|&i| buf.get(i) == Some(&b':'))?;
    let quote = last_before(buf, colon).filter(|&i| buf.get(i) == Some(&b'"'))?;
    let from = quote.saturating_sub(MAX_KEY_BYTES);
    buf.get(from..quote)?.iter().rposition(|&b| b == b'"').map(|i| from + i)
}

/// The first field name of an object, in its quotes.
pub(super) fn first_key(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.get(text.iter().position(|&b| b == b'{')? + 1..)?;
    let text = text.get(text.iter().position(|b| !b.is_ascii_whitespace())?..)?;
    let (quote, rest) = text.split_first()?;
    let end = rest.iter().take(MAX_KEY_BYTES).position(|b| matches!(b, b'"' | b'\\'))?;
    (*quote == b'"' && rest.get(end) == Some(&b'"'))
        .then(|| text.get(..end + 2))
        .flatten()
        .map(<[u8]>::to_vec)
}
