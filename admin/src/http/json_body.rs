//! JSON bodies of requests, read into what an operation takes.

use std::ops::Deref;

use poem::{Request, RequestBody};
use poem_openapi::{
    error::ParseRequestPayloadError,
    impl_apirequest_for_payload,
    payload::{Json, ParsePayload, Payload},
    registry::{MetaSchemaRef, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::{Map, Value, json};

use super::values::check_json;
use crate::{ApiError, error::ErrorCode};

/// A JSON body; where the framework refuses one it says the type that it expected, and this the field too.
pub(crate) struct Body<T>(pub(crate) T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        Json::<T>::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Json::<T>::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let Json(value) = Json::<Value>::from_request(request, body).await?;
        check_json("", &value)?;
        check_texts::<T>(&value)?;
        match T::parse_from_json(Some(value.clone())) {
            Ok(parsed) => Ok(Self(parsed)),
            Err(error) => {
                let reason = unquoted(&explained::<T>(value, error.into_message()));
                Err(ParseRequestPayloadError { reason }.into())
            }
        }
    }
}

impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

/// The framework takes numbers for texts.
fn check_texts<T: Type>(value: &Value) -> Result<(), ApiError> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    match wrong_text(&registry, &T::schema_ref(), "", value) {
        Some(name) => Err(ApiError::bad_request(ErrorCode::Malformed, format!("{name}: it should be a text."))),
        None => Ok(()),
    }
}

/// What should be a text and is something else.
fn wrong_text(registry: &Registry, schema: &MetaSchemaRef, name: &str, value: &Value) -> Option<String> {
    let schema = match schema {
        MetaSchemaRef::Inline(schema) => schema.as_ref(),
        MetaSchemaRef::Reference(known) => registry.schemas.get(known)?,
    };
    if schema.ty == "string" && !value.is_string() && !value.is_null() {
        return Some(name.to_owned());
    }
    let within = |inner: &str| if name.is_empty() { inner.to_owned() } else { format!("{name}.{inner}") };
    let in_parts = schema.all_of.iter().find_map(|part| wrong_text(registry, part, name, value));
    let in_fields = || {
        let fields = schema.properties.iter().filter_map(|(field, schema)| Some((field, schema, value.get(field)?)));
        fields.into_iter().find_map(|(field, schema, value)| wrong_text(registry, schema, &within(field), value))
    };
    let in_items = || {
        let (items, values) = (schema.items.as_ref()?, value.as_array()?);
        values.iter().enumerate().find_map(|(at, value)| wrong_text(registry, items, &within(&at.to_string()), value))
    };
    in_parts.or_else(in_fields).or_else(in_items)
}

/// The framework repeats what it did not expect, which may be a password in the wrong field.
fn unquoted(reason: &str) -> String {
    reason.split_once(", found ").map_or_else(|| reason.to_owned(), |(expected, _)| format!("{expected}."))
}

/// Why a body is refused, with the name of the field if the reason has none.
fn explained<T: ParseFromJSON>(body: Value, reason: String) -> String {
    let Value::Object(fields) = body else {
        return reason;
    };
    if reason.contains("field `") {
        return reason;
    }
    match culprit::<T>(&fields, &reason) {
        Some(name) => format!("{name}: {reason}"),
        None => reason,
    }
}

/// The field for which a body is refused. Fields are read in their order up to the first that will not do: nonsense in a later
/// one changes nothing, in this one or an earlier one it makes for another reason.
fn culprit<T: ParseFromJSON>(body: &Map<String, Value>, reason: &str) -> Option<&'static str> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let schema = registry.schemas.get(T::name().as_ref())?;
    let is_read = |name: &str| {
        let mut changed = body.clone();
        changed.insert(name.to_owned(), json!(["nonsense"]));
        let refused = T::parse_from_json(Some(Value::Object(changed)));
        refused.err().is_none_or(|error| error.message() != reason)
    };
    schema.properties.iter().rev().map(|(name, _)| *name).find(|name| is_read(name))
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;

    use super::*;

    #[derive(Debug, Object)]
    struct Inner {
        when: i32,
    }

    #[derive(Debug, Object)]
    #[oai(deny_unknown_fields)]
    struct Outer {
        name: String,
        #[oai(validator(max_length = 3))]
        email: String,
        anything: Value,
        count: Option<i32>,
        inner: Option<Inner>,
        many: Option<Vec<Inner>>,
    }

    #[test]
    fn what_is_wrong_with_a_body_names_the_field() {
        for (changed, value) in [
            ("name", json!({ "first": "x" })),
            ("name", Value::Null),
            ("email", Value::Null),
            ("email", json!([])),
            ("email", json!("too long")),
            ("count", json!("many")),
            ("count", json!(1.5)),
            ("inner", json!({ "when": "soon" })),
            ("inner", json!({})),
            ("many", json!([{ "when": 1 }, { "when": null }])),
            ("other", json!(1)),
        ] {
            let mut body = json!({ "name": "x", "email": "y", "anything": {}, "count": 1, "inner": { "when": 1 } });
            body[changed] = value;
            let error = Outer::parse_from_json(Some(body.clone())).unwrap_err();
            let reason = explained::<Outer>(body.clone(), error.into_message());
            let named: Vec<&str> = ["name", "email", "anything", "count", "inner", "many", "other"]
                .into_iter()
                .filter(|name| reason.starts_with(&format!("{name}:")) || reason.contains(&format!("`{name}`")))
                .collect();
            assert_eq!(named, [changed], "{body}: {reason}");
        }
    }

    #[test]
    fn a_number_is_no_text() {
        let refusal = |body: Value| check_texts::<Outer>(&body).err().map(|refused| format!("{refused:?}"));
        assert!(refusal(json!({ "name": 1 })).is_some_and(|refused| refused.contains("\"name: ")));
        for body in [json!({ "name": "1", "anything": 1, "count": 1 }), json!({ "name": null }), json!([])] {
            assert_eq!(refusal(body), None);
        }
    }

    #[test]
    fn what_is_no_object_is_refused_as_it_is() {
        assert_eq!(explained::<Outer>(json!([]), "no".to_owned()), "no");
    }
}
