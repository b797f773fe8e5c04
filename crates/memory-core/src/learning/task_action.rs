//! Which calls changed something in the runs of one task.
//!
//! Each is a lesson of its own, under the task, with the arguments: runs that made the same call are
//! evidence for the same lesson. So its statistics contrast the runs that went well with those that
//! did not, without any of them being read again: a call with "3 of 3" is what the task needs, one
//! with "0 of 3" is the mistake that they share.

use serde_json::{Map, Value};

use super::signature::is_shell;
use super::trace::{is_looking, one_line, step_error};
use crate::episode::{LessonId, Step};

/// What a run did that only looked.
pub const NO_CHANGE: &str = "end without changing anything";

/// Calls of one run that are kept apart. A run that changed more than this is told by its sequence
/// of tools: long work is never repeated call by call.
const MAX_ACTIONS: usize = 8;

/// Characters of a call: one with more is a document, which no other run will write the same way.
const MAX_ACTION_CHARS: usize = 600;

/// Characters of one argument; a longer one is free text and differs from run to run.
const MAX_VALUE_CHARS: usize = 80;

/// Characters of the task in a condition.
const MAX_TASK_CHARS: usize = 240;

/// Beginnings of names of tools that pass the work on, which changes nothing by itself.
const HANDING_OVER: [&str; 3] = ["transfer", "escalate", "handoff"];

/// What stands for a task in the condition of a lesson. Equal for equal tasks and, as far as one can
/// tell, for no others: a long one keeps a digest of what is cut.
pub fn task_condition(task: &str) -> String {
    let shown = one_line(task, MAX_TASK_CHARS);
    if !shown.ends_with('…') {
        return shown;
    }
    let words: Vec<&str> = task.split_whitespace().collect();
    let [a, b, c, d, ..] = *LessonId::derive(&[words.join(" ").as_bytes()]).as_bytes();
    format!("{shown} #{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The calls of a run that worked and changed something, each once, in order; what it did instead
/// when there was none. Command lines and queries are not looked into: what they change, they do not
/// say.
pub(super) fn task_actions(steps: &[Step]) -> Vec<String> {
    let named: Vec<&Step> = steps.iter().filter(|step| is_call_by_name(step)).collect();
    let mut actions = Vec::new();
    let mut changes = false;
    for step in named.iter().filter(|step| step_error(step).is_none() && !is_looking(step)) {
        let Some(call) = call_text(step) else { return Vec::new() };
        changes |= is_change(step);
        if !actions.contains(&call) {
            actions.push(call);
        }
    }
    if !changes && !named.is_empty() && named.len() == steps_with_tool(steps) {
        actions.push(NO_CHANGE.to_owned());
    }
    if actions.len() > MAX_ACTIONS { Vec::new() } else { actions }
}

fn steps_with_tool(steps: &[Step]) -> usize {
    let acts = |step: &&Step| !step.tool.trim().is_empty() && !step.is_checkpoint();
    steps.iter().filter(acts).count()
}

fn is_call_by_name(step: &Step) -> bool {
    let tool = step.tool.trim().to_ascii_lowercase();
    !tool.is_empty()
        && !step.is_checkpoint()
        && !tool.contains("sql")
        && !is_shell(&tool)
        && tool != "python"
}

/// True for a call that changes something, as far as its name tells: it neither looks nor passes the
/// work on.
pub fn is_change(step: &Step) -> bool {
    !is_looking(step) && !hands_over(step)
}

fn hands_over(step: &Step) -> bool {
    let tool = step.tool.trim().to_ascii_lowercase();
    HANDING_OVER.iter().any(|name| tool.starts_with(name))
}

/// `tool(name=value, ...)` with every argument, in the order of their names; `None` when it is too
/// long to be of use.
fn call_text(step: &Step) -> Option<String> {
    let tool = step.tool.trim();
    let arguments: Map<String, Value> = match serde_json::from_str(step.parameters.as_str()) {
        Ok(arguments) => arguments,
        Err(_) if step.parameters.is_empty() => Map::new(),
        Err(_) => return None,
    };
    let mut names: Vec<_> = arguments.iter().collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    let shown: Vec<String> =
        names.into_iter().map(|(name, value)| format!("{name}={}", argument(value))).collect();
    let call = format!("{tool}({})", shown.join(", "));
    (call.len() <= MAX_ACTION_CHARS).then_some(call)
}

/// A list of records is shown by the records' values: `[HAT136 2024-05-20; HAT039 2024-05-20]`.
fn argument(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(argument).collect();
            format!("[{}]", items.join("; "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            // Names first, amounts and dates behind them, as one would say it.
            fields.sort_unstable_by_key(|(name, value)| (is_detail(value), *name));
            let values: Vec<String> = fields.into_iter().map(|(_, v)| argument(v)).collect();
            values.join(" ")
        }
        Value::String(text) if text.chars().count() > MAX_VALUE_CHARS => "…".to_owned(),
        Value::String(text) => one_line(text, MAX_VALUE_CHARS),
        other => other.to_string(),
    }
}

fn is_detail(value: &Value) -> bool {
    !value.as_str().is_some_and(|text| text.starts_with(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::RawJson;

    fn call(tool: &str, parameters: &str) -> Step {
        Step {
            tool: tool.into(),
            action: tool.into(),
            parameters: RawJson::parse(parameters).unwrap(),
            success: Some(true),
            ..Step::default()
        }
    }

    #[test]
    fn a_change_is_told_with_all_its_arguments_and_equal_ones_once() {
        let book = r#"{"user":"mia","flights":[{"number":"HAT1","date":"2024-05-20"},{"date":"2024-05-21","number":"HAT2"}],"bags":3}"#;
        let same = r#"{"bags":3,"flights":[{"date":"2024-05-20","number":"HAT1"},{"number":"HAT2","date":"2024-05-21"}],"user":"mia"}"#;
        let steps = [call("get_user", "{}"), call("book", book), call("book", same)];
        assert_eq!(
            task_actions(&steps),
            ["book(bags=3, flights=[HAT1 2024-05-20; HAT2 2024-05-21], user=mia)"]
        );
    }

    #[test]
    fn failed_calls_change_nothing_and_handing_over_is_no_change() {
        let mut refused = call("book", r#"{"user":"mia"}"#);
        refused.success = Some(false);
        let long = format!(r#"{{"summary":"{}"}}"#, "word ".repeat(40));
        let steps = [call("get_user", "{}"), refused, call("transfer_to_human", &long)];
        assert_eq!(task_actions(&steps), ["transfer_to_human(summary=…)", NO_CHANGE]);
    }

    #[test]
    fn command_lines_documents_and_long_work_are_left_to_the_other_lessons() {
        assert!(task_actions(&[call("bash", "{}"), call("sql", "{}")]).is_empty());
        let speech = Step { action: "hello".into(), ..Step::default() };
        assert!(task_actions(&[speech]).is_empty());
        let lines: Vec<String> =
            (0..30).map(|i| format!("\"line {i} of a long document\"")).collect();
        let document = format!(r#"{{"lines":[{}]}}"#, lines.join(","));
        assert!(task_actions(&[call("write", &document)]).is_empty());
        let many: Vec<Step> =
            (0..20).map(|i| call("edit", &format!(r#"{{"file":"{i}"}}"#))).collect();
        assert!(task_actions(&many).is_empty());
    }

    #[test]
    fn tasks_that_differ_behind_the_cut_have_different_conditions() {
        let (a, b) = (format!("{} a", "word ".repeat(100)), format!("{} b", "word ".repeat(100)));
        assert_ne!(task_condition(&a), task_condition(&b));
        assert_eq!(task_condition(&a), task_condition(&a.replace(' ', "\n ")));
        assert_eq!(task_condition(" fix\nit "), "fix it");
    }
}
