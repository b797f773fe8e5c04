//! A step.

use std::fmt::Write as _;

use memory_core::Step;
use schemars::JsonSchema;
use serde::Serialize;

use super::cut;

/// A step, its texts cut to a number of characters.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct StepView {
    number: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    tool: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    /// A string, as it may be cut.
    #[serde(skip_serializing_if = "String::is_empty")]
    parameters: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    observation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u64>,
}

impl StepView {
    pub(in crate::mcp::tools) fn of(step: &Step, max: usize) -> Self {
        let parameters = if step.parameters.is_empty() { "" } else { step.parameters.as_str() };
        StepView {
            number: step.number,
            tool: step.tool.clone(),
            action: cut(&step.action, max),
            parameters: cut(parameters, max),
            observation: cut(&step.observation, max),
            success: step.success,
            error: step.error.as_deref().map(|e| cut(e, max)),
            latency_ms: step.latency_ms,
            tokens: step.tokens,
        }
    }

    pub(in crate::mcp::tools) fn text(&self) -> String {
        let mut text = format!("{}.", self.number);
        for part in [&self.tool, &self.action, &self.parameters] {
            if !part.is_empty() {
                let _ = write!(text, " {part}");
            }
        }
        if !self.observation.is_empty() {
            let _ = write!(text, "\n   -> {}", self.observation);
        }
        match (&self.error, self.success) {
            (Some(error), _) => {
                let _ = write!(text, "\n   failed: {error}");
            }
            (None, Some(false)) => text.push_str("\n   failed"),
            (None, _) => {}
        }
        text
    }
}
