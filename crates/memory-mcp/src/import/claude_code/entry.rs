//! One line of a transcript.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::import::lenient::{Scalar, Text, null_as_default};
use crate::import::scan::without_position;

/// What of a line decides where it belongs.
#[derive(Deserialize)]
pub(super) struct Head {
    #[serde(default, rename = "type")]
    pub(super) kind: Scalar,
    #[serde(default, rename = "sessionId")]
    session_id: Scalar,
    /// Of a `summary`: what the session was about, ...
    #[serde(default)]
    pub(super) summary: Scalar,
    /// ... and the last event it covers, which tells the session.
    #[serde(default, rename = "leafUuid")]
    pub(super) leaf: Scalar,
}

impl Head {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        if !line.trim_start().starts_with('{') {
            return Err("is no JSON object".to_owned());
        }
        let head: Head = serde_json::from_str(line).map_err(|e| without_position(&e))?;
        if head.kind == Scalar::Absent {
            return Err("has no `type`".to_owned());
        }
        Ok(head)
    }

    pub(super) fn session(&self) -> Option<String> {
        Some(self.session_id.to_text()).filter(|id| !id.trim().is_empty())
    }
}

/// A line of a session.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(default, rename = "type")]
    pub(super) kind: Scalar,
    #[serde(default)]
    pub(super) uuid: Scalar,
    #[serde(default)]
    pub(super) timestamp: Scalar,
    #[serde(default)]
    pub(super) cwd: Scalar,
    #[serde(default)]
    pub(super) git_branch: Scalar,
    #[serde(default)]
    pub(super) version: Scalar,
    #[serde(default)]
    pub(super) is_sidechain: Scalar,
    #[serde(default)]
    pub(super) is_meta: Scalar,
    #[serde(default)]
    pub(super) is_compact_summary: Scalar,
    #[serde(default)]
    pub(super) is_api_error_message: Scalar,
    #[serde(borrow, default)]
    pub(super) message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default)]
    pub(super) id: Scalar,
    #[serde(default)]
    pub(super) model: Scalar,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(super) usage: Usage,
}

#[derive(Default, Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    input_tokens: Scalar,
    #[serde(default)]
    output_tokens: Scalar,
}

impl Usage {
    /// Tokens read afresh and written; what came from the provider's cache is not counted.
    pub(super) fn tokens(&self) -> Option<u64> {
        let sum = self.input_tokens.to_number()? + self.output_tokens.to_number()?;
        (sum >= 0.0).then_some(sum as u64)
    }
}

/// A part of a message.
#[derive(Default, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(default, rename = "type")]
    pub(super) kind: Scalar,
    #[serde(default)]
    pub(super) text: Text,
    /// Of a tool call.
    #[serde(default)]
    pub(super) id: Scalar,
    #[serde(default)]
    pub(super) name: Scalar,
    #[serde(borrow, default)]
    pub(super) input: Option<&'a RawValue>,
    /// Of a tool's answer.
    #[serde(default)]
    pub(super) tool_use_id: Scalar,
    #[serde(default)]
    pub(super) content: Text,
    #[serde(default)]
    pub(super) is_error: Scalar,
}

impl<'a> Entry<'a> {
    /// The message, which the line must have.
    pub(super) fn message(&self) -> Result<Message<'a>, String> {
        let message = self.message.ok_or("has no `message`")?;
        if !message.get().starts_with('{') {
            return Err("`message` is no JSON object".to_owned());
        }
        serde_json::from_str(message.get())
            .map_err(|e| format!("`message`: {}", without_position(&e)))
    }
}

impl<'a> Message<'a> {
    /// Its parts; a plain text is one part. What cannot be read is left out and told.
    pub(super) fn blocks(&self) -> (Vec<Block<'a>>, Option<String>) {
        let Some(content) = self.content else {
            return (Vec::new(), Some("`message` has no `content`".to_owned()));
        };
        if let Ok(Text(text)) = serde_json::from_str::<String>(content.get()).map(Text) {
            let kind = Scalar::Text("text".to_owned());
            return (vec![Block { kind, text: Text(text), ..Block::default() }], None);
        }
        let parts: Vec<&RawValue> = match serde_json::from_str(content.get()) {
            Ok(parts) => parts,
            Err(_) => return (Vec::new(), Some("`content` is neither text nor a list".to_owned())),
        };
        let mut problem = None;
        let mut blocks = Vec::with_capacity(parts.len());
        for part in parts {
            match serde_json::from_str(part.get()) {
                Ok(block) if part.get().starts_with('{') => blocks.push(block),
                _ => problem = Some("a part of `content` is no JSON object".to_owned()),
            }
        }
        (blocks, problem)
    }
}
