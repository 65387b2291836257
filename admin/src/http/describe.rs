//! Completes the API's description with rules that many operations share and the framework leaves
//! out.

use serde_json::{Map, Value, json};

use super::{
    examples::add_examples,
    openapi_31,
    operations::Operations,
    paging::{DEFAULT_LIMIT, MAX_LIMIT},
    per_provider,
};

/// Completes the framework's description, and turns it into OpenAPI 3.1.
pub(crate) fn describe(plain: &str) -> Value {
    let mut document: Value = serde_json::from_str(plain).unwrap_or_default();
    per_provider::write_out(&mut document);
    document["servers"] = json!([{ "url": "/", "description": "The server that this description comes from." }]);
    let license = env!("CARGO_PKG_LICENSE");
    document["info"]["license"] = json!({ "name": license, "identifier": license });
    let operations = Operations::described_by(&document);
    for (path, item) in fields_mut(&mut document, "paths") {
        for (method, described) in item.as_object_mut().into_iter().flatten() {
            let method = method.to_uppercase().parse().unwrap_or_default();
            let operation = operations.find(&method, path);
            if operation.is_some_and(|operation| operation.takes_key) {
                add_parameter(described, idempotency_key());
            }
            if operation.is_some_and(|operation| operation.takes_credentials) {
                add_rates(described);
            }
            if let Some(required) = operation.and_then(|operation| operation.required) {
                add_sentence(described, &required.sentence());
            }
            if described.get("security").is_none() {
                described["security"] = json!([]);
            }
            add_pages(described);
            describe_messages(described);
            if let Some(form) = described.pointer_mut("/requestBody/content/multipart~1form-data/schema") {
                close(form);
            }
            for parameter in items_mut(described, "parameters") {
                bound_limit(parameter);
            }
        }
    }
    let taken = schemas_of_bodies(&document);
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        may_be_null(schema);
        if taken.contains(name) {
            close(schema);
        }
    }
    openapi_31::convert(&mut document);
    add_examples(&mut document);
    document
}

/// Returns the fields of an object under a name, to be changed. (Indexing for that adds missing
/// fields.)
pub(super) fn fields_mut<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    value.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten()
}

pub(super) fn items_mut<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Ends the description of an operation with one more sentence.
fn add_sentence(described: &mut Value, sentence: &str) {
    let words = described["description"].as_str().map(|words| format!("{words}\n\n{sentence}"));
    described["description"] = json!(words.unwrap_or_else(|| sentence.to_owned()));
}

fn add_parameter(described: &mut Value, parameter: Value) {
    match described.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(parameter),
        None => described["parameters"] = json!([parameter]),
    }
}

fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "A text that you choose for this one request, such as a UUID. If you repeat the request within 24 \
                        hours, it has no second effect and gets the same response, with `Idempotent-Replayed: true`. \
                        While the first request runs, the response is 409. Another request under the same key gets 422.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
    })
}

/// Adds the rate limit's headers to every response to a tenant's caller.
fn add_rates(described: &mut Value) {
    for (_, answer) in fields_mut(described, "responses") {
        if !answer.get("headers").is_some_and(Value::is_object) {
            answer["headers"] = json!({});
        }
        for (name, words) in [
            (
                "RateLimit",
                "The rest of the limit, such as `\"tenant\";r=99;t=36`: r requests now, and all of them again in t seconds.",
            ),
            ("RateLimit-Policy", "The limit, such as `\"tenant\";q=100;w=3600`: q requests in w seconds."),
        ] {
            answer["headers"][name] = json!({ "description": words, "schema": { "type": "string" } });
        }
    }
}

/// Adds the page to the refusals of operations that return pages to browsers. Of two responses with
/// one status, the framework describes only the last.
fn add_pages(described: &mut Value) {
    let page = described.pointer("/responses/200/content").and_then(|content| {
        content
            .as_object()?
            .iter()
            .find(|(kind, _)| kind.starts_with("text/html"))
            .map(|(kind, page)| (kind.clone(), page.clone()))
    });
    let Some((kind, page)) = page else {
        return;
    };
    if let Some(content) = described.pointer_mut("/responses/400/content").and_then(Value::as_object_mut) {
        content.insert(kind, page);
    }
}

/// Describes the messages of a stream. The framework describes a list of events; each event arrives
/// as the JSON text of a message. Messages have an id if the operation takes the last one.
fn describe_messages(described: &mut Value) {
    let has_ids = items_mut(described, "parameters").any(|parameter| parameter["name"] == "Last-Event-ID");
    let Some(stream) = described.pointer_mut("/responses/200/content/text~1event-stream/schema") else {
        return;
    };
    let event = stream.get("items").cloned().unwrap_or_default();
    *stream = json!({
        "type": "object",
        "description": "One message of the stream.",
        "required": ["data"],
        "properties": {
            "event": { "type": "string", "description": "The type of the message." },
            "data": {
                "type": "string",
                "description": "The event as JSON.",
                "contentMediaType": "application/json",
                "contentSchema": event,
            },
        },
    });
    if has_ids {
        let id = json!({ "type": "string", "description": "The number to send as `Last-Event-ID`." });
        stream["properties"]["id"] = id;
    }
}

/// Adds the bounds that every list has.
fn bound_limit(parameter: &mut Value) {
    if parameter["in"] == "query" && parameter["name"] == "limit" {
        parameter["schema"]["minimum"] = json!(1);
        parameter["schema"]["maximum"] = json!(MAX_LIMIT);
        parameter["schema"]["default"] = json!(DEFAULT_LIMIT);
    }
}

/// Allows null for fields that are not required, in requests and in responses.
fn may_be_null(schema: &mut Value) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let is_required = |name: &String| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
    for (name, property) in fields_mut(schema, "properties") {
        if is_required(name) {
            continue;
        }
        property["nullable"] = json!(true);
    }
    for part in items_mut(schema, "allOf") {
        may_be_null(part);
    }
}

/// Forbids other fields in bodies, so that a mistyped one is refused.
fn close(schema: &mut Value) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema["additionalProperties"] = json!(false);
    }
}

/// Returns the names of the schemas that JSON bodies are made of.
fn schemas_of_bodies(document: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (_, item) in document["paths"].as_object().into_iter().flatten() {
        for (_, described) in item.as_object().into_iter().flatten() {
            for (kind, content) in described["requestBody"]["content"].as_object().into_iter().flatten() {
                if kind.starts_with("application/json") {
                    collect_names(&content["schema"], &document["components"]["schemas"], &mut names);
                }
            }
        }
    }
    names
}

fn collect_names(schema: &Value, schemas: &Value, names: &mut Vec<String>) {
    let reference = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
    if let Some(name) = reference.filter(|name| !names.iter().any(|known| known == name)) {
        names.push(name.to_owned());
        collect_names(&schemas[name], schemas, names);
    }
    let nested = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let properties: Map<String, Value> = schema["properties"].as_object().cloned().unwrap_or_default();
    for part in properties.into_values().chain(nested(&schema["allOf"])).chain([schema["items"].clone()]) {
        if part.is_object() {
            collect_names(&part, schemas, names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_for_many_operations_is_described() {
        let caller = json!([{ "bearer": ["jobs:write"] }]);
        let body = json!({ "content": { "application/json; charset=utf-8": { "schema": { "$ref": "#/components/schemas/New" } } } });
        let document = describe(
            &json!({
                "paths": { "/api/v1/things": {
                    "post": { "security": caller, "requestBody": body, "responses": { "200": {} } },
                    "get": {
                        "security": caller,
                        "description": "Things.",
                        "parameters": [{ "in": "query", "name": "limit", "schema": {} }],
                    },
                } },
                "components": { "schemas": {
                    "New": { "required": ["name"], "properties": {
                        "name": { "type": "string" }, "inner": { "$ref": "#/components/schemas/Inner" },
                    } },
                    "Inner": { "properties": { "x": { "type": "string" } } },
                    "View": { "properties": { "y": { "type": "string" } } },
                } },
            })
            .to_string(),
        );
        let things = &document["paths"]["/api/v1/things"];
        assert_eq!(things["post"]["parameters"][0]["name"], "Idempotency-Key");
        assert!(things["post"]["responses"]["200"]["headers"]["RateLimit"].is_object(), "{things}");
        assert_eq!(things["post"]["description"], "Needs the permission `jobs:write`.");
        assert_eq!(things["get"]["description"], "Things.\n\nNeeds the permission `jobs:write`.");
        assert_eq!(things["get"]["parameters"].as_array().map(Vec::len), Some(1));
        assert_eq!(things["get"]["parameters"][0]["schema"]["maximum"], MAX_LIMIT);
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["New"]["additionalProperties"], false);
        assert_eq!(schemas["Inner"]["additionalProperties"], false);
        assert!(schemas["View"].get("additionalProperties").is_none());
        assert_eq!(schemas["New"]["properties"]["name"]["type"], "string");
        assert_eq!(schemas["New"]["properties"]["inner"]["anyOf"][1]["type"], "null");
        assert_eq!(schemas["View"]["properties"]["y"]["type"], json!(["string", "null"]));
    }
}
