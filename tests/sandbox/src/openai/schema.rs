//! The rules of strict mode for a JSON schema.

use serde_json::{Map, Value};

use crate::openai::error::OpenAiError;

const DEEPEST_LEVEL: usize = 10;
const MOST_PROPERTIES: usize = 5000;
const LONGEST_NAME: usize = 64;
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
const FORMATS: [&str; 9] = ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];
/// The part of JSON Schema that strict mode supports. `pattern` is in it too, but the sandbox
/// cannot generate such texts.
const KEYWORDS: [&str; 22] = [
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "properties",
    "required",
    "title",
    "type",
];

/// Checks `response_format` of the type `json_schema`, and returns its schema.
pub(crate) fn check(format: &Value) -> Result<Value, OpenAiError> {
    let spec = format.get("json_schema").unwrap_or(&Value::Null);
    let Some(name) = spec.get("name").and_then(Value::as_str) else {
        let param = Some("response_format.json_schema.name");
        let message = "Missing required parameter: 'response_format.json_schema.name'.";
        return Err(OpenAiError::invalid(Some("missing_required_parameter"), param, message));
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(allowed) {
        let param = Some("response_format.json_schema.name");
        let message = "Invalid 'response_format.json_schema.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.";
        return Err(OpenAiError::invalid(Some("invalid_value"), param, message));
    }
    let Some(schema) = spec.get("schema").filter(|schema| schema.is_object()) else {
        let param = Some("response_format.json_schema.schema");
        let message = "Missing required parameter: 'response_format.json_schema.schema'.";
        return Err(OpenAiError::invalid(Some("missing_required_parameter"), param, message));
    };
    if spec.get("strict") == Some(&Value::Bool(true)) {
        let mut rules = Strict { root: schema, properties: 0 };
        rules.check_root().map_err(|what| OpenAiError::schema(name, &what))?;
    }
    Ok(schema.clone())
}

struct Strict<'a> {
    root: &'a Value,
    properties: usize,
}

impl Strict<'_> {
    fn check_root(&mut self) -> Result<(), String> {
        let root = self.root;
        if root.get("type").and_then(Value::as_str) != Some("object") || root.get("anyOf").is_some() {
            let found = root.get("type").map_or("\"None\"".to_owned(), Value::to_string);
            return Err(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {found}'."));
        }
        self.check(root, &mut Vec::new(), 1)?;
        for definitions in ["$defs", "definitions"] {
            for (name, schema) in root.get(definitions).and_then(Value::as_object).into_iter().flatten() {
                self.check(schema, &mut vec![definitions.to_owned(), name.clone()], 1)?;
            }
        }
        if self.properties > MOST_PROPERTIES {
            return Err(format!("{} properties exceeds limit of {MOST_PROPERTIES}.", self.properties));
        }
        Ok(())
    }

    fn check(&mut self, schema: &Value, place: &mut Vec<String>, level: usize) -> Result<(), String> {
        let context = context(place);
        let Some(schema) = schema.as_object() else {
            return Err(format!("{context}, schema is not an object."));
        };
        if let Some(keyword) = schema.keys().find(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
            return Err(format!("{context}, '{keyword}' is not permitted."));
        }
        if let Some(target) = schema.get("$ref") {
            return self.check_reference(target).map_err(|what| format!("{context}, {what}"));
        }
        if let Some(variants) = schema.get("anyOf") {
            let variants = variants.as_array().filter(|variants| !variants.is_empty());
            for (at, variant) in variants.ok_or(format!("{context}, 'anyOf' is empty."))?.iter().enumerate() {
                self.within(place, &["anyOf", &at.to_string()], variant, level)?;
            }
            return Ok(());
        }
        let types = types(schema).map_err(|what| format!("{context}, {what}"))?;
        check_format(schema).map_err(|what| format!("{context}, {what}"))?;
        if types.contains(&"object") {
            self.check_object(schema, place, level)?;
        }
        if types.contains(&"array") {
            let items = schema.get("items").ok_or(format!("{context}, array schema missing items."))?;
            self.within(place, &["items"], items, level)?;
        }
        Ok(())
    }

    fn check_object(
        &mut self,
        schema: &Map<String, Value>,
        place: &mut Vec<String>,
        level: usize,
    ) -> Result<(), String> {
        let context = context(place);
        if level > DEEPEST_LEVEL {
            return Err(format!("{level} levels of nesting exceeds limit of {DEEPEST_LEVEL}."));
        }
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(format!("{context}, 'additionalProperties' is required to be supplied and to be false."));
        }
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let rule = "'required' is required to be supplied and to be an array including every key in properties.";
        if let Some(missing) = properties.keys().find(|name| !required.contains(&name.as_str())) {
            return Err(format!("{context}, {rule} Missing '{missing}'."));
        }
        if let Some(extra) = required.iter().find(|name| !properties.contains_key(**name)) {
            return Err(format!("{context}, {rule} Extra required key '{extra}' supplied."));
        }
        self.properties += properties.len();
        for (name, property) in properties {
            self.within(place, &["properties", name], property, level + 1)?;
        }
        Ok(())
    }

    fn within(&mut self, place: &mut Vec<String>, steps: &[&str], schema: &Value, level: usize) -> Result<(), String> {
        let length = place.len();
        place.extend(steps.iter().map(|step| (*step).to_owned()));
        let result = self.check(schema, place, level);
        place.truncate(length);
        result
    }

    fn check_reference(&self, target: &Value) -> Result<(), String> {
        let found =
            target.as_str().and_then(|target| target.strip_prefix('#')).and_then(|path| self.root.pointer(path));
        found.map(|_| ()).ok_or_else(|| {
            format!("reference can only point to definitions defined at the top level of the schema: {target}.")
        })
    }
}

fn types(schema: &Map<String, Value>) -> Result<Vec<&str>, String> {
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        Some(_) => Vec::new(),
        None if schema.contains_key("enum") || schema.contains_key("const") => return Ok(Vec::new()),
        None => return Err("schema must have a 'type' key.".to_owned()),
    };
    if types.is_empty() || types.iter().any(|one| !TYPES.contains(one)) {
        return Err(format!("{} is not a valid type.", schema.get("type").unwrap_or(&Value::Null)));
    }
    Ok(types)
}

fn check_format(schema: &Map<String, Value>) -> Result<(), String> {
    match schema.get("format").map(|format| format.as_str().unwrap_or_default()) {
        Some(format) if !FORMATS.contains(&format) => Err(format!("'{format}' is not a valid format.")),
        Some(_) | None => Ok(()),
    }
}

fn context(place: &[String]) -> String {
    let steps: Vec<String> = place.iter().map(|step| format!("'{step}'")).collect();
    format!("In context=({})", steps.join(", "))
}
