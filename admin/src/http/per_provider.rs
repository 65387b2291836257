//! Operations that exist once for each provider. The framework has one path with a parameter for
//! the provider; the description lists each provider's own.

use jobs::providers::{LIST, Purpose};
use serde_json::{Map, Value};

/// The placeholder for the provider in paths and in names of operations.
const PLACE: &str = "{provider}";

/// Writes each operation out for every provider with accounts to connect.
pub(super) fn write_out(document: &mut Value) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    let all = std::mem::take(paths);
    for (path, item) in all {
        if path.contains(PLACE) {
            paths.extend(of_each(&path, &item));
        } else {
            paths.insert(path, item);
        }
    }
}

fn of_each(path: &str, item: &Value) -> Map<String, Value> {
    let connecting = LIST.iter().filter(|listing| listing.purpose == Purpose::Connect);
    let written = connecting.filter_map(|listing| {
        let provider = listing.provider;
        let account = format!("{} {}", provider.label(), provider.account_noun());
        let said = [(PLACE, provider.name()), ("{label}", provider.label()), ("{account}", &account)];
        let put = |text: String| said.iter().fold(text, |text, (place, words)| text.replace(place, words));
        let mut item: Value = serde_json::from_str(&put(item.to_string())).ok()?;
        for (_, operation) in item.as_object_mut()? {
            if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                parameters.retain(|parameter| parameter["in"] != "path" || parameter["name"] != "provider");
            }
        }
        Some((put(path.to_owned()), item))
    });
    written.collect()
}
