//! Checks JSON bodies against the schemas that describe them. A refusal names the field and says
//! what is right.

use std::collections::HashSet;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use serde_json::{Map, Value};

use super::{values::within, wording};
use crate::{ApiError, error::ErrorCode};

/// Refuses a body that its described schema does not allow. Writes whole numbers without a
/// fraction: to a schema, `2.0` is an integer too.
pub(super) fn check_body<T: Type>(body: &mut Value) -> Result<(), ApiError> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    Schemas(&registry).check(&T::schema_ref(), "", body)
}

fn malformed(detail: String) -> ApiError {
    ApiError::bad_request(ErrorCode::Malformed, detail)
}

/// Turns `2.0` into `2`.
fn write_whole(value: &mut Value) {
    let number = value.as_f64().filter(|number| value.is_f64() && number.fract() == 0.0);
    if let Some(whole) = number.and_then(|number| format!("{number:.0}").parse::<i64>().ok()) {
        *value = whole.into();
    }
}

/// The schemas that a body and its fields refer to.
struct Schemas<'a>(&'a Registry);

impl Schemas<'_> {
    /// Checks one value, and then all within it; `path` is where it stands in the body.
    fn check(&self, schema: &MetaSchemaRef, path: &str, value: &mut Value) -> Result<(), ApiError> {
        let schema = match schema {
            MetaSchemaRef::Inline(schema) => schema.as_ref(),
            MetaSchemaRef::Reference(name) => &self.0.schemas[name],
        };
        for part in &schema.all_of {
            self.check(part, path, value)?;
        }
        if schema.ty == "integer" {
            write_whole(value);
        }
        if let Some(expected) = wording::expected(schema, value) {
            let name = if path.is_empty() { "The body" } else { path };
            return Err(malformed(format!("{name}: it should be {expected}.")));
        }
        if let Some(expected) = value.as_str().and_then(|text| wording::expected_name(schema, text)) {
            return Err(ApiError::unprocessable(ErrorCode::BadName, format!("{path}: it should be {expected}.")));
        }
        match value {
            Value::Object(fields) if schema.ty == "object" => self.check_fields(schema, path, fields),
            Value::Array(items) => self.check_items(schema, path, items),
            Value::Object(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => Ok(()),
        }
    }

    fn check_fields(&self, schema: &MetaSchema, path: &str, fields: &mut Map<String, Value>) -> Result<(), ApiError> {
        let known: Vec<&str> = schema.properties.iter().map(|(name, _)| *name).collect();
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            return Err(malformed(format!("{}: there is no such field here. There are {known}.", within(path, name))));
        }
        for (name, schema_of_field) in &schema.properties {
            let path = within(path, name);
            let is_required = schema.required.contains(name);
            match fields.get_mut(*name) {
                None if is_required => return Err(malformed(format!("{path}: this field is required."))),
                None => {}
                // A field that is not required may also be null.
                Some(Value::Null) if !is_required => {}
                Some(value) => self.check(schema_of_field, &path, value)?,
            }
        }
        Ok(())
    }

    fn check_items(&self, schema: &MetaSchema, path: &str, items: &mut [Value]) -> Result<(), ApiError> {
        let mut seen = HashSet::new();
        for (at, item) in items.iter_mut().enumerate() {
            let path = within(path, &at.to_string());
            if let Some(schema_of_item) = &schema.items {
                self.check(schema_of_item, &path, item)?;
            }
            if schema.unique_items == Some(true) && !seen.insert(wording::identity(item)) {
                return Err(malformed(format!("{path}: this is in the list already.")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use poem_openapi::{Enum, Object};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Enum)]
    #[oai(rename_all = "snake_case")]
    enum Size {
        Small,
        Large,
    }

    #[derive(Debug, Object)]
    struct Guest {
        /// The size of the pizza.
        size: Option<Size>,
        #[oai(validator(pattern = "^[^@\\s\\u0085\\uFEFF]+@[^@\\s\\u0085\\uFEFF]+$"))]
        email: Option<String>,
    }

    #[derive(Debug, Object)]
    struct Order {
        #[oai(validator(min_length = 1, max_length = 3))]
        name: String,
        anything: Value,
        size: Option<Size>,
        #[oai(validator(minimum(value = "1"), maximum(value = "30")))]
        copies: Option<i32>,
        tables: Option<u8>,
        eaten: Option<bool>,
        at: Option<DateTime<Utc>>,
        #[oai(validator(pattern = "^[0-9]{4}-[0-9]{2}$"))]
        month: Option<String>,
        #[oai(validator(pattern = "^(https://[^\\s]+)?$"))]
        url: Option<String>,
        #[oai(validator(min_items = 1, max_items = 2, unique_items))]
        ids: Option<Vec<Uuid>>,
        guests: Option<Vec<Guest>>,
        host: Option<Guest>,
    }

    fn order(field: &str, value: Value) -> Value {
        let mut body = json!({ "name": "x", "anything": {} });
        body[field] = value;
        body
    }

    fn refusal(body: &Value) -> Option<String> {
        let mut registry = Registry::new();
        Order::register(&mut registry);
        let refused = Schemas(&registry).check(&Order::schema_ref(), "", &mut body.clone()).err();
        refused.map(|error| error.detail().to_owned())
    }

    #[test]
    fn allowed_values_are_accepted() {
        let id = Uuid::now_v7();
        for (field, value) in [
            ("name", json!("äöü")),
            ("anything", Value::Null),
            ("anything", json!([{ "a": 1 }])),
            ("size", json!("small")),
            ("size", Value::Null),
            ("copies", json!(1)),
            ("copies", json!(30)),
            ("copies", json!(30.0)),
            ("copies", json!(3e1)),
            ("tables", json!(255)),
            ("eaten", json!(false)),
            ("at", json!("2026-11-26T12:00:00+01:00")),
            ("month", json!("2026-12")),
            ("url", json!("")),
            ("url", json!("https://example.com/a.jpg")),
            ("ids", json!([id])),
            ("guests", json!([])),
            ("host", json!({ "size": "large", "email": "ada@example.com" })),
        ] {
            assert_eq!(refusal(&order(field, value.clone())), None, "{field}: {value}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_says_what_is_right() {
        let id = Uuid::now_v7();
        let upper = id.to_string().to_uppercase();
        for (field, value, detail) in [
            ("name", json!(1), "name: it should be a text of 1 to 3 characters."),
            ("name", Value::Null, "name: it should be a text of 1 to 3 characters."),
            ("name", json!(""), "name: it should be a text of 1 to 3 characters."),
            ("name", json!("äöüß"), "name: it should be a text of 1 to 3 characters."),
            ("size", json!("huge"), "size: it should be one of small, large."),
            ("copies", json!("many"), "copies: it should be a whole number from 1 to 30."),
            ("copies", json!(1.5), "copies: it should be a whole number from 1 to 30."),
            ("copies", json!(0), "copies: it should be a whole number from 1 to 30."),
            ("copies", json!(31.0), "copies: it should be a whole number from 1 to 30."),
            ("copies", json!(1e300), "copies: it should be a whole number from 1 to 30."),
            ("copies", json!(31), "copies: it should be a whole number from 1 to 30."),
            ("tables", json!(256), "tables: it should be a whole number from 0 to 255."),
            ("tables", json!(u64::MAX), "tables: it should be a whole number from 0 to 255."),
            ("eaten", json!("yes"), "eaten: it should be true or false."),
            ("at", json!("soon"), "at: it should be a time such as 2026-11-26T12:00:00Z."),
            ("month", json!("12/2026"), "month: it should be a month such as 2026-12."),
            ("url", json!("http://a.example"), "url: it should be an address that starts with https://."),
            ("ids", json!([]), "ids: it should be a list of 1 to 2 items."),
            ("ids", json!([id, id, id]), "ids: it should be a list of 1 to 2 items."),
            ("ids", json!("x"), "ids: it should be a list of 1 to 2 items."),
            ("ids", json!([id, upper]), "ids.1: this is in the list already."),
            ("ids", json!(["x"]), "ids.0: it should be a UUID such as 0197c1de-86a2-7c33-9a3b-2f1d6c0e5b14."),
            ("guests", json!([{}, 1]), "guests.1: it should be an object."),
            ("host", json!({ "size": 1 }), "host.size: it should be one of small, large."),
            ("host", json!({ "email": "ada" }), "host.email: it should be an email address such as ada@example.com."),
            ("host", json!({ "mail": "" }), "host.mail: there is no such field here. There are size, email."),
        ] {
            assert_eq!(refusal(&order(field, value.clone())).as_deref(), Some(detail), "{field}: {value}");
        }
    }

    #[test]
    fn whole_numbers_are_read_without_their_fraction() {
        let mut body = order("copies", json!(30.0));
        body["anything"] = json!({ "copies": 30.0 });
        check_body::<Order>(&mut body).unwrap();
        assert_eq!(body.to_string(), r#"{"anything":{"copies":30.0},"copies":30,"name":"x"}"#);
    }

    #[test]
    fn required_fields_and_the_body_itself_are_checked() {
        assert_eq!(refusal(&json!({ "name": "x" })).unwrap(), "anything: this field is required.");
        assert_eq!(refusal(&json!([])).unwrap(), "The body: it should be an object.");
    }
}
