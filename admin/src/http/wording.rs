//! Words for what a schema allows, as refusals say them.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use jobs::name::Name;
use poem_openapi::registry::MetaSchema;
use regex::Regex;
use serde_json::Value;
use uuid::Uuid;

use super::named::FORMAT;

const UUID: &str = "a UUID such as 0197c1de-86a2-7c33-9a3b-2f1d6c0e5b14";
const TIME: &str = "a time such as 2026-11-26T12:00:00Z";

/// The patterns that bodies use, each with words for what matches.
static PATTERNS: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
    [
        (r"^[^@\s\u0085\uFEFF]+@[^@\s\u0085\uFEFF]+$", "an email address such as ada@example.com"),
        (r"^[0-9]{4}-[0-9]{2}$", "a month such as 2026-12"),
        (r"^(https://[^\s]+)?$", "an address that starts with https://"),
    ]
    .map(|(pattern, words)| (Regex::new(pattern).expect("a pattern of ours"), words))
});

/// Returns what a value should be, unless it is that already. Looks at the value itself, not at
/// fields and items in it.
pub(super) fn expected(schema: &MetaSchema, value: &Value) -> Option<String> {
    match schema.ty {
        "string" => expected_text(schema, value),
        "integer" => expected_integer(schema, value),
        "boolean" => (!value.is_boolean()).then(|| "true or false".to_owned()),
        "array" => expected_list(schema, value),
        "object" => (!value.is_object()).then(|| "an object".to_owned()),
        _ => None,
    }
}

fn expected_text(schema: &MetaSchema, value: &Value) -> Option<String> {
    if !schema.enum_items.is_empty() {
        return (!schema.enum_items.contains(value)).then(|| one_of(&schema.enum_items));
    }
    let text = value.as_str();
    match schema.format {
        Some("uuid") if text.is_none_or(|text| text.parse::<Uuid>().is_err()) => {
            return Some(UUID.to_owned());
        }
        Some("date-time") if text.is_none_or(|text| text.parse::<DateTime<Utc>>().is_err()) => {
            return Some(TIME.to_owned());
        }
        Some(_) | None => {}
    }
    let mut known = PATTERNS.iter().filter(|(known, _)| schema.pattern.as_deref() == Some(known.as_str()));
    if let Some((_, words)) = known.find(|(known, _)| text.is_none_or(|text| !known.is_match(text))) {
        return Some((*words).to_owned());
    }
    let has_right_length =
        text.is_some_and(|text| is_within(text.chars().count(), schema.min_length, schema.max_length));
    if has_right_length {
        return None;
    }
    let words = || counted("a text", "characters", schema.min_length, schema.max_length);
    Some(expected_name(schema, text.unwrap_or_default()).unwrap_or_else(words))
}

/// Returns what a name should be, unless it is that already or the schema describes no name. A
/// schema can say how long a name is, but not that it shows something.
pub(super) fn expected_name(schema: &MetaSchema, text: &str) -> Option<String> {
    let is_name = schema.format == Some(FORMAT);
    let lengths = schema.min_length.unwrap_or_default()..=schema.max_length.unwrap_or(usize::MAX);
    Name::parse(text, lengths).err().filter(|_| is_name).map(|rule| format!("a name of {rule}"))
}

fn expected_integer(schema: &MetaSchema, value: &Value) -> Option<String> {
    let (least, most) = match schema.format {
        Some("uint8") => (0.0, f64::from(u8::MAX)),
        Some("uint32") => (0.0, f64::from(u32::MAX)),
        _ => (f64::from(i32::MIN), f64::from(i32::MAX)),
    };
    let (least, most) = (schema.minimum.unwrap_or(least), schema.maximum.unwrap_or(most));
    let is_right = value.is_i64() && value.as_f64().is_some_and(|number| (least..=most).contains(&number));
    (!is_right).then(|| format!("a whole number from {least} to {most}"))
}

fn expected_list(schema: &MetaSchema, value: &Value) -> Option<String> {
    let has_right_length =
        value.as_array().is_some_and(|items| is_within(items.len(), schema.min_items, schema.max_items));
    (!has_right_length).then(|| counted("a list", "items", schema.min_items, schema.max_items))
}

/// Returns words for the values of a parameter, by its schema in the API's description.
pub(super) fn of_parameter(schema: &Value, schemas: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return of_parameter(&schemas[reference.rsplit('/').next().unwrap_or_default()], schemas);
    }
    if let Some(values) = schema["enum"].as_array() {
        return one_of(values);
    }
    let bound = |name: &str| schema[name].as_u64().and_then(|bound| usize::try_from(bound).ok());
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), _) => match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            (Some(_) | None, _) => "a whole number".to_owned(),
        },
        (Some("array"), _) => {
            let values = counted("a list", "values", bound("minItems"), bound("maxItems"));
            format!("{values}, each {}", of_parameter(&schema["items"], schemas))
        }
        (_, Some("uuid")) => UUID.to_owned(),
        (_, Some("date-time")) => TIME.to_owned(),
        (_, _) => counted("a text", "characters", bound("minLength"), bound("maxLength")),
    }
}

fn one_of(values: &[Value]) -> String {
    let names: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    format!("one of {}", names.join(", "))
}

fn is_within(count: usize, least: Option<usize>, most: Option<usize>) -> bool {
    least.is_none_or(|least| count >= least) && most.is_none_or(|most| count <= most)
}

fn counted(what: &str, parts: &str, least: Option<usize>, most: Option<usize>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("{what} of {least} to {most} {parts}"),
        (Some(least), None) => format!("{what} of at least {least} {parts}"),
        (None, Some(most)) => format!("{what} of at most {most} {parts}"),
        (None, None) => what.to_owned(),
    }
}

/// Returns the same text for items that mean the same: a UUID may be written in several ways.
pub(super) fn identity(item: &Value) -> String {
    let id = item.as_str().and_then(|text| text.parse::<Uuid>().ok());
    id.map_or_else(|| item.to_string(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    /// Collects the rules of a schema and of the schemas that it refers to.
    fn collect(document: &Value, schema: &Value, said: &mut BTreeSet<(String, String)>) {
        match schema {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    collect(document, document.pointer(&reference[1..]).unwrap(), said);
                }
                for (name, value) in fields {
                    if ["type", "format", "pattern"].contains(&name.as_str()) && !value.is_object() {
                        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                        said.extend(values.iter().map(|one| (name.clone(), one.as_str().unwrap().to_owned())));
                    }
                    collect(document, value, said);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(document, item, said)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn there_are_words_for_all_that_bodies_hold() {
        let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        let mut said = BTreeSet::new();
        for operation in
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
        {
            let schema = &operation["requestBody"]["content"]["application/json; charset=utf-8"]["schema"];
            collect(&document, schema, &mut said);
        }
        let patterns = PATTERNS.iter().map(|(pattern, _)| ("pattern", pattern.as_str()));
        let known: BTreeSet<(&str, &str)> = ["string", "integer", "boolean", "array", "object", "null"]
            .map(|kind| ("type", kind))
            .into_iter()
            .chain(["uuid", "date-time", FORMAT, "int32", "uint8", "uint32"].map(|format| ("format", format)))
            .chain(patterns)
            .collect();
        let said: BTreeSet<(&str, &str)> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(said, known, "left: what bodies hold; right: what `wording.rs` has words for");
    }

    #[test]
    fn there_are_words_for_all_that_parameters_hold() {
        let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        let operations = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap());
        for (_, operation) in operations {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (schema, right) =
                    (&parameter["schema"], of_parameter(&parameter["schema"], &document["components"]["schemas"]));
                let known = match (schema["type"].as_str(), schema["format"].as_str()) {
                    (Some("integer"), _) => right.starts_with("a whole number"),
                    (Some("string"), Some("uuid")) => right == UUID,
                    (Some("string"), Some("date-time")) => right == TIME,
                    (Some("string"), None) => right.starts_with("a text"),
                    (Some("array"), None) => right.starts_with("a list of at most 20 values, each "),
                    (None, None) => right.starts_with("one of "),
                    (_, _) => false,
                };
                assert!(known, "{schema}: {right}");
            }
        }
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200 });
        assert_eq!(of_parameter(&limit, &Value::Null), "a whole number from 1 to 200");
        let schemas = json!({ "State": { "type": "string", "enum": ["on", "off"] } });
        assert_eq!(of_parameter(&json!({ "$ref": "#/components/schemas/State" }), &schemas), "one of on, off");
        let states = json!({ "type": "array", "maxItems": 2, "items": { "$ref": "#/components/schemas/State" } });
        assert_eq!(of_parameter(&states, &schemas), "a list of at most 2 values, each one of on, off");
    }

    #[test]
    fn lengths_are_said_as_far_as_there_are_bounds() {
        let text = |least, most| MetaSchema { min_length: least, max_length: most, ..MetaSchema::new("string") };
        for (schema, words) in [
            (text(Some(1), Some(3)), "a text of 1 to 3 characters"),
            (text(Some(1), None), "a text of at least 1 characters"),
            (text(None, Some(3)), "a text of at most 3 characters"),
            (text(None, None), "a text"),
        ] {
            assert_eq!(expected(&schema, &json!(1)).as_deref(), Some(words));
        }
    }
}
