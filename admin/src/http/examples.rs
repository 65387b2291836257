//! Examples in the API's description, made from the schemas. Each body, response and parameter has
//! a valid one.

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

use super::describe::{fields_mut, items_mut};

const ID: &str = "0197c1de-86a2-7c33-9a3b-2f1d6c0e5b14";
const TIME: &str = "2026-11-26T12:00:00Z";

/// Examples of texts by the names of their fields, for schemas without a format.
const TEXTS: &[(&str, &str)] = &[
    ("access_token", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"),
    ("action", "tenant.update"),
    ("actor_kind", "user"),
    ("actor_name", "Ada Lovelace"),
    ("after", ID),
    ("blocked_by", "reauth"),
    ("brand_hashtag", "#krustypizza"),
    ("brief", "A quiet month with a new menu for autumn"),
    ("caption", "Two for one on Tuesday #pizza"),
    ("code", "lk_code_6q2wJx0hN3"),
    ("company_name", "Krusty Pizza Ltd."),
    ("confirm", "Krusty Pizza"),
    ("content_type", "image/jpeg"),
    ("country", "DE"),
    ("cron", "0 */6 * * *"),
    ("description", "Wood-fired pizza by the harbour"),
    ("detail", "There is no such job."),
    ("email", "ada@example.com"),
    ("error", "Facebook asks us to slow down."),
    ("error_class", "rate"),
    ("event", "progress"),
    ("filter", r#"{"state": "executing"}"#),
    ("first_name", "Ada"),
    ("Idempotency-Key", "4f1c2d6e-order-17"),
    ("key", "lk_6q2wJx0hN3"),
    ("kind", "noop"),
    ("last_name", "Lovelace"),
    ("level", "info"),
    ("message", "17 of 30 posts are written."),
    ("month", "2026-12"),
    ("name", "Krusty Pizza"),
    ("next", ID),
    ("object_type", "tenant"),
    ("operation", "facebook.publish"),
    ("organization_name", "Krusty Pizza"),
    ("outcome", "completed"),
    ("password", "correct horse battery staple"),
    ("permalink", "https://www.facebook.com/101/posts/202"),
    ("permissions", "posts:write"),
    ("picture_url", "https://example.com/ada.jpg"),
    ("plan", "basic"),
    ("platform", "facebook"),
    ("prefix", "lk_6q2w"),
    ("primary_color", "#c8102e"),
    ("q", "publish_post"),
    ("queue", "posting"),
    ("refresh_token", "lkr_6q2wJx0hN3"),
    ("remote_address", "203.0.113.7"),
    ("remote_id", "101_202"),
    ("role", "admin"),
    ("secondary_color", "#ffffff"),
    ("state", "completed"),
    ("status", "active"),
    ("tags", "pizza"),
    ("text", "Two for one"),
    ("time_zone", "Europe/Berlin"),
    ("tone", "friendly"),
    ("topic", "The pizza of the week"),
    ("url", "https://linecook.example.com/connect/ticket"),
];

/// Adds an example to each body, response and parameter.
pub(super) fn add_examples(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let maker = Maker { schemas: &schemas };
    let operations = document["paths"]
        .as_object_mut()
        .into_iter()
        .flatten()
        .flat_map(|(_, item)| item.as_object_mut().into_iter().flatten().map(|(_, operation)| operation));
    for operation in operations {
        for parameter in items_mut(operation, "parameters") {
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let example = maker.example(&parameter["schema"], &name);
            parameter["example"] = example;
        }
        maker.add_to(operation.pointer_mut("/requestBody/content"), None);
        for (status, answer) in fields_mut(operation, "responses") {
            maker.add_to(answer.get_mut("content"), status.parse().ok());
        }
    }
}

struct Maker<'a> {
    schemas: &'a Value,
}

impl Maker<'_> {
    fn add_to(&self, content: Option<&mut Value>, status: Option<StatusCode>) {
        for (kind, body) in content.and_then(Value::as_object_mut).into_iter().flatten() {
            let is_problem = kind.starts_with("application/problem+json");
            body["example"] = match status {
                Some(status) if is_problem => problem(status),
                Some(_) | None => self.example(&body["schema"], ""),
            };
        }
    }

    /// Returns a value that the schema of a field with this name allows.
    fn example(&self, schema: &Value, name: &str) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = reference.rsplit('/').next().unwrap_or_default();
            return self.example(&self.schemas[target], name);
        }
        if let Some([first, ..]) = schema["anyOf"].as_array().map(Vec::as_slice) {
            return self.example(first, name);
        }
        if let Some([first, ..]) = schema["enum"].as_array().map(Vec::as_slice) {
            return first.clone();
        }
        let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
        match (kind.as_str(), schema["format"].as_str()) {
            (Some("string"), Some("uuid")) => json!(ID),
            (Some("string"), Some("date-time")) => json!(TIME),
            (Some("string"), Some("date")) => json!("2026-11-26"),
            (Some("string"), Some("binary")) => json!("(the bytes of the file)"),
            (Some("string"), _) if schema["contentSchema"].is_object() => {
                json!(self.example(&schema["contentSchema"], name).to_string())
            }
            (Some("string"), _) => json!(text(name)),
            (Some("integer" | "number"), _) => number(schema),
            (Some("boolean"), _) => json!(true),
            (Some("array"), _) => json!([self.example(&schema["items"], name)]),
            (Some("object"), _) => self.object(schema),
            (_, _) => json!({}),
        }
    }

    fn object(&self, schema: &Value) -> Value {
        let fields = schema["properties"].as_object().into_iter().flatten();
        let fields: Map<String, Value> =
            fields.map(|(name, field)| (name.clone(), self.example(field, name))).collect();
        Value::Object(fields)
    }
}

fn problem(status: StatusCode) -> Value {
    let title = status.canonical_reason().unwrap_or_default();
    let (code, detail) = match status {
        StatusCode::UNAUTHORIZED => ("unauthorized", "Send an API key, or sign in."),
        StatusCode::FORBIDDEN => ("missing_permission", "This needs the permission jobs:write."),
        StatusCode::NOT_FOUND => ("not_found", "There is no such job."),
        StatusCode::CONFLICT => ("job_suspended", "A job that does the same waits for a person."),
        StatusCode::TOO_MANY_REQUESTS => ("rate_limited", "Try again in 36 seconds."),
        _ => ("malformed", "name: it should be a text."),
    };
    json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail })
}

fn text(name: &str) -> &'static str {
    TEXTS.iter().find(|(known, _)| *known == name).map_or("some text", |(_, text)| text)
}

/// Returns the least number that is allowed, or one. Bounds are written as fractions.
fn number(schema: &Value) -> Value {
    let least = schema["minimum"].as_f64().unwrap_or(0.0).max(1.0);
    json!(schema["default"].as_u64().or_else(|| format!("{least:.0}").parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_answers_and_parameters_get_examples_of_their_schemas() {
        let mut document = json!({
            "paths": { "/things/{id}": { "post": {
                "parameters": [{ "name": "id", "in": "path", "schema": { "type": "string", "format": "uuid" } }],
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/New" } } } },
                "responses": {
                    "200": { "content": { "text/event-stream": { "schema": { "type": "object", "properties": { "data": {
                        "type": "string", "contentSchema": { "$ref": "#/components/schemas/New" },
                    } } } } } },
                    "404": { "content": { "application/problem+json": { "schema": {} } } },
                },
            } } },
            "components": { "schemas": {
                "New": { "type": "object", "properties": {
                    "email": { "type": ["string", "null"] },
                    "copies": { "type": "integer", "minimum": 3.0 },
                    "plan": { "anyOf": [{ "$ref": "#/components/schemas/Plan" }, { "type": "null" }] },
                    "tags": { "type": "array", "items": { "type": "string" } },
                } },
                "Plan": { "type": "string", "enum": ["basic", "pro"] },
            } },
        });
        add_examples(&mut document);
        let new = json!({ "email": "ada@example.com", "copies": 3, "plan": "basic", "tags": ["pizza"] });
        let operation = &document["paths"]["/things/{id}"]["post"];
        assert_eq!(operation["parameters"][0]["example"], ID);
        assert_eq!(operation["requestBody"]["content"]["application/json"]["example"], new);
        let answers = &operation["responses"];
        assert_eq!(answers["200"]["content"]["text/event-stream"]["example"]["data"], new.to_string());
        assert_eq!(answers["404"]["content"]["application/problem+json"]["example"]["code"], "not_found");
    }
}
