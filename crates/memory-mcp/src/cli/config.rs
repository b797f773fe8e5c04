//! `memory-mcp config`.

use serde_json::{Map, Value, json};

use super::Failure;
use super::output::{DIM, Output, paint};
use super::session::Session;

pub(super) fn run(session: &Session, out: &mut Output) -> Result<(), Failure> {
    let settings = session.settings();
    if out.is_json() {
        let each = settings
            .iter()
            .map(|s| (s.name.clone(), json!({ "value": s.value, "from": s.origin })));
        return out.json(&each.collect::<Map<_, _>>());
    }
    let names = settings.iter().map(|s| s.name.len()).max().unwrap_or(0);
    let values: Vec<String> = settings.iter().map(|s| shown(&s.value)).collect();
    let wide = values.iter().map(String::len).max().unwrap_or(0);
    for (setting, value) in settings.iter().zip(&values) {
        let origin = paint(DIM, &setting.origin);
        out.line(format_args!("{:names$}  {value:wide$}  {origin}", setting.name))?;
    }
    Ok(())
}

/// A value as `--set` and the environment take it.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some("") | None => value.to_string(),
        Some(text) => text.into(),
    }
}
