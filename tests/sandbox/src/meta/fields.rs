//! The parameter `fields`: names, modifiers and nested fields, as in
//! `id,instagram_business_account{id,username}`.

use serde_json::{Map, Value, json};

use crate::meta::error::GraphError;

/// One requested field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// The fields in braces after it.
    pub(crate) nested: Option<Vec<Self>>,
}

/// Parses the parameter; modifiers like `.limit(5)` are ignored.
pub(crate) fn parse_fields(text: &str) -> Result<Vec<Field>, GraphError> {
    split(text).and_then(|parts| parts.into_iter().map(parse_field).collect()).ok_or_else(|| {
        GraphError::new(2500, format!("Syntax error \"Unexpected character or end of string\" in fields: {text}"))
    })
}

/// Returns the object with the requested fields. `value_of` returns a field's value, `Null` for one
/// that is left out, and `None` for an unknown one, which Graph rejects.
pub(crate) fn project(
    node_type: &str,
    fields: &[Field],
    mut value_of: impl FnMut(&Field) -> Option<Value>,
) -> Result<Value, GraphError> {
    let mut object = Map::new();
    for field in fields {
        let name = &field.name;
        let value = value_of(field).ok_or_else(|| unknown_field(node_type, name))?;
        if !value.is_null() {
            object.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(object))
}

/// Checks that a node has the requested fields. Graph rejects unknown names. `nodes` lists the
/// fields of those that are nodes themselves.
pub(crate) fn check(
    node_type: &str,
    fields: &[Field],
    known: &[&str],
    nodes: &[(&str, &[&str])],
) -> Result<(), GraphError> {
    for field in fields {
        if !known.contains(&field.name.as_str()) {
            return Err(unknown_field(node_type, &field.name));
        }
        let node = nodes.iter().find(|(name, _)| *name == field.name);
        if let (Some(nested), Some((name, known))) = (&field.nested, node) {
            check(name, nested, known, nodes)?;
        }
    }
    Ok(())
}

/// Returns the requested fields of a complete node. Null fields are left out, unknown ones are
/// ignored.
///
/// The fields in braces after a name are taken from the object of that name, or from each object in
/// its `data`.
pub(crate) fn select(node: &Value, fields: &[Field]) -> Value {
    let mut object = Map::new();
    for field in fields {
        let value = match (node.get(&field.name), &field.nested) {
            (None | Some(Value::Null), _) => continue,
            (Some(value), None) => without_nulls(value),
            (Some(value), Some(nested)) => match value.get("data").and_then(Value::as_array) {
                Some(items) => json!({"data": items.iter().map(|item| select(item, nested)).collect::<Vec<_>>()}),
                None => select(value, nested),
            },
        };
        object.insert(field.name.clone(), value);
    }
    Value::Object(object)
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.iter().filter(|(_, value)| !value.is_null());
            present.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn unknown_field(node_type: &str, name: &str) -> GraphError {
    GraphError::invalid(&format!("Tried accessing nonexisting field ({name}) on node type ({node_type})"))
}

/// Returns fields with these names.
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
    fn wanted_fields_are_selected_in_depth() {
        let node =
            json!({"id": "1", "from": {"id": "2", "name": "A"}, "no": null, "list": {"data": [{"a": 1, "b": null}]}});
        let select = |text| select(&node, &parse_fields(text).unwrap());
        assert_eq!(
            select("id,no,from{name},list{a}"),
            json!({"id": "1", "from": {"name": "A"}, "list": {"data": [{"a": 1}]}})
        );
        assert_eq!(select("from,list"), json!({"from": {"id": "2", "name": "A"}, "list": {"data": [{"a": 1}]}}));
        let known = ["id", "from"];
        let check = |text| check("Post", &parse_fields(text).unwrap(), &known, &[("from", &["id", "name"])]);
        assert!(check("id,from{id,name}").is_ok());
        assert!(check("from{age}").is_err() && check("age").is_err());
    }

    #[test]
    fn malformed_fields_are_refused() {
        for text in ["id,", "a{b", "a}b", "a b", ""] {
            assert!(parse_fields(text).is_err(), "{text}");
        }
    }
}
