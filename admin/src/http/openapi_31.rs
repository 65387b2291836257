//! Converts the framework's description from OpenAPI 3.0 to 3.1, whose schemas are JSON Schema
//! 2020-12.

use serde_json::{Map, Value, json};

/// Converts a whole description. Until then, schemas that allow null have `nullable`, as in 3.0.
pub(super) fn convert(document: &mut Value) {
    document["openapi"] = json!("3.1.0");
    convert_schemas(document);
}

fn convert_schemas(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(convert_schemas);
            convert_schema(fields);
        }
        Value::Array(items) => items.iter_mut().for_each(convert_schemas),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Converts a schema. Other objects have none of these fields.
fn convert_schema(fields: &mut Map<String, Value>) {
    unwrap_reference(fields);
    move_exclusive_bound(fields, "minimum", "exclusiveMinimum");
    move_exclusive_bound(fields, "maximum", "exclusiveMaximum");
    if fields.get("nullable").is_some_and(Value::is_boolean) && fields.remove("nullable") == Some(json!(true)) {
        add_null(fields);
    }
}

/// Unwraps a reference. 3.0 puts a description into an `allOf` with a `$ref`; in 3.1 it may stand
/// beside it.
fn unwrap_reference(fields: &mut Map<String, Value>) {
    let Some([reference, rest @ ..]) = fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice) else {
        return;
    };
    let Some(reference) = reference.get("$ref").cloned() else {
        return;
    };
    let words: Vec<Map<String, Value>> = rest.iter().filter_map(|part| part.as_object().cloned()).collect();
    if words.iter().all(|part| part.keys().all(|name| ["description", "default"].contains(&name.as_str()))) {
        fields.remove("allOf");
        fields.insert("$ref".to_owned(), reference);
        fields.extend(words.into_iter().flatten());
    }
}

/// Moves an exclusive bound. 3.0 marks it with a flag, 3.1 with its name.
fn move_exclusive_bound(fields: &mut Map<String, Value>, bound: &str, exclusive: &str) {
    if fields.get(exclusive).is_some_and(Value::is_boolean)
        && fields.remove(exclusive) == Some(json!(true))
        && let Some(value) = fields.remove(bound)
    {
        fields.insert(exclusive.to_owned(), value);
    }
}

fn add_null(fields: &mut Map<String, Value>) {
    if let Some(values) = fields.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    if let Some(reference) = fields.remove("$ref") {
        fields.insert("anyOf".to_owned(), json!([{ "$ref": reference }, { "type": "null" }]));
    } else if let Some(kind) = fields.remove("type") {
        fields.insert("type".to_owned(), json!([kind, "null"]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &Value) -> Value {
        let mut document = json!({ "openapi": "3.0.0", "components": { "schemas": { "One": schema } } });
        convert(&mut document);
        assert_eq!(document["openapi"], "3.1.0");
        document["components"]["schemas"]["One"].take()
    }

    #[test]
    fn schemas_become_json_schema() {
        for (before, after) in [
            (json!({ "type": "string", "nullable": true }), json!({ "type": ["string", "null"] })),
            (json!({ "type": "string", "nullable": false }), json!({ "type": "string" })),
            (json!({ "nullable": true, "description": "Anything." }), json!({ "description": "Anything." })),
            (
                json!({ "type": "string", "enum": ["a"], "nullable": true }),
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
            ),
            (
                json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false }),
                json!({ "type": "integer", "exclusiveMinimum": 0, "maximum": 9 }),
            ),
            (
                json!({ "allOf": [{ "$ref": "#/a" }, { "description": "Words." }] }),
                json!({ "$ref": "#/a", "description": "Words." }),
            ),
            (
                json!({ "allOf": [{ "$ref": "#/a" }, { "description": "Words." }], "nullable": true }),
                json!({ "anyOf": [{ "$ref": "#/a" }, { "type": "null" }], "description": "Words." }),
            ),
            (json!({ "$ref": "#/a", "nullable": true }), json!({ "anyOf": [{ "$ref": "#/a" }, { "type": "null" }] })),
            (
                json!({ "allOf": [{ "$ref": "#/a" }, { "properties": {} }] }),
                json!({ "allOf": [{ "$ref": "#/a" }, { "properties": {} }] }),
            ),
            (
                json!({ "type": "object", "properties": { "nullable": { "type": "boolean", "nullable": true } } }),
                json!({ "type": "object", "properties": { "nullable": { "type": ["boolean", "null"] } } }),
            ),
        ] {
            assert_eq!(converted(&before), after, "{before}");
        }
    }
}
