//! tau-bench results: customer-service runs as chat messages with tool calls, and a reward.
//!
//! What the solution should have been (`info.task.actions`, `info.reward_info`) stays out: it is
//! the answer sheet, not what the agent saw or did.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chat::{ToolCall, arguments, readable_call};
use super::draft::{Draft, DraftStep, Fingerprint};
use super::lenient::{Scalar, Text, null_as_default};
use super::scan::Raw;
use super::{Format, Reject};

#[derive(Deserialize)]
struct Run<'a> {
    #[serde(default)]
    task_id: Scalar,
    #[serde(default)]
    trial: Scalar,
    #[serde(default)]
    reward: Scalar,
    #[serde(default, deserialize_with = "null_as_default")]
    info: Info,
    #[serde(borrow)]
    traj: &'a RawValue,
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default, deserialize_with = "null_as_default")]
    task: Task,
    #[serde(default)]
    user_cost: Scalar,
    #[serde(default)]
    error: Scalar,
}

#[derive(Default, Deserialize)]
struct Task {
    #[serde(default)]
    instruction: Scalar,
    #[serde(default)]
    user_id: Scalar,
}

/// One message of an OpenAI chat.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    role: Scalar,
    #[serde(default)]
    content: Text,
    #[serde(default)]
    name: Scalar,
    #[serde(default)]
    tool_call_id: Scalar,
    #[serde(borrow, default, deserialize_with = "null_as_default")]
    tool_calls: Vec<ToolCall<'a>>,
}

/// One run as an episode.
pub(super) fn read(raw: &Raw) -> Result<Draft, Reject> {
    let run: Run<'_> = serde_json::from_str(&raw.text)?;
    let messages: Vec<Message<'_>> =
        serde_json::from_str(run.traj.get()).map_err(|e| format!("`traj`: {e}"))?;
    let (task_id, trial) = (run.task_id.to_text(), run.trial.to_text());
    let instruction = run.info.task.instruction.to_text();
    let mut talk = Fingerprint::default().part(&instruction);
    for message in &messages {
        talk = talk.part(&message.role.to_text()).part(&message.content.0);
        for call in &message.tool_calls {
            talk = call.name_in(talk);
        }
    }
    let talk = talk.finish();
    let mut draft =
        Draft::new(Format::TauBench, format!("task {task_id}, trial {trial}, run {talk}"));
    draft.task = instruction;
    draft.task_type = "customer_service".to_owned();
    draft.note("task_id", run.task_id.to_metadata());
    draft.note("trial", run.trial.to_metadata());
    draft.note("user_id", run.info.task.user_id.to_metadata());
    draft.note("user_cost", run.info.user_cost.to_metadata());
    draft.note("error", run.info.error.to_metadata());
    if draft.task.trim().is_empty() {
        let asked = messages.iter().find(|m| m.role.to_text() == "user");
        draft.task = asked.map(|m| m.content.0.clone()).unwrap_or_default();
    }
    Talk::default().read(&mut draft, messages);
    let reward = run.reward.to_number();
    draft.judge(reward, format!("reward {}", reward.unwrap_or_default()));
    Ok(draft)
}

/// Tool calls that wait for their answer.
#[derive(Default)]
struct Talk {
    open: Vec<(String, String, usize)>,
}

impl Talk {
    fn read(&mut self, draft: &mut Draft, messages: Vec<Message<'_>>) {
        for message in messages {
            match message.role.to_text().as_str() {
                "system" | "developer" => draft.context.domain = domain(&message.content.0),
                "assistant" => self.assistant(draft, message),
                "tool" | "function" => self.tool(draft, message),
                _ => draft.user_says(message.content.0, None),
            }
        }
    }

    fn assistant(&mut self, draft: &mut Draft, message: Message<'_>) {
        draft.push(DraftStep { action: message.content.0, ..DraftStep::default() });
        for call in message.tool_calls {
            let tool = call.function.name.to_text();
            let parameters = arguments(call.function.arguments);
            let action = readable_call(&tool, &parameters);
            let step = DraftStep { tool: tool.clone(), action, parameters, ..DraftStep::default() };
            if let Some(index) = draft.push(step) {
                self.open.push((call.id.to_text(), tool, index));
            }
        }
    }

    /// Ids are not always unique in a run: the latest open call with the id, else the first with
    /// the tool's name, else the first.
    fn tool(&mut self, draft: &mut Draft, message: Message<'_>) {
        let (id, name) = (message.tool_call_id.to_text(), message.name.to_text());
        let at = self
            .open
            .iter()
            .rposition(|(open, _, _)| !id.is_empty() && *open == id)
            .or_else(|| self.open.iter().position(|(_, tool, _)| *tool == name))
            .or_else(|| (!self.open.is_empty()).then_some(0));
        let answer = message.content.0;
        match at.map(|at| self.open.remove(at)) {
            Some((_, _, index)) => {
                let worked = !answer.trim_start().starts_with("Error");
                draft.answer(index, answer, Some(worked));
            }
            None => {
                draft.push(DraftStep { tool: name, observation: answer, ..DraftStep::default() });
            }
        }
    }
}

/// `airline` out of a policy that begins "# Airline Agent Policy".
fn domain(policy: &str) -> String {
    let heading = policy.lines().next().unwrap_or_default().to_lowercase();
    match heading.split_once("agent policy") {
        Some((before, _)) => before.trim_start_matches('#').trim().to_owned(),
        None => String::new(),
    }
}
