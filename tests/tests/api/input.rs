//! Tests of invalid input on every route, made from the description: each field and parameter in
//! turn.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestApp, answer, sample::resolved};
use uuid::Uuid;

/// Returns a bound, which may be written as a fraction.
fn number(bound: &Value) -> Option<i64> {
    bound.to_string().split('.').next()?.parse().ok()
}

fn letters(count: i64) -> Value {
    json!("x".repeat(usize::try_from(count).unwrap()))
}

/// Returns a value that a schema accepts.
pub(super) fn right(schema: &Value, document: &Value) -> Value {
    let schema = resolved(document, schema);
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("uuid")) => json!(Uuid::now_v7()),
        (Some("string"), Some("date-time")) => json!("2030-01-01T00:00:00Z"),
        (Some("string"), _) if schema["pattern"].is_string() => {
            let pattern = schema["pattern"].as_str().unwrap();
            let known = [("@", "a@b.example"), ("^[0-9]{4}-[0-9]{2}$", "2030-01"), ("^[!-~]+$", "x")];
            let (_, value) =
                known.iter().find(|(known, _)| pattern.contains(known)).unwrap_or_else(|| panic!("{pattern}"));
            json!(value)
        }
        (Some("string"), _) => letters(number(&schema["minLength"]).unwrap_or(1).max(1)),
        (Some("integer" | "number"), _) => json!(number(&schema["minimum"]).unwrap_or(1).max(1)),
        (Some("boolean"), _) => json!(false),
        (Some("array"), _) => json!([right(&schema["items"], document)]),
        _ => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let field = |name: &Value| {
                let name = name.as_str().unwrap();
                (name.to_owned(), right(&schema["properties"][name], document))
            };
            Value::Object(required.iter().map(field).collect())
        }
    }
}

/// Returns values that a schema rejects.
fn wrong(schema: &Value, document: &Value) -> Vec<Value> {
    let schema = resolved(document, schema);
    let bound = |name: &str| number(&schema[name]);
    let mut values = match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("uuid")) => vec![json!("nonsense"), json!(1)],
        (Some("string"), Some("date-time")) => vec![json!("yesterday"), json!("+12026-01-01T00:00:00Z"), json!(1)],
        (Some("string"), _) if schema["enum"].is_array() => vec![json!("nonsense"), json!(1)],
        (Some("string"), _) => vec![json!(1), json!([]), json!("a\0b")],
        (Some("integer" | "number"), _) => vec![json!("many"), json!([]), json!("1e999")],
        (Some("boolean"), _) => vec![json!("perhaps"), json!(2)],
        (Some("array"), _) => vec![json!("x"), json!([[]])],
        (Some("object"), _) => vec![json!("x"), json!([])],
        _ => Vec::new(),
    };
    values.extend(bound("minimum").map(|least| json!(least - 1)));
    values.extend(bound("maximum").map(|most| json!(most + 1)));
    values.extend(bound("maxLength").map(|most| letters(most + 1)));
    values.extend(bound("minLength").filter(|least| *least > 0).map(|least| letters(least - 1)));
    if let Some(most) = bound("maxItems") {
        values.push(Value::Array((0..=most).map(|_| right(&schema["items"], document)).collect()));
    }
    if bound("minItems").is_some_and(|least| least > 0) {
        values.push(json!([]));
    }
    values
}

struct Attempt {
    id: String,
    name: String,
    method: Method,
    path: String,
    body: Option<Value>,
}

/// Returns invalid bodies, one for each invalid field.
fn bodies(id: &str, operation: &Value, document: &Value) -> Vec<(String, Value)> {
    let schema = &operation["requestBody"]["content"]["application/json; charset=utf-8"]["schema"];
    if !schema.is_object() {
        return Vec::new();
    }
    let whole = right(schema, document);
    let schema = resolved(document, schema);
    let mut bodies = vec![("nonsense".to_owned(), json!({ "nonsense": 1 }))];
    if let Some(fields) = whole.as_object() {
        let mut more = fields.clone();
        more.insert("nonsense".to_owned(), json!(1));
        bodies = vec![("nonsense".to_owned(), Value::Object(more))];
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object().unwrap_or_else(|| panic!("{id}")) {
        let mut values = wrong(property, document);
        if required.contains(&json!(name)) && !values.is_empty() {
            values.push(Value::Null);
            let mut fields = whole.clone();
            fields.as_object_mut().unwrap().remove(name);
            bodies.push((name.clone(), fields));
        }
        for value in values {
            let mut fields = whole.clone();
            fields[name] = value;
            bodies.push((name.clone(), fields));
        }
    }
    bodies
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn address(path: &str, parameters: &[Value], document: &Value, query: &[(String, String)]) -> String {
    let mut path = path.to_owned();
    for parameter in parameters.iter().filter(|parameter| parameter["in"] == "path") {
        let name = parameter["name"].as_str().unwrap();
        path = path.replace(&format!("{{{name}}}"), &text(&right(&parameter["schema"], document)));
    }
    let mut url = reqwest::Url::parse(&format!("http://x{path}")).unwrap();
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url.as_str().strip_prefix("http://x").unwrap().to_owned()
}

/// Returns addresses with one invalid parameter each.
fn addresses(path: &str, operation: &Value, document: &Value) -> Vec<(String, String)> {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let needed = |parameter: &&Value| parameter["in"] == "query" && parameter["required"] == true;
    let named = |parameter: &Value| {
        let value = text(&right(&parameter["schema"], document));
        (parameter["name"].as_str().unwrap().to_owned(), value)
    };
    let base: BTreeMap<String, String> = parameters.iter().filter(needed).map(named).collect();
    let with = |name: &str, value: Option<String>| {
        let mut query = base.clone();
        query.remove(name);
        query.extend(value.map(|value| (name.to_owned(), value)));
        address(path, &parameters, document, &query.into_iter().collect::<Vec<_>>())
    };
    let mut addresses = vec![("nonsense".to_owned(), with("nonsense", Some("1".to_owned())))];
    for parameter in &parameters {
        let name = parameter["name"].as_str().unwrap();
        // Every value in an address is a string.
        let schema = resolved(document, &parameter["schema"]);
        let items = resolved(document, &schema["items"]);
        // In a list of any texts everything is one.
        let takes_anything = schema["type"] == "array"
            && items["type"] == "string"
            && items["format"].is_null()
            && items["enum"].is_null();
        let is_wrong = |value: &Value| !takes_anything && (schema["type"] != "string" || value.is_string());
        let values = wrong(&parameter["schema"], document).into_iter().filter(is_wrong);
        match parameter["in"].as_str() {
            Some("query") => {
                addresses.extend(values.map(|value| (name.to_owned(), with(name, Some(text(&value))))));
                if base.contains_key(name) {
                    addresses.push((name.to_owned(), with(name, None)));
                }
            }
            Some("path") if parameter["schema"]["format"] == "uuid" => {
                let path = path.replace(&format!("{{{name}}}"), "nonsense");
                let others: Vec<Value> = parameters.iter().filter(|other| other["name"] != name).cloned().collect();
                addresses.push((name.to_owned(), address(&path, &others, document, &[])));
            }
            Some(_) | None => {}
        }
    }
    addresses
}

fn attempts(document: &Value) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_open = operation["security"] == json!([]);
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let method: Method = method.to_uppercase().parse().unwrap();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let plain = address(path, &parameters, document, &[]);
            for (name, body) in bodies(&id, operation, document) {
                let (id, method, path) = (id.clone(), method.clone(), plain.clone());
                attempts.push(Attempt { id, name, method, path, body: Some(body) });
            }
            // Open operations ignore unknown parameters, which others may add to an address.
            let addresses = if is_open { Vec::new() } else { addresses(path, operation, document) };
            for (name, path) in addresses {
                attempts.push(Attempt { id: id.clone(), name, method: method.clone(), path, body: None });
            }
        }
    }
    attempts
}

#[sqlx::test(migrations = "../migrations")]
async fn wrong_input_on_every_route_is_refused_by_its_name(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let document = app.get("/openapi.json").await;
    let staff = app.operator("staff@example.com").await;
    let attempts = attempts(&document);
    assert!(attempts.len() > 200, "{}", attempts.len());
    let mut accepted = Vec::new();
    for Attempt { id, name, method, path, body } in attempts {
        let request = app.anonymous(method, &path).bearer_auth(&staff.token);
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let (status, problem) = answer(request).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        if !status.is_client_error() || !detail.contains(&name) {
            let body = body.map(|body| body.to_string().chars().take(300).collect::<String>());
            accepted.push(format!("{id}: {name} in {path} {body:?}: {status} {detail}"));
        }
    }
    assert!(accepted.is_empty(), "{} times wrong input was not named:\n{}", accepted.len(), accepted.join("\n"));
}
