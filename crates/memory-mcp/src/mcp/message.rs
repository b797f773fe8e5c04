//! From one line of input to a message for the protocol library, or to the error that answers it.
//!
//! Tool calls are taken apart here rather than by the library, so that their arguments reach the
//! tool as the text that was sent: numbers to the letter, free JSON of any depth, and errors that
//! name the field.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientJsonRpcMessage, ClientRequest, ErrorData,
    JsonObject, JsonRpcMessage, RequestId, RequestMetaObject,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::frame;

/// The arguments of a tool call as they were sent: a JSON text. Travels with the request.
#[derive(Debug, Clone)]
pub(super) struct RawArguments(pub(super) Arc<str>);

/// What is to be done with a line.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Hand it to the protocol library.
    Message(Box<ClientJsonRpcMessage>),
    /// Answer it with this error.
    Refuse(ErrorData, Option<RequestId>),
    /// A blank line, or something that asks for no answer and means nothing to this server.
    Ignore,
}

/// The outermost members of a message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// The parameters of `tools/call`.
#[derive(Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    _meta: Option<JsonObject>,
}

/// A member that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Incoming {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    if line.is_empty() {
        return Incoming::Ignore;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Incoming::Refuse(ErrorData::parse_error("the message is not UTF-8", None), None);
    };
    let envelope = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) if line.starts_with(b"{") => envelope,
        Ok(_) => return no_message(text, "one JSON object is expected; batches are not supported"),
        Err(e) => return no_message(text, e),
    };
    match (&envelope.method, envelope.id) {
        (Some(_), Some(id)) => match serde_json::from_str::<RequestId>(id.get()) {
            Ok(id) => request(text, &envelope, id),
            Err(_) => refuse("id: must be a string or a whole number", None),
        },
        (Some(_), None) => notification(text),
        // This server asks its client nothing, so answers to it belong to no question.
        (None, _) if envelope.result.is_some() || envelope.error.is_some() => Incoming::Ignore,
        (None, id) => {
            let id = id.and_then(|id| serde_json::from_str(id.get()).ok());
            refuse("the message has no method", id)
        }
    }
}

/// Tells text that is no JSON from JSON that is no message.
fn no_message(text: &str, problem: impl Display) -> Incoming {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => refuse(format!("the line is no message: {problem}"), frame::id_of(text)),
        Err(e) => {
            let message = format!("the message is not valid JSON: {e}");
            Incoming::Refuse(ErrorData::parse_error(message, None), None)
        }
    }
}

fn refuse(message: impl Into<Cow<'static, str>>, id: Option<RequestId>) -> Incoming {
    Incoming::Refuse(ErrorData::invalid_request(message, None), id)
}

fn request(text: &str, envelope: &Envelope<'_>, id: RequestId) -> Incoming {
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return refuse("jsonrpc: must be \"2.0\"", Some(id));
    }
    if envelope.method.as_deref() == Some("tools/call") {
        return tool_call(envelope.params, id);
    }
    match serde_json::from_str::<ClientJsonRpcMessage>(text) {
        Ok(message @ JsonRpcMessage::Request(_)) => Incoming::Message(Box::new(message)),
        Ok(_) => refuse("the message is no request", Some(id)),
        Err(e) => refuse(format!("the message is no request: {e}"), Some(id)),
    }
}

fn tool_call(params: Option<&RawValue>, id: RequestId) -> Incoming {
    let call = match serde_json::from_str::<Call<'_>>(params.map_or("{}", RawValue::get)) {
        Ok(call) => call,
        Err(e) => {
            let error = ErrorData::invalid_params(format!("params of tools/call: {e}"), None);
            return Incoming::Refuse(error, Some(id));
        }
    };
    let mut request = CallToolRequest::new(CallToolRequestParams::new(call.name));
    let arguments = call.arguments.map_or("{}", RawValue::get);
    request.extensions.insert(RawArguments(arguments.into()));
    if let Some(meta) = call._meta {
        request.extensions.insert(RequestMetaObject::from(meta));
    }
    let message = JsonRpcMessage::request(ClientRequest::CallToolRequest(request), id);
    Incoming::Message(Box::new(message))
}

fn notification(text: &str) -> Incoming {
    match serde_json::from_str::<ClientJsonRpcMessage>(text) {
        Ok(message @ JsonRpcMessage::Notification(_)) => Incoming::Message(Box::new(message)),
        _ => Incoming::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> (i32, Option<RequestId>, String) {
        match parse(line.as_bytes()) {
            Incoming::Refuse(e, id) => (e.code.0, id, e.message.into_owned()),
            other => panic!("{line} was not refused but {other:?}"),
        }
    }

    #[test]
    fn broken_json_is_a_parse_error_and_wrong_shapes_are_invalid_requests() {
        for broken in ["{", "{\"id\":1", "nonsense", "{\"id\":1}}", "\"open"] {
            assert_eq!(refused(broken).0, -32700, "{broken}");
        }
        for wrong in ["[]", "17", "{}", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]"] {
            assert_eq!(refused(wrong).0, -32600, "{wrong}");
        }
        let seven = Some(RequestId::Number(7));
        assert_eq!(refused("{\"id\":7}").1, seven);
        assert_eq!(refused("{\"method\":9,\"id\":7}").1, seven);
        assert_eq!(refused("{\"id\":7,\"method\":\"ping\"}").1, seven);
        assert_eq!(refused("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\"}").1, seven);
        assert_eq!(refused("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}").1, None);
    }

    #[test]
    fn nesting_of_any_depth_neither_crashes_nor_loses_the_id() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        let seven = Some(RequestId::Number(7));
        assert_eq!(refused(&deep).0, -32600);
        assert_eq!(refused(&"[".repeat(200_000)).0, -32700);
        let line = |method: &str, member: &str| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"{method}\",\"params\":{{\"name\":\"x\",\"{member}\":{deep}}}}}"
            )
        };
        assert_eq!(refused(&line("prompts/get", "arguments")).1, seven);
        assert_eq!(refused(&line("tools/call", "_meta")).1, seven);
        match parse(line("tools/call", "arguments").as_bytes()) {
            Incoming::Message(_) => {}
            other => panic!("arguments are the tool's to judge, not {other:?}"),
        }
    }

    #[test]
    fn arguments_and_meta_of_a_call_reach_the_tool_as_they_were_sent() {
        let line = r#"{"method":"tools/call","params":{"name":"recall","arguments":{"x": 1e999 },"_meta":{"progressToken":"p"}},"jsonrpc":"2.0","id":"a"}"#;
        let Incoming::Message(message) = parse(line.as_bytes()) else { panic!("refused") };
        let (request, id) = message.into_request().unwrap();
        assert_eq!(id, RequestId::String("a".into()));
        let ClientRequest::CallToolRequest(call) = request else { panic!("no call") };
        assert_eq!(call.params.name, "recall");
        assert_eq!(&*call.extensions.get::<RawArguments>().unwrap().0, r#"{"x": 1e999 }"#);
        assert!(call.extensions.get::<RequestMetaObject>().unwrap().get_progress_token().is_some());
    }

    #[test]
    fn answers_unknown_notifications_and_blank_lines_are_ignored() {
        for line in
            ["", " \r\n", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", "{\"method\":\"x\"}"]
        {
            assert!(matches!(parse(line.as_bytes()), Incoming::Ignore), "{line}");
        }
    }
}
