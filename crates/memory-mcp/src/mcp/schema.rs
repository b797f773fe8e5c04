//! JSON Schemas of the tools, small enough for a context window and plain enough for strict clients.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of a tool's arguments.
pub(super) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema = generate::<T>(settings);
    // So it is further in, where saying it would cost more than it tells.
    schema.insert("additionalProperties".into(), false.into());
    Arc::new(schema)
}

/// The schema of a tool's result: a model sees the result itself, so it stays an outline.
pub(super) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = generate::<T>(settings);
    outline(&mut schema);
    Arc::new(schema)
}

fn generate<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|s| {
        s.meta_schema = None;
        s.inline_subschemas = true;
    });
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(mut schema) => {
            simplify(&mut schema);
            schema
        }
        _ => Map::new(),
    }
}

/// Drops what says nothing to a model, and the ways to say "optional" that strict clients refuse:
/// a field that may be left out is simply not required.
fn simplify(schema: &mut JsonObject) {
    for key in ["$schema", "title", "format", "minimum", "default", "additionalProperties"] {
        schema.remove(key);
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|t| t != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(mut choices)) = schema.remove("anyOf") {
        choices.retain(|choice| choice != &json!({"type": "null"}));
        match choices.pop() {
            Some(Value::Object(only)) if choices.is_empty() => {
                for (key, value) in only {
                    schema.entry(key).or_insert(value);
                }
            }
            last => {
                choices.extend(last);
                schema.insert("anyOf".into(), choices.into());
            }
        }
    }
    each_subschema(schema, &mut simplify);
}

/// Leaves the fields of a result and their types.
fn outline(schema: &mut JsonObject) {
    schema.remove("required");
    each_subschema(schema, &mut |field| field.retain(|key, _| key == "type"));
}

fn each_subschema(schema: &mut JsonObject, visit: &mut dyn FnMut(&mut JsonObject)) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(&mut *visit);
    }
    if let Some(Value::Object(items)) = schema.get_mut("items") {
        visit(items);
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    struct Sample {
        /// How many.
        count: Option<u32>,
        #[serde(default)]
        inner: Option<Inner>,
        kinds: Vec<Kind>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Inner {
        name: Option<String>,
        more: Vec<Inner2>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Inner2 {
        x: f64,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    enum Kind {
        A,
        B,
    }

    #[test]
    fn optional_fields_are_plain_and_not_required() {
        let expected = json!({
            "type": "object",
            "properties": {
                "count": {"type": "integer", "description": "How many."},
                "inner": {"type": "object", "properties": {
                    "name": {"type": "string"},
                    "more": {"type": "array", "items": {
                        "type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]
                    }},
                }, "required": ["more"]},
                "kinds": {"type": "array", "items": {"type": "string", "enum": ["A", "B"]}},
            },
            "additionalProperties": false,
            "required": ["kinds"],
        });
        assert_eq!(Value::Object((*input::<Sample>()).clone()), expected);
    }

    #[test]
    fn result_schemas_name_their_fields_and_no_more() {
        let schema = output::<Sample>();
        assert_eq!(schema["properties"]["inner"], json!({"type": "object"}));
        assert_eq!(schema["properties"]["kinds"], json!({"type": "array"}));
        assert_eq!(schema["properties"]["count"], json!({"type": "integer"}));
    }
}
