//! The parameter `fields`: names, modifiers and nested fields, as in `id,instagram_business_account{id,username}`.

use serde_json::{Map, Value};

use crate::meta::error::GraphError;

/// One field that a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The fields in braces after it.
    pub(crate) nested: Option<Vec<Self>>,
}

/// Reads the parameter; modifiers like `.limit(5)` are read over.
///
/// # Errors
/// A name is empty, or braces do not match.
pub(crate) fn parse_fields(text: &str) -> Result<Vec<Field>, GraphError> {
    split(text).and_then(|parts| parts.into_iter().map(parse_field).collect()).ok_or_else(|| {
        GraphError::new(2500, format!("Syntax error \"Unexpected character or end of string\" in fields: {text}"))
    })
}

/// The object with the wanted fields; `value_of` gives a field's value, `Null` for one that is left out, `None` for an unknown one.
///
/// # Errors
/// Graph refuses names that it does not know.
pub(crate) fn project(
    node_type: &str,
    fields: &[Field],
    mut value_of: impl FnMut(&Field) -> Option<Value>,
) -> Result<Value, GraphError> {
    let mut object = Map::new();
    for field in fields {
        let name = &field.name;
        let value = value_of(field).ok_or_else(|| {
            GraphError::invalid(&format!("Tried accessing nonexisting field ({name}) on node type ({node_type})"))
        })?;
        if !value.is_null() {
            object.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(object))
}

/// Fields by their names.
pub(crate) fn named(names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| Field { name: (*name).to_owned(), nested: None }).collect()
}

fn parse_field(text: &str) -> Option<Field> {
    let text = text.trim();
    let (head, nested) = match text.find('{') {
        Some(open) => {
            let inner = text[open + 1..].strip_suffix('}')?;
            (&text[..open], Some(split(inner)?.into_iter().map(parse_field).collect::<Option<Vec<_>>>()?))
        }
        None => (text, None),
    };
    let name = head.split('.').next().unwrap_or_default().trim();
    let known_characters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (!name.is_empty() && known_characters).then(|| Field { name: name.to_owned(), nested })
}

/// Splits at the commas outside braces and parentheses.
fn split(text: &str) -> Option<Vec<&str>> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_are_read() {
        let fields = parse_fields("id, account{id,username},comments.limit(0).summary(true)").unwrap();
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["id", "account", "comments"]);
        assert_eq!(fields[1].nested, Some(named(&["id", "username"])));
    }

    #[test]
    fn malformed_fields_are_refused() {
        for text in ["id,", "a{b", "a}b", "a b", ""] {
            assert!(parse_fields(text).is_err(), "{text}");
        }
    }
}
