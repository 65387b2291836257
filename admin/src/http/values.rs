//! Values that can be read and cannot be stored.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{ApiError, error::ErrorCode};

/// Refuses texts that nothing can store, by the name of what holds them.
pub(crate) fn check_text(name: &str, text: &str, is_time: bool) -> Result<(), ApiError> {
    if text.contains('\0') {
        let detail = format!("{name}: it should be a text without NUL characters.");
        return Err(ApiError::unprocessable(ErrorCode::BadValue, detail));
    }
    // Other years are written with a sign.
    if is_time && text.starts_with(['+', '-']) {
        let detail = format!("{name}: it should be a time between the years 0 and 9999.");
        return Err(ApiError::unprocessable(ErrorCode::BadValue, detail));
    }
    Ok(())
}

/// Refuses what a JSON body holds that nothing can store; `name` is what holds it.
pub(crate) fn check_json(name: &str, value: &Value) -> Result<(), ApiError> {
    match value {
        Value::String(text) => check_text(name, text, text.parse::<DateTime<Utc>>().is_ok()),
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(at, item)| check_json(&within(name, &at.to_string()), item))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(field, value)| {
            check_text(&within(name, &field.replace('\0', "")), field, false)?;
            check_json(&within(name, field), value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The path of a field or an item in what stands at another path.
pub(super) fn within(path: &str, inner: &str) -> String {
    if path.is_empty() { inner.to_owned() } else { format!("{path}.{inner}") }
}
