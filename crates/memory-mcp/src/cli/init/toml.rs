//! Edits of TOML files that keep everything else as it is, comments included.

use serde_json::Value;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::clients::is_ours;

/// The text with table `key.name`, or why that cannot be.
pub(super) fn with_server(
    text: &str,
    key: &str,
    name: &str,
    entry: &Value,
) -> Result<String, String> {
    let mut document = parse(text)?;
    let servers = document.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        // Only `[mcp_servers.memory]` is written.
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers =
        servers.as_table_like_mut().ok_or_else(|| format!("`{key}` in it is no table"))?;
    if let Some(there) = servers.get(name) {
        if !program(there).is_some_and(is_ours) {
            return Err(format!(
                "another server is called `{name}` in it; give ours another name with --name"
            ));
        }
        if same(there, entry) {
            return Ok(text.to_owned());
        }
    }
    let command = entry.get("command").and_then(Value::as_str).unwrap_or_default();
    let args =
        entry.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let args: Array = args.collect();
    match servers.get_mut(name).and_then(Item::as_table_like_mut) {
        // What else the user set there stays.
        Some(there) => {
            there.insert("command", value(command));
            there.insert("args", value(args));
        }
        None => {
            let mut table = Table::new();
            table.insert("command", value(command));
            table.insert("args", value(args));
            servers.insert(name, Item::Table(table));
        }
    }
    Ok(document.to_string())
}

/// The text without table `key.name`, if that is ours.
pub(super) fn without_server(text: &str, key: &str, name: &str) -> Result<String, String> {
    let mut document = parse(text)?;
    let Some(servers) = document.get_mut(key).and_then(Item::as_table_like_mut) else {
        return Ok(text.to_owned());
    };
    if !servers.get(name).and_then(program).is_some_and(is_ours) {
        return Ok(text.to_owned());
    }
    servers.remove(name);
    if servers.is_empty() {
        document.remove(key);
    }
    Ok(document.to_string())
}

/// The program of server `name`.
pub(super) fn server(text: &str, key: &str, name: &str) -> Result<Option<String>, String> {
    let document = parse(text)?;
    let server = document.get(key).and_then(|servers| servers.get(name));
    Ok(server.and_then(program).map(str::to_owned))
}

fn program(server: &Item) -> Option<&str> {
    server.get("command")?.as_str()
}

fn same(there: &Item, entry: &Value) -> bool {
    let args: Vec<&str> = there
        .get("args")
        .and_then(Item::as_array)
        .map(|args| args.iter().filter_map(toml_edit::Value::as_str).collect())
        .unwrap_or_default();
    let wanted: Vec<&str> = entry
        .get("args")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    program(there) == entry.get("command").and_then(Value::as_str) && args == wanted
}

fn parse(text: &str) -> Result<DocumentMut, String> {
    text.parse::<DocumentMut>().map_err(|e| format!("it is no TOML: {}", e.message()))
}
