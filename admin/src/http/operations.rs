//! The operations of the API, read from its description.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::{Map, Value};

use super::wording;
use crate::auth::RequiredPermission;

/// An operation, as the description has it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
pub(crate) struct Operation {
    /// True if it refuses callers without credentials.
    pub(crate) takes_credentials: bool,
    /// The permission that it declares. Nobody may call an operation that takes credentials and
    /// declares none.
    pub(crate) required: Option<RequiredPermission>,
    /// True if it is a page, not an operation of the API.
    pub(crate) is_page: bool,
    /// True if its body is a form with a file.
    pub(crate) takes_upload: bool,
    /// True if it changes something, and only once for each Idempotency-Key.
    pub(crate) takes_key: bool,
    /// The names in its path, in order.
    pub(crate) path_parameters: Vec<String>,
    /// The parameters in its path, its query and its headers.
    pub(crate) parameters: Vec<Parameter>,
}

/// A parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) is_in_query: bool,
    /// Words for its values, such as "a whole number from 1 to 200".
    pub(crate) right: String,
    /// True if it may be repeated.
    pub(crate) is_list: bool,
    pub(crate) is_time: bool,
}

#[derive(Debug)]
struct PathOperations {
    /// `None` stands for any text.
    segments: Vec<Option<String>>,
    operations: BTreeMap<String, Operation>,
}

/// Every operation.
#[derive(Debug)]
pub(crate) struct Operations {
    paths: Vec<PathOperations>,
}

impl Operations {
    /// Reads the operations from the description.
    pub(crate) fn described_by(document: &Value) -> Self {
        let (described, schemas) = (document["paths"].as_object(), &document["components"]["schemas"]);
        let mut paths: Vec<PathOperations> =
            described.into_iter().flatten().map(|(path, item)| path_operations(path, item, schemas)).collect();
        // A path with a fixed name comes before one with a parameter in its place.
        paths.sort_by_key(|path| path.segments.iter().map(Option::is_none).collect::<Vec<bool>>());
        Self { paths }
    }

    /// Returns the operation of a request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        let method = if *method == Method::HEAD { Method::GET.as_str() } else { method.as_str() };
        self.at(path)?.operations.get(method)
    }

    /// Returns the methods of a path.
    pub(crate) fn methods_at(&self, path: &str) -> Vec<&str> {
        self.at(path).into_iter().flat_map(|known| known.operations.keys()).map(String::as_str).collect()
    }

    fn at(&self, path: &str) -> Option<&PathOperations> {
        let segments: Vec<&str> = path.split('/').collect();
        self.paths.iter().find(|path| {
            path.segments.len() == segments.len()
                && path.segments.iter().zip(&segments).all(|(own, asked)| match own {
                    Some(own) => own == asked,
                    None => !asked.is_empty(),
                })
        })
    }
}

fn name_in(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn path_operations(path: &str, item: &Value, schemas: &Value) -> PathOperations {
    let operation = |(method, described): (&String, &Value)| {
        let method = method.to_uppercase();
        let operation = operation(&method, path, described, schemas);
        (method, operation)
    };
    PathOperations {
        segments: path.split('/').map(|segment| name_in(segment).is_none().then(|| segment.to_owned())).collect(),
        operations: item.as_object().into_iter().flatten().map(operation).collect(),
    }
}

fn operation(method: &str, path: &str, described: &Value, schemas: &Value) -> Operation {
    let security = described["security"].as_array().map(Vec::as_slice).unwrap_or_default();
    let takes_credentials = !security.is_empty();
    let content = described["requestBody"]["content"].as_object();
    let parameter = |parameter: &Value| Parameter {
        name: parameter["name"].as_str().unwrap_or_default().to_owned(),
        is_in_query: parameter["in"] == "query",
        right: wording::of_parameter(&parameter["schema"], schemas),
        is_list: is_array(&parameter["schema"]["type"]),
        is_time: parameter["schema"]["format"] == "date-time",
    };
    Operation {
        takes_credentials,
        required: required(security),
        is_page: described["x-page"] == true,
        takes_upload: content.is_some_and(|types| types.keys().any(|name| name.starts_with("multipart/"))),
        // Signing in takes no credentials, and changes of how a person signs in take a password or
        // a code. Their responses contain secrets, which are never kept.
        takes_key: takes_credentials && method != "GET" && !path.starts_with("/api/v1/auth/me/"),
        path_parameters: path.split('/').filter_map(name_in).map(str::to_owned).collect(),
        parameters: described["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
    }
}

/// Returns the one declaration that all ways to sign in share.
fn required(schemes: &[Value]) -> Option<RequiredPermission> {
    let mut scopes = schemes.iter().flat_map(|scheme| scheme.as_object().into_iter().flat_map(Map::values));
    let first = scopes.next()?;
    let [scope] = first.as_array()?.as_slice() else {
        return None;
    };
    if scopes.all(|other| other == first) { RequiredPermission::named(scope.as_str()?) } else { None }
}

/// Returns true for the type of a list. A schema has one type, or several if null is one of them.
fn is_array(kind: &Value) -> bool {
    kind == "array" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "array"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_is_found_by_its_address() {
        let caller = json!([{ "Caller": [] }]);
        let operations = Operations::described_by(&json!({ "paths": {
            "/jobs/{id}": { "get": { "security": caller }, "delete": { "security": caller } },
            "/jobs/bulk": { "post": { "security": caller } },
            "/jobs/{id}/effects/{effect_id}": { "get": { "parameters": [{ "in": "query", "name": "limit" }] } },
        } }));
        let found = |method: Method, path| operations.find(&method, path);
        assert_eq!(found(Method::GET, "/jobs/1").unwrap().path_parameters, ["id"]);
        assert!(found(Method::HEAD, "/jobs/1").is_some_and(|operation| !operation.takes_key));
        assert!(found(Method::DELETE, "/jobs/1").is_some_and(|operation| operation.takes_key));
        assert!(found(Method::POST, "/jobs/bulk").is_some_and(|operation| operation.path_parameters.is_empty()));
        let effect = found(Method::GET, "/jobs/1/effects/2").unwrap();
        assert_eq!(effect.path_parameters, ["id", "effect_id"]);
        assert_eq!(effect.parameters[0].name, "limit");
        for (method, path) in
            [(Method::POST, "/jobs/1"), (Method::GET, "/jobs"), (Method::GET, "/jobs/"), (Method::GET, "")]
        {
            assert!(found(method.clone(), path).is_none(), "{method} {path}");
        }
        assert_eq!(operations.methods_at("/jobs/1"), ["DELETE", "GET"]);
        assert_eq!(operations.methods_at("/jobs/bulk"), ["POST"], "not as any text");
    }

    #[test]
    fn what_an_operation_needs_is_read_from_its_security_and_never_guessed() {
        let table = [
            (json!([{ "bearer": ["jobs:read"] }, { "session": ["jobs:read"] }]), Some("jobs:read")),
            (json!([{ "bearer": [] }, { "session": [] }]), None),
            (json!([{ "bearer": ["jobs:read"] }, { "session": [] }]), None),
            (json!([{ "bearer": ["jobs:read"] }, { "session": ["jobs:write"] }]), None),
            (json!([{ "bearer": ["jobs:read", "jobs:write"] }]), None),
            (json!([{ "bearer": ["jobs:sing"] }]), None),
            (json!([{}]), None),
        ];
        for (security, needed) in table {
            let document = json!({ "paths": { "/jobs": { "get": { "security": security } } } });
            let operations = Operations::described_by(&document);
            let operation = operations.find(&Method::GET, "/jobs").unwrap();
            assert!(operation.takes_credentials, "{security}");
            assert_eq!(operation.required, needed.map(RequiredPermission::Permission), "{security}");
        }
    }
}
