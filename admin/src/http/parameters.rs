//! Parameters in addresses: unknown ones are refused, and wrong ones named.

use std::{collections::BTreeSet, sync::Arc};

use poem::{
    Endpoint, IntoResponse as _, Request, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::error::{ParseParamError, ParsePathError};
use url::form_urlencoded;

use super::{
    operations::{Operation, Operations, Parameter},
    values::check_text,
};
use crate::{
    ApiError,
    error::{self, ErrorCode},
};

/// Calls the operation unless the query has unknown parameters. Turns refusals of the framework
/// into problems.
pub(crate) async fn check<E: Endpoint>(
    endpoint: E,
    request: Request,
    operations: Arc<Operations>,
) -> poem::Result<Response> {
    let path = request.uri().path().to_owned();
    let operation = operations.find(request.method(), &path);
    if let Some(operation) = operation
        && let Err(refused) = check_query(operation, request.uri().query().unwrap_or_default())
    {
        return Ok(refused.into_response());
    }
    let mut response = match endpoint.call(request).await {
        Ok(response) => response.into_response(),
        Err(error) => match operation.and_then(|operation| refused_value(operation, &error)) {
            Some(refused) => refused.into_response(),
            None => error::from_framework(error),
        },
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let methods = operations.methods_at(&path).join(", ");
        if let Ok(methods) = HeaderValue::from_str(&methods) {
            response.headers_mut().insert(header::ALLOW, methods);
        }
    }
    Ok(response)
}

/// Returns the refusal of a parameter's value, in words for that parameter. The framework's reason
/// names types of its own.
fn refused_value(operation: &Operation, error: &poem::Error) -> Option<ApiError> {
    let (name, reason) = if let Some(wrong) = error.downcast_ref::<ParsePathError>() {
        // The framework numbers what stands in a path.
        let number = wrong.name.strip_prefix("param").and_then(|number| number.parse::<usize>().ok());
        let name = number.and_then(|number| operation.path_parameters.get(number)).map_or(wrong.name, String::as_str);
        (name, &wrong.reason)
    } else {
        let wrong = error.downcast_ref::<ParseParamError>()?;
        (wrong.name, &wrong.reason)
    };
    let parameter = operation.parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name));
    let right = parameter.map_or("another one: see /docs", |parameter| &parameter.right);
    let detail = if reason.ends_with("expects an input value.") {
        format!("{name}: this parameter is required; it should be {right}.")
    } else {
        format!("{name}: it should be {right}.")
    };
    Some(ApiError::bad_request(ErrorCode::Malformed, detail))
}

/// Checks a query, as a mistyped filter would match everything. Browsers' and monitors' addresses
/// may have parameters that others add.
fn check_query(operation: &Operation, query: &str) -> Result<(), ApiError> {
    if !operation.takes_credentials || operation.is_page {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let known = operation.parameters.iter().filter(|parameter| parameter.is_in_query);
        let Some(parameter) = known.clone().find(|parameter| parameter.name == name) else {
            return Err(ApiError::bad_request(ErrorCode::UnknownParameter, unknown(&name, known)));
        };
        if !seen.insert(name.clone()) && !parameter.is_list {
            let detail = format!("{name}: say it once.");
            return Err(ApiError::bad_request(ErrorCode::RepeatedParameter, detail));
        }
        check_text(&name, &value, parameter.is_time)?;
    }
    Ok(())
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a Parameter>) -> String {
    let known: Vec<&str> = known.map(|parameter| parameter.name.as_str()).collect();
    if known.is_empty() {
        format!("{name}: this address takes no parameters behind a question mark.")
    } else {
        format!("{name}: there is no such parameter here. There are {}.", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> Option<String> {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            is_in_query: true,
            right: "something".to_owned(),
            is_list: name == "ids",
            is_time: name == "since",
        };
        let operation = Operation {
            takes_credentials: true,
            required: None,
            is_page: false,
            takes_upload: false,
            takes_key: false,
            path_parameters: Vec::new(),
            parameters: ["limit", "since", "ids"].map(parameter).into(),
        };
        check_query(&operation, query).err().map(|refused| format!("{refused:?}"))
    }

    #[test]
    fn what_is_wrong_in_a_query_is_named() {
        for query in ["", "limit=1", "ids=1&ids=2", "since=2026-01-01T00:00:00Z", "limit=nonsense"] {
            assert_eq!(refusal(query), None, "{query}");
        }
        for (query, code, name) in [
            ("limt=1", "unknown_parameter", "limt"),
            ("limit=1&LIMIT=2", "unknown_parameter", "LIMIT"),
            ("limit=1&limit=2", "repeated_parameter", "limit"),
            ("limit=%00", "bad_value", "limit"),
            ("since=%2B12026-01-01T00:00:00Z", "bad_value", "since"),
        ] {
            let refused = refusal(query).unwrap();
            assert!(refused.contains(code) && refused.contains(&format!("\"{name}:")), "{query}: {refused}");
        }
    }
}
