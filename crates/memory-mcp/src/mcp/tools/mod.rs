//! The tools: one type per tool, which is its arguments, says what it is, and runs.
//!
//! - `start`, `steps`, `complete`: the life of an episode
//! - `recall`: what helps with a task
//! - `get`, `list`: episodes themselves
//! - `curate`: feedback, forget
//! - `filter`: which episodes a listing or a recall may return
//! - `view`: episodes and steps as results show them

mod complete;
mod curate;
mod filter;
mod get;
mod list;
mod recall;
mod start;
mod steps;
mod view;

use std::ops::RangeInclusive;

use memory_core::store::Kept;
use memory_core::{EpisodeStore, Error, Result};
use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use self::get::whole;
pub(super) use self::start::BUDGET_TOKENS as START_BUDGET_TOKENS;
pub(super) use self::view::headline;
use super::session::Session;
use super::{arguments, schema};
use crate::MAY_BE_STALE;

/// A tool; the type is its arguments.
trait Tool: DeserializeOwned + JsonSchema + Send {
    /// What clients call it by.
    const NAME: &'static str;
    /// What people see.
    const TITLE: &'static str;
    /// What the model reads to decide whether to call it.
    const DESCRIPTION: &'static str;
    /// What a call does to the memory.
    const EFFECT: Effect;
    type Output: Output;

    fn run<S: EpisodeStore>(
        self,
        session: &Session<S>,
    ) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// What a result says of a write that the database does not have yet.
fn not_stored_yet(kept: Kept) -> Option<&'static str> {
    match kept {
        Kept::Stored => None,
        Kept::Journaled => Some("journaled"),
        Kept::Queued => Some("queued"),
    }
}

/// The same as the end of a text.
fn not_stored_yet_text(kept: Option<&'static str>) -> String {
    let said =
        |kept| format!(" Not in the database yet: {kept} on this machine, safe from a crash.");
    kept.map(said).unwrap_or_default()
}

/// The result of a tool: its JSON, and the same as compact text.
trait Output: Serialize + JsonSchema {
    fn text(&self) -> String;
}

/// In `_meta` of a result that may be out of date.
const STALE_MARK: &str = "memory-mcp/stale_possible";

/// What a call does to the memory.
#[derive(Clone, Copy)]
enum Effect {
    /// Nothing.
    Reads,
    /// It adds something, each time anew.
    Adds,
    /// It sets something; the same call again changes nothing more.
    Sets,
    /// It deletes; the same call again changes nothing more.
    Deletes,
}

impl Effect {
    fn annotations(self) -> ToolAnnotations {
        ToolAnnotations::new()
            .read_only(matches!(self, Effect::Reads))
            .destructive(matches!(self, Effect::Deletes))
            .idempotent(!matches!(self, Effect::Adds))
            .open_world(false)
    }
}

macro_rules! tools {
    ($($tool:ty),* $(,)?) => {
        /// What `tools/list` answers.
        pub(super) fn definitions() -> Vec<rmcp::model::Tool> {
            vec![$(definition::<$tool>()),*]
        }

        /// Runs the tool of that name.
        pub(super) async fn call<S: EpisodeStore>(
            session: &Session<S>,
            name: &str,
            arguments: &str,
        ) -> Result<CallToolResult, ErrorData> {
            match name {
                $(<$tool>::NAME => Ok(run::<$tool, S>(session, arguments).await),)*
                _ => Err(unknown(name, &[$(<$tool>::NAME),*])),
            }
        }
    };
}

tools![
    start::StartEpisode,
    steps::LogSteps,
    complete::CompleteEpisode,
    recall::RecallForTask,
    get::GetEpisode,
    list::ListEpisodes,
    curate::GiveFeedback,
    curate::ForgetEpisode,
];

fn definition<T: Tool>() -> rmcp::model::Tool {
    rmcp::model::Tool::new(T::NAME, T::DESCRIPTION, schema::input::<T>())
        .with_title(T::TITLE)
        .with_raw_output_schema(schema::output::<T::Output>())
        .with_annotations(T::EFFECT.annotations())
}

async fn run<T: Tool, S: EpisodeStore>(session: &Session<S>, arguments: &str) -> CallToolResult {
    let result = match arguments::decode::<T>(arguments) {
        Ok(tool) => tool.run(session).await,
        Err(e) => Err(e),
    };
    match result.and_then(|output| report(&output)) {
        Ok(result) if session.memory.store().stale_possible() => marked(result),
        Ok(result) => result,
        Err(e) => {
            tracing::debug!(tool = T::NAME, "call refused");
            failure(explain(&e))
        }
    }
}

fn report(output: &impl Output) -> Result<CallToolResult> {
    let json = serde_json::to_value(output).map_err(|e| Error::invalid("result", e.to_string()))?;
    let mut result = CallToolResult::success(vec![ContentBlock::text(output.text())]);
    result.structured_content = Some(json);
    Ok(result)
}

/// A result from what this machine has. Not part of the structured result: it is about all of them.
fn marked(mut result: CallToolResult) -> CallToolResult {
    result.content.push(ContentBlock::text(format!("Note: {MAY_BE_STALE}.")));
    result.meta.get_or_insert_default().insert(STALE_MARK.into(), true.into());
    result
}

/// An error that the model reads. Without structured content: that would have to match the schema
/// of the result.
pub(super) fn failure(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// The same error under the name that the tool gives the field, by pairs of domain's and tool's.
fn renamed(e: Error, names: &[(&str, &str)]) -> Error {
    let Error::Invalid { field, problem } = e else { return e };
    let name = names.iter().find(|(domain, _)| *domain == field).map(|(_, tool)| *tool);
    Error::invalid(name.unwrap_or(&field), problem)
}

/// A count within its bounds, or its default.
fn bounded(
    field: &str,
    given: Option<u32>,
    default: u32,
    bounds: RangeInclusive<u32>,
) -> Result<usize> {
    let count = given.unwrap_or(default);
    if !bounds.contains(&count) {
        let problem = format!("is {count}; it must be from {} to {}", bounds.start(), bounds.end());
        return Err(Error::invalid(field, problem));
    }
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// The error, and which tool leads on from here.
fn explain(e: &Error) -> String {
    match e {
        Error::NotFound { kind, id, .. } => format!(
            "{kind} {id} was not found in this project: list_episodes shows what there is, \
             start_episode begins a new one"
        ),
        Error::Completed { .. } | Error::Forgotten { .. } => format!("{e} (start_episode)"),
        Error::Conflict { .. } => format!("{e} (get_episode)"),
        other => other.to_string(),
    }
}

fn unknown(name: &str, known: &[&str]) -> ErrorData {
    let name = memory_core::error::excerpt(name);
    let problem = format!("there is no tool \"{name}\"; the tools are {}", known.join(", "));
    ErrorData::invalid_params(problem, None)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn definitions_are_small_enough_for_a_context_window() {
        let tools = definitions();
        let bytes = serde_json::to_string(&tools).unwrap().len();
        println!("{} tools, {bytes} bytes", tools.len());
        assert!(tools.len() <= 8);
        assert!(bytes < 7_900, "{bytes} bytes");
    }

    #[test]
    fn schemas_are_plain_enough_for_strict_clients() {
        fn check(path: &str, value: &Value) {
            match value {
                Value::Object(map) => {
                    let types = map.get("type");
                    assert!(!matches!(types, Some(Value::Array(_))), "{path}: several types");
                    for key in ["format", "$ref", "$schema", "anyOf", "oneOf", "allOf"] {
                        assert!(!map.contains_key(key), "{path}: {key}");
                    }
                    map.iter().for_each(|(k, v)| check(&format!("{path}.{k}"), v));
                }
                Value::Array(items) => items.iter().for_each(|v| check(path, v)),
                _ => {}
            }
        }
        for tool in definitions() {
            let output = tool.output_schema.as_deref().unwrap();
            for schema in [&*tool.input_schema, output] {
                assert_eq!(schema["type"], "object", "{}", tool.name);
                check(&tool.name, &Value::Object(schema.clone()));
            }
            for (field, schema) in tool.input_schema["properties"].as_object().unwrap() {
                assert!(schema.is_object(), "{}.{field} is {schema}", tool.name);
            }
            let hints = tool.annotations.unwrap();
            assert_eq!(hints.open_world_hint, Some(false));
            let others = [hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint];
            assert!(others.iter().all(Option::is_some), "{}: {hints:?}", tool.name);
        }
    }
}
