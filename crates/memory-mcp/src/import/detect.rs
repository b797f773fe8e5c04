//! Tells the format of a file by what is in it, never by its name.

use std::io::{self, Read};

use serde::Deserialize;

use super::Format;
use super::lenient::Scalar;
use super::lines::LineReader;
use super::scan::{LOGS, MAX_RECORD_BYTES, Shape};

/// Lines looked at before a file of lines counts as unknown: the first few may be broken.
const MAX_LINES: usize = 64;

/// Bytes of one of those lines.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Longest field name worth remembering.
const MAX_NAME_BYTES: usize = 64;

/// The format and layout of a file, or `None` when it is none of ours. `open` is called once or
/// twice; each time it must start at the beginning.
pub(crate) fn detect<R: Read>(
    mut open: impl FnMut() -> io::Result<R>,
) -> io::Result<Option<(Format, Shape)>> {
    if let Some(found) = by_field_names(open()?)? {
        return Ok(Some(found));
    }
    Ok(by_lines(open()?).map(|format| (format, Shape::Values)))
}

/// What a field name says about the record it stands in.
fn format_of(name: &str) -> Option<Format> {
    Some(match name {
        "traj" => Format::TauBench,
        "turn_history" => Format::Intercode,
        "trajectory" | "history" => Format::SweAgent,
        "parentUuid" | "isSidechain" | "leafUuid" => Format::ClaudeCode,
        "task_description" => Format::Native,
        "entityType" | "relationType" => Format::McpMemory,
        _ => return None,
    })
}

/// A field that every record of a results file has once.
pub(crate) fn marker(format: Format) -> &'static str {
    match format {
        Format::TauBench => "traj",
        Format::Intercode => "turn_history",
        Format::SweAgent => "trajectory",
        Format::ClaudeCode => "sessionId",
        Format::Native => "task_description",
        Format::McpMemory => "entityType",
    }
}

/// The values of `kind` in our own export.
const NATIVE_KINDS: [&str; 6] =
    ["episode", "pattern", "heuristic", "feedback", "relation", "tombstone"];

/// Follows brackets and strings up to the first field name that gives the format away.
fn by_field_names(input: impl Read) -> io::Result<Option<(Format, Shape)>> {
    let mut names = FieldNames::default();
    let mut input = input.take(MAX_RECORD_BYTES as u64);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut chunk)?;
        for &b in chunk.get(..read).unwrap_or_default() {
            match names.feed(b) {
                Seen::Nothing => {}
                Seen::Format(format, shape) => return Ok(Some((format, shape))),
                Seen::NoJson => return Ok(None),
            }
        }
        if read == 0 {
            return Ok(None);
        }
    }
}

enum Seen {
    Nothing,
    Format(Format, Shape),
    NoJson,
}

#[derive(Default)]
struct FieldNames {
    depth: u64,
    /// Whether the brackets at depth 1 to 3 are braces.
    braces: [bool; 3],
    /// The last field name at depth 1 is the one that wrapped results stand under.
    in_logs: bool,
    in_string: bool,
    escaped: bool,
    /// The last string, cut at [`MAX_NAME_BYTES`].
    string: Vec<u8>,
    /// A string just ended; a colon makes it a field name.
    after_string: bool,
    /// The string that ends next is the value of `kind`.
    kind_follows: bool,
    /// Whether the record has a `type` and a `sessionId`. Either alone is common elsewhere.
    typed_and_of_session: [bool; 2],
}

impl FieldNames {
    fn feed(&mut self, b: u8) -> Seen {
        if self.in_string {
            self.feed_string(b);
            return Seen::Nothing;
        }
        if b.is_ascii_whitespace() || (self.depth == 0 && matches!(b, 0xEF | 0xBB | 0xBF)) {
            return Seen::Nothing;
        }
        let ended_string = std::mem::take(&mut self.after_string);
        match b {
            b':' if ended_string => return self.name(),
            b',' | b'}' if ended_string && std::mem::take(&mut self.kind_follows) => {
                if NATIVE_KINDS.iter().any(|kind| kind.as_bytes() == self.string) {
                    return Seen::Format(Format::Native, self.shape());
                }
                self.close(b);
            }
            b'"' => {
                self.in_string = true;
                self.string.clear();
            }
            b'{' | b'[' => {
                if let Some(brace) =
                    usize::try_from(self.depth).ok().and_then(|d| self.braces.get_mut(d))
                {
                    *brace = b == b'{';
                }
                self.depth += 1;
            }
            b'}' | b']' => self.close(b),
            _ if self.depth == 0 => return Seen::NoJson,
            _ => {}
        }
        Seen::Nothing
    }

    fn close(&mut self, b: u8) {
        if matches!(b, b'}' | b']') {
            self.depth = self.depth.saturating_sub(1);
            if self.depth == 0 {
                self.typed_and_of_session = [false; 2];
            }
        }
    }

    fn feed_string(&mut self, b: u8) {
        match b {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                self.after_string = true;
                return;
            }
            _ => {}
        }
        if self.string.len() < MAX_NAME_BYTES {
            self.string.push(b);
        }
    }

    fn shape(&self) -> Shape {
        match (self.depth, self.braces[0]) {
            (2, false) => Shape::Array,
            (2, true) => Shape::Dict,
            (3, true) => Shape::Logs,
            _ => Shape::Values,
        }
    }

    /// A field name ended: is it one of a record?
    fn name(&mut self) -> Seen {
        let of_record = match self.depth {
            1 => self.braces[0],
            2 => self.braces[1],
            3 => self.in_logs && self.braces == [true; 3],
            _ => false,
        };
        let Ok(name) = std::str::from_utf8(&self.string) else { return Seen::Nothing };
        if self.depth == 1 {
            self.in_logs = name == LOGS;
        }
        if !of_record {
            return Seen::Nothing;
        }
        let shape = self.shape();
        let keyed = matches!(shape, Shape::Dict | Shape::Logs);
        self.kind_follows = name == "kind" && !keyed;
        if shape == Shape::Values {
            self.typed_and_of_session[0] |= name == "type";
            self.typed_and_of_session[1] |= name == "sessionId";
            if self.typed_and_of_session == [true; 2] {
                return Seen::Format(Format::ClaudeCode, shape);
            }
        }
        match format_of(name) {
            // Objects inside a record have names of their own: only unmistakable ones count.
            Some(format) if keyed => match name {
                "traj" | "turn_history" | "trajectory" => Seen::Format(format, shape),
                _ => Seen::Nothing,
            },
            Some(format) => Seen::Format(format, shape),
            None => Seen::Nothing,
        }
    }
}

/// For a file of lines whose first ones are broken or say nothing.
fn by_lines(input: impl Read) -> Option<Format> {
    #[derive(Deserialize)]
    struct Names {
        #[serde(flatten)]
        fields: std::collections::BTreeMap<String, Scalar>,
    }
    let mut lines = LineReader::new(input, MAX_LINE_BYTES, 0, 1);
    for _ in 0..MAX_LINES {
        let Ok(line) = lines.next_line()? else { continue };
        if !line.text.trim_start().starts_with('{') {
            continue;
        }
        let Ok(names) = serde_json::from_str::<Names>(&line.text) else { continue };
        let kind = names.fields.get("kind").map(Scalar::to_text).unwrap_or_default();
        if NATIVE_KINDS.contains(&kind.as_str()) {
            return Some(Format::Native);
        }
        if let Some(format) = names.fields.keys().find_map(|name| format_of(name)) {
            return Some(format);
        }
        if ["type", "sessionId"].iter().all(|name| names.fields.contains_key(*name)) {
            return Some(Format::ClaudeCode);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(Format, Shape)> {
        detect(|| Ok(text.as_bytes())).unwrap()
    }

    #[test]
    fn formats_are_told_by_their_field_names_in_every_layout() {
        for (text, format, shape) in [
            (r#"[{"task_id": 1, "traj": []}]"#, Format::TauBench, Shape::Array),
            (r#"{"7": {"info": {"task": {}}, "traj": []}}"#, Format::TauBench, Shape::Dict),
            (r#"{"0":{"query":"q","turn_history":{}}}"#, Format::Intercode, Shape::Dict),
            (r#"{"query":"q","turn_history":{}}"#, Format::Intercode, Shape::Values),
            (
                r#"{"meta":{"env":"sql"},"logs":{"0":{"query":"q","turn_history":{}}}}"#,
                Format::Intercode,
                Shape::Logs,
            ),
            (r#"{"info": {"exit_status": "x"}, "history": []}"#, Format::SweAgent, Shape::Values),
            (
                r#"{"type":"summary","summary":"s","leafUuid":"u"}"#,
                Format::ClaudeCode,
                Shape::Values,
            ),
            ("\u{FEFF}{\"kind\":\"tombstone\",\"id\":1}", Format::Native, Shape::Values),
            (r#"[{"task_description":"t"}]"#, Format::Native, Shape::Array),
            (
                r#"{"type":"relation","from":"a","relationType":"r"}"#,
                Format::McpMemory,
                Shape::Values,
            ),
        ] {
            assert_eq!(found(text), Some((format, shape)), "{text}");
        }
    }

    #[test]
    fn broken_and_unknown_first_lines_do_not_hide_the_format() {
        let text = "\"massive error\"\n{\"type\":\n{\"type\":\"x\"}\n{\"type\":\"user\",\"sessionId\":\"s\"}\n";
        assert_eq!(found(text), Some((Format::ClaudeCode, Shape::Values)));
    }

    #[test]
    fn other_files_are_unknown() {
        for text in [
            "",
            "MIT License",
            "[]",
            "{}",
            "{\"a\":1}",
            "[[[[",
            "{\"kind\":\"other\"}",
            "\"x",
            "{\"other\":{\"0\":{\"traj\":[]}}}",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
