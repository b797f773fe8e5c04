//! Edits of JSON files that keep everything else as it is: order, layout, comments.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Value, json};

use super::clients::{Form, is_ours};
use crate::hook::EventKind;

/// Seconds after which the client stops waiting for a hook: many times what one takes.
const HOOK_TIMEOUT_S: u64 = 10;

/// The text with server `name` under `key`, or why that cannot be.
pub(super) fn with_server(
    text: &str,
    key: &str,
    name: &str,
    entry: &Value,
) -> Result<String, String> {
    let root = parse(text)?;
    let servers = object_at(&root)?;
    let servers =
        servers.object_value_or_create(key).ok_or_else(|| format!("`{key}` in it is no object"))?;
    match servers.get(name) {
        None => drop(servers.append(name, input(entry))),
        Some(there) => {
            let value = there.value().and_then(|value| value.to_serde_value()).unwrap_or_default();
            if value == *entry {
                return Ok(text.to_owned());
            }
            if !Form::program(&value).is_some_and(is_ours) {
                return Err(format!(
                    "another server is called `{name}` in it; give ours another name with --name"
                ));
            }
            there.set_value(input(entry));
        }
    }
    Ok(root.to_string())
}

/// The text without server `name`, if that is ours.
pub(super) fn without_server(text: &str, key: &str, name: &str) -> Result<String, String> {
    let root = parse(text)?;
    let Some(servers) = root.object_value().and_then(|root| root.object_value(key)) else {
        return Ok(text.to_owned());
    };
    let Some(there) = servers.get(name) else { return Ok(text.to_owned()) };
    let value = there.value().and_then(|value| value.to_serde_value()).unwrap_or_default();
    if !Form::program(&value).is_some_and(is_ours) {
        return Ok(text.to_owned());
    }
    there.remove();
    if servers.properties().is_empty()
        && let Some(property) = root.object_value().and_then(|root| root.get(key))
    {
        property.remove();
    }
    Ok(root.to_string())
}

/// The server called `name`.
pub(super) fn server(text: &str, key: &str, name: &str) -> Result<Option<Value>, String> {
    let root = parse(text)?;
    let servers = root.object_value().and_then(|root| root.object_value(key));
    let found = servers.and_then(|servers| servers.get(name)?.value()?.to_serde_value());
    Ok(found)
}

/// The text with a hook for every event that is recorded; `line` is the command line before the event.
pub(super) fn with_hooks(text: &str, line: &str) -> Result<String, String> {
    let root = parse(text)?;
    let top = object_at(&root)?;
    let hooks = top.object_value_or_create("hooks").ok_or("`hooks` in it is no object")?;
    let mut changed = false;
    for kind in EventKind::ALL {
        let command = format!("{line} hook {}", kind.as_str());
        let event = kind.client_name();
        let groups = hooks
            .array_value_or_create(event)
            .ok_or_else(|| format!("`hooks.{event}` in it is no list"))?;
        let ours = own_hooks(&groups, kind);
        let told = |node: &CstNode| {
            command_in(&node.to_serde_value().unwrap_or_default()) == Some(&*command)
        };
        if let [hook] = &*ours
            && told(hook)
        {
            continue;
        }
        changed = true;
        remove_hooks(&groups, ours);
        let hook = json!({ "type": "command", "command": command, "timeout": HOOK_TIMEOUT_S });
        groups.append(input(&json!({ "hooks": [hook] })));
    }
    Ok(if changed { root.to_string() } else { text.to_owned() })
}

/// The text without our hooks.
pub(super) fn without_hooks(text: &str) -> Result<String, String> {
    let root = parse(text)?;
    let Some(top) = root.object_value() else { return Ok(text.to_owned()) };
    let Some(hooks) = top.object_value("hooks") else { return Ok(text.to_owned()) };
    let mut changed = false;
    for kind in EventKind::ALL {
        let Some(groups) = hooks.array_value(kind.client_name()) else { continue };
        let ours = own_hooks(&groups, kind);
        changed |= !ours.is_empty();
        remove_hooks(&groups, ours);
        if groups.elements().is_empty()
            && let Some(property) = hooks.get(kind.client_name())
        {
            property.remove();
        }
    }
    if hooks.properties().is_empty()
        && let Some(property) = top.get("hooks")
    {
        property.remove();
    }
    Ok(if changed { root.to_string() } else { text.to_owned() })
}

/// The events that a hook of ours is there for.
pub(super) fn hooked(text: &str) -> Result<Vec<EventKind>, String> {
    let root = parse(text)?;
    let hooks = root.object_value().and_then(|root| root.object_value("hooks"));
    let Some(hooks) = hooks else { return Ok(Vec::new()) };
    let is_there = |kind: &EventKind| {
        let groups = hooks.array_value(kind.client_name());
        groups.is_some_and(|groups| !own_hooks(&groups, *kind).is_empty())
    };
    Ok(EventKind::ALL.into_iter().filter(is_there).collect())
}

/// Our hooks in the groups of an event.
fn own_hooks(groups: &CstArray, kind: EventKind) -> Vec<CstNode> {
    let lists = groups
        .elements()
        .into_iter()
        .filter_map(|group| group.as_object().and_then(|group| group.array_value("hooks")));
    let hooks = lists.flat_map(|list| list.elements());
    hooks
        .filter(|hook| {
            let value = hook.to_serde_value().unwrap_or_default();
            command_in(&value).is_some_and(|line| is_own_line(line, kind))
        })
        .collect()
}

fn command_in(hook: &Value) -> Option<&str> {
    hook.get("command")?.as_str()
}

/// `'/opt/my tools/memory-mcp' --project shop hook stop`, by whichever version of us it was written.
fn is_own_line(line: &str, kind: EventKind) -> bool {
    let line = line.trim();
    let program = match line.strip_prefix('\'') {
        // A quote within is written as '\''.
        Some(quoted) => quoted.replace(r"'\''", "\u{0}").split('\'').next().map(str::to_owned),
        None => line.split_whitespace().next().map(str::to_owned),
    };
    program.is_some_and(|program| is_ours(&program))
        && line.ends_with(&format!(" hook {}", kind.as_str()))
}

/// Removes hooks, and the groups that hold nothing else.
fn remove_hooks(groups: &CstArray, hooks: Vec<CstNode>) {
    for hook in hooks {
        hook.remove();
    }
    for group in groups.elements() {
        let empty = group.as_object().is_some_and(|group| {
            group.array_value("hooks").is_some_and(|list| list.elements().is_empty())
        });
        if empty {
            group.remove();
        }
    }
}

fn parse(text: &str) -> Result<CstRootNode, String> {
    CstRootNode::parse(text, &ParseOptions::default()).map_err(|e| format!("it is no JSON: {e}"))
}

fn object_at(root: &CstRootNode) -> Result<CstObject, String> {
    root.object_value_or_create().ok_or_else(|| "it holds no JSON object".to_owned())
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(b) => CstInputValue::Bool(*b),
        Value::Number(n) => CstInputValue::Number(n.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(list) => CstInputValue::Array(list.iter().map(input).collect()),
        Value::Object(map) => CstInputValue::Object(
            map.iter().map(|(key, value)| (key.clone(), input(value))).collect(),
        ),
    }
}
