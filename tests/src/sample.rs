//! Valid requests, made from an API's own description with ids of the caller's choice.

use serde_json::{Map, Value, json};

/// Fields that the description cannot call required: an operation needs them depending on the
/// caller and other fields.
const NEEDED_AT_TIMES: &[&str] = &["tenant_id", "remote_id"];

/// Returns a body for an operation, with every field that is required always or in some cases.
/// Returns `None` if it has no body.
///
/// # Panics
/// If the description uses an unsupported feature.
#[must_use]
pub fn body(spec: &Value, operation: &Value, tenant_id: &str) -> Option<Value> {
    let content = operation["requestBody"]["content"].as_object()?;
    let schema =
        content.iter().find(|(kind, _)| kind.starts_with("application/json")).map(|(_, body)| &body["schema"])?;
    Some(value(spec, schema, "", tenant_id))
}

/// Returns the query that an operation requires: `?confirm=some`.
#[must_use]
pub fn query(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let needed = parameters.filter(|one| one["in"] == "query" && one["required"] == true && one["name"] != "tenant_id");
    let pairs: Vec<String> = needed.map(|one| format!("{}=some", one["name"].as_str().unwrap_or_default())).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Returns the schema with its reference resolved, and without the null type of a nullable one.
///
/// # Panics
/// If the reference has no target.
#[must_use]
pub fn resolved(spec: &Value, schema: &Value) -> Value {
    let mut whole = schema.clone();
    if let Some(kinds) = schema["type"].as_array() {
        whole["type"] = kinds.iter().find(|kind| **kind != "null").cloned().unwrap_or_default();
    }
    let either = schema["anyOf"].as_array().into_iter().flatten().find(|part| part["type"] != "null");
    for part in [either, Some(schema)].into_iter().flatten() {
        if let Some(target) = part["$ref"].as_str() {
            let target = spec.pointer(target.trim_start_matches('#')).expect("the target of the reference");
            whole.as_object_mut().expect("a schema").extend(object_of(resolved(spec, target)));
        }
    }
    whole
}

fn object_of(schema: Value) -> Map<String, Value> {
    if let Value::Object(fields) = schema { fields } else { Map::new() }
}

fn value(spec: &Value, schema: &Value, name: &str, tenant_id: &str) -> Value {
    if name == "tenant_id" {
        return json!(tenant_id);
    }
    let schema = &resolved(spec, schema);
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("object"), _) => object(spec, schema, tenant_id),
        (Some("array"), _) => {
            let least = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).expect("a small number");
            Value::Array(vec![value(spec, &schema["items"], "", tenant_id); least])
        }
        (Some("string"), Some("uuid")) => json!(uuid::Uuid::now_v7()),
        (Some("string"), Some("date-time")) => json!("2099-01-01T00:00:00Z"),
        (Some("string"), _) => json!(text(name)),
        (Some("integer" | "number"), _) => json!(schema["minimum"].as_f64().map_or(1, whole_number)),
        (Some("boolean"), _) => json!(true),
        (None, _) => json!({}),
        (Some(other), _) => panic!("a schema of type {other}"),
    }
}

fn object(spec: &Value, schema: &Value, tenant_id: &str) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if required.contains(&name.as_str()) || NEEDED_AT_TIMES.contains(&name.as_str()) {
            fields.insert(name.clone(), value(spec, field, name, tenant_id));
        }
    }
    Value::Object(fields)
}

/// Returns a bound as an integer; the description writes bounds as fractions.
fn whole_number(bound: f64) -> i64 {
    format!("{bound:.0}").parse().expect("a small bound")
}

fn text(name: &str) -> &'static str {
    match name {
        "email" => "somebody@example.com",
        "month" => "2099-01",
        "password" => "correct horse battery",
        "kind" => "noop",
        "remote_id" => "100_200",
        _ => "some words",
    }
}
