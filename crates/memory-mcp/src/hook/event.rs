//! What a client says on stdin, as an entry of the journal.
//!
//! Fields are those of Claude Code's hooks. What is missing or of another type counts as absent, and
//! whatever else there is is passed over: a client of tomorrow must not break recording.

use std::borrow::Cow;

use memory_core::redact::{redact_step, redact_text};
use memory_core::{RawJson, Step, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::import::chat::{arguments, readable_call};
use crate::import::draft::error_line;
use crate::import::lenient::Scalar;

/// Bytes of one text that are looked through for secrets. What is beyond is dropped unseen.
const SEEN_BYTES: usize = 512 * 1024;

/// Bytes of one text that are kept, cut after it was looked through: a secret across the cut is gone
/// whole. What a tool prints beyond this is for files, and the transcript has it.
const KEPT_BYTES: usize = 64 * 1024;

/// The events that are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A session began, was resumed, or its context was cleared or compacted.
    SessionStart,
    /// The user said something: at first the task.
    UserPromptSubmit,
    /// A tool was used.
    PostToolUse,
    /// A tool was used and failed.
    PostToolUseFailure,
    /// The agent said that it is done for now.
    Stop,
    /// The session is over.
    SessionEnd,
}

impl EventKind {
    /// Every event, in the order of a session.
    pub const ALL: [EventKind; 6] = [
        EventKind::SessionStart,
        EventKind::UserPromptSubmit,
        EventKind::PostToolUse,
        EventKind::PostToolUseFailure,
        EventKind::Stop,
        EventKind::SessionEnd,
    ];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::SessionStart => "session-start",
            EventKind::UserPromptSubmit => "user-prompt-submit",
            EventKind::PostToolUse => "post-tool-use",
            EventKind::PostToolUseFailure => "post-tool-use-failure",
            EventKind::Stop => "stop",
            EventKind::SessionEnd => "session-end",
        }
    }

    /// The name in the client's settings and answers.
    pub fn client_name(self) -> &'static str {
        match self {
            EventKind::SessionStart => "SessionStart",
            EventKind::UserPromptSubmit => "UserPromptSubmit",
            EventKind::PostToolUse => "PostToolUse",
            EventKind::PostToolUseFailure => "PostToolUseFailure",
            EventKind::Stop => "Stop",
            EventKind::SessionEnd => "SessionEnd",
        }
    }

    /// The event of either name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name || kind.client_name() == name)
    }
}

/// Who a text in the journal is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The client itself: nothing anybody said.
    #[default]
    Client,
    /// The user typed it.
    User,
    /// A tool answered it.
    Tool,
    /// The agent said it.
    Agent,
}

/// One line of a journal. Holds no secret that can be recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When the hook ran.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Who its text is from.
    #[serde(default)]
    pub from: From,
    /// The prompt, what the agent said, or why the session began or ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Of a tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// True for what a subagent did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub subagent: bool,
}

/// What a client says, of any event.
#[derive(Debug, Default, Deserialize)]
struct Input<'a> {
    #[serde(default)]
    session_id: Scalar,
    #[serde(default)]
    transcript_path: Scalar,
    #[serde(default)]
    cwd: Scalar,
    #[serde(default)]
    source: Scalar,
    #[serde(default)]
    prompt: Scalar,
    #[serde(default)]
    agent_id: Scalar,
    #[serde(default)]
    tool_name: Scalar,
    #[serde(borrow, default)]
    tool_input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_response: Option<&'a RawValue>,
    #[serde(default)]
    error: Scalar,
    #[serde(default)]
    duration_ms: Scalar,
    #[serde(default)]
    last_assistant_message: Scalar,
    #[serde(default)]
    reason: Scalar,
}

/// What was told, and of which session.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The session's own id.
    pub session: String,
    /// Where the session takes place.
    pub cwd: String,
    /// Its transcript.
    pub transcript: String,
    /// What happened.
    pub event: Event,
}

/// Reads what a client says about an event.
///
/// # Errors
///
/// What is wrong, in words that hold nothing of the input: it may be a secret.
pub fn read(kind: EventKind, input: &[u8], at: Timestamp) -> Result<Told, String> {
    let text = String::from_utf8_lossy(input);
    if text.trim().is_empty() {
        return Err("stdin is empty".to_owned());
    }
    let input: Input<'_> = serde_json::from_str(&text).map_err(|e| {
        format!("stdin is no JSON object of a hook (line {}, column {})", e.line(), e.column())
    })?;
    let session = input.session_id.to_text();
    if session.trim().is_empty() {
        return Err("stdin has no session_id".to_owned());
    }
    let subagent = !input.agent_id.to_text().is_empty();
    let plain = |from, text: String| Event { at, kind, from, text, step: None, subagent };
    let event = match kind {
        EventKind::SessionStart => plain(From::Client, clean(input.source.to_text())),
        EventKind::SessionEnd => plain(From::Client, clean(input.reason.to_text())),
        EventKind::UserPromptSubmit => plain(From::User, clean(input.prompt.to_text())),
        EventKind::Stop => plain(From::Agent, clean(input.last_assistant_message.to_text())),
        EventKind::PostToolUse | EventKind::PostToolUseFailure => {
            let step = Some(step(&input, kind, at));
            Event { step, ..plain(From::Tool, String::new()) }
        }
    };
    let (cwd, transcript) = (input.cwd.to_text(), input.transcript_path.to_text());
    Ok(Told { session, cwd, transcript, event })
}

fn step(input: &Input<'_>, kind: EventKind, at: Timestamp) -> Step {
    let tool = clean(input.tool_name.to_text());
    let parameters = arguments(input.tool_input);
    let response: Value = input
        .tool_response
        .filter(|raw| raw.get().len() <= 8 * SEEN_BYTES)
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_else(|| Value::String(input.tool_response.map_or("", |r| r.get()).to_owned()));
    let said_failed =
        ["is_error", "interrupted"].iter().any(|key| response.get(key) == Some(&Value::Bool(true)));
    let failed = kind == EventKind::PostToolUseFailure || said_failed;
    let error = input.error.to_text();
    let observation = if error.is_empty() { output(&response) } else { error };
    let mut step = Step {
        action: readable_call(&tool, &parameters),
        tool,
        parameters: RawJson::parse(seen(&parameters)).unwrap_or_default(),
        observation: seen(&observation).to_owned(),
        success: Some(!failed),
        latency_ms: input.duration_ms.to_number().map(|ms| ms.max(0.0) as u64),
        at: Some(at),
        ..Step::default()
    };
    // Before anything is cut: half a key is not recognised any more.
    redact_step(&mut step);
    step.error = failed.then(|| error_line(&step.observation)).flatten();
    step.action = kept(step.action);
    step.observation = kept(step.observation);
    if step.parameters.as_str().len() > KEPT_BYTES {
        step.parameters = RawJson::default();
    }
    step
}

/// What a tool answered, as one would read it.
fn output(response: &Value) -> String {
    match response {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().map(output).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Object(fields) => {
            const TEXTS: [&str; 7] =
                ["stdout", "stderr", "text", "content", "output", "result", "error"];
            let texts = TEXTS.iter().filter_map(|key| fields.get(*key)).map(output);
            let text = texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
            if text.is_empty() && !TEXTS.iter().any(|key| fields.contains_key(*key)) {
                response.to_string()
            } else {
                text
            }
        }
        other => other.to_string(),
    }
}

/// A text without secrets, cut.
fn clean(text: String) -> String {
    match redact_text(seen(&text)) {
        Cow::Owned(redacted) => kept(redacted),
        Cow::Borrowed(same) => kept(same.to_owned()),
    }
}

fn seen(text: &str) -> &str {
    text.get(..text.floor_char_boundary(SEEN_BYTES)).unwrap_or(text)
}

fn kept(mut text: String) -> String {
    if text.len() > KEPT_BYTES {
        let all = text.len();
        text.truncate(text.floor_char_boundary(KEPT_BYTES));
        text.push_str(&format!("\n[cut: {all} bytes, the first {} kept]", text.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: EventKind, json: &str) -> Told {
        read(kind, json.as_bytes(), Timestamp(7)).unwrap()
    }

    #[test]
    fn a_tools_output_is_what_it_printed() {
        let json = r#"{"session_id":"s","tool_name":"Bash","tool_input":{"command":"ls"},
            "tool_response":{"stdout":"a\nb","stderr":"","interrupted":false},"duration_ms":12}"#;
        let step = told(EventKind::PostToolUse, json).event.step.unwrap();
        assert_eq!((step.action.as_str(), step.observation.as_str()), ("ls", "a\nb"));
        assert_eq!((step.success, step.latency_ms), (Some(true), Some(12)));
        let json = r#"{"session_id":"s","tool_name":"Read","tool_input":{"file_path":"a"},
            "tool_response":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}"#;
        assert_eq!(told(EventKind::PostToolUse, json).event.step.unwrap().observation, "one\ntwo");
    }

    #[test]
    fn a_failure_keeps_its_error() {
        let json = r#"{"session_id":"s","tool_name":"Bash","tool_input":{"command":"make"},
            "error":"Exit code 2\nno rule to make target"}"#;
        let step = told(EventKind::PostToolUseFailure, json).event.step.unwrap();
        assert_eq!(
            (step.success, step.error.as_deref()),
            (Some(false), Some("no rule to make target"))
        );
        assert!(step.observation.starts_with("Exit code 2"));
    }

    #[test]
    fn a_secret_across_the_cut_is_gone_whole() {
        let key = concat!("AK", "IAQ3EGRIZ7L5X2KD4M");
        for before in KEPT_BYTES - 20..KEPT_BYTES + 2 {
            let prompt = format!("{} {key} and more", "x".repeat(before));
            let json = serde_json::json!({ "session_id": "s", "prompt": prompt }).to_string();
            let text = told(EventKind::UserPromptSubmit, &json).event.text;
            assert!(!text.contains(concat!("AK", "IA")), "{before}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_without_repeating_it() {
        for bad in ["", " \n", "{", "[]", "null", "{\"session_id\":{}}", "hunter2hunter2"] {
            let problem = read(EventKind::Stop, bad.as_bytes(), Timestamp(0)).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
        let odd = br#"{"session_id":7,"cwd":[],"prompt":{"a":1},"tool_input":3}"#;
        assert_eq!(read(EventKind::PostToolUse, odd, Timestamp(0)).unwrap().session, "7");
        assert!(read(EventKind::Stop, b"\xff\xfe{\"session_id\"", Timestamp(0)).is_err());
    }
}
