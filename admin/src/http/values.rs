//! Values that can be read but not stored.

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::Value;

use crate::{ApiError, error::ErrorCode};

/// Refuses texts that cannot be stored. `name` is the field or parameter.
pub(crate) fn check_text(name: &str, text: &str, is_time: bool) -> Result<(), ApiError> {
    if text.contains('\0') {
        let detail = format!("{name}: it should be a text without NUL characters.");
        return Err(ApiError::unprocessable(ErrorCode::BadValue, detail));
    }
    // Other years are written with a sign, and UTC may be in another year than the text.
    let is_stored = |time: DateTime<Utc>| (0..=9999).contains(&time.year());
    if is_time && (text.starts_with(['+', '-']) || text.parse().is_ok_and(|time| !is_stored(time))) {
        let detail = format!("{name}: it should be a time between the years 0 and 9999.");
        return Err(ApiError::unprocessable(ErrorCode::BadValue, detail));
    }
    Ok(())
}

/// Refuses values in a JSON body that cannot be stored. `name` is the path of the value.
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

/// Returns the path of a field or an item inside the value at `path`.
pub(super) fn within(path: &str, inner: &str) -> String {
    if path.is_empty() { inner.to_owned() } else { format!("{path}.{inner}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn accepted_times_come_back_as_they_are_written(
            text in "[+-]?[0-9]{4,6}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|z|[+-][0-9]{2}:?[0-9]{2})",
            edge in prop::sample::select(vec![
                "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00Z",
            ]),
        ) {
            for text in [text.as_str(), edge] {
                let body = json!({ "at": text });
                if let Ok(time) = text.parse::<DateTime<Utc>>() && check_json("", &body).is_ok() {
                    let written = time.to_rfc3339();
                    prop_assert!(written.as_bytes()[4] == b'-' && written.parse::<DateTime<Utc>>() == Ok(time), "{}", written);
                    prop_assert!(check_text("at", text, true).is_ok());
                }
            }
        }
    }
}
