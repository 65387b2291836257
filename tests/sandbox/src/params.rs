//! The parameters of a request, in every form the provider accepts: query, form, multipart or JSON
//! body.

use std::collections::BTreeMap;

use bytes::Bytes;
use poem::http::{HeaderMap, header};
use poem::web::Multipart;
use poem::{Body, FromRequest, Request, RequestBody};
use serde_json::Value;

/// Parameters by name. Those of the body override those of the query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params {
    values: BTreeMap<String, String>,
    query: Vec<(String, String)>,
    files: BTreeMap<String, Bytes>,
}

impl Params {
    /// Reads the parameters from a request. Fails if the body does not match its content type.
    pub(crate) async fn read(query: &str, headers: &HeaderMap, body: &Bytes) -> Result<Self, &'static str> {
        let query = pairs(query.as_bytes());
        let values = query.iter().cloned().collect();
        let mut params = Self { values, query, files: BTreeMap::new() };
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            _ if body.is_empty() => {}
            "application/x-www-form-urlencoded" => params.values.extend(pairs(body)),
            "application/json" => params.read_json(body)?,
            "multipart/form-data" => params.read_multipart(content_type, body).await?,
            _ => {}
        }
        Ok(params)
    }

    /// Returns the parameter with this name, if it is given and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns true if any parameter's name has this prefix.
    pub(crate) fn has_prefix(&self, prefix: &str) -> bool {
        self.values.keys().any(|name| name.starts_with(prefix))
    }

    /// Returns the parameters whose names have this prefix, by name.
    pub(crate) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let named = self.values.iter().filter(move |(name, _)| name.starts_with(prefix));
        named.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the bytes of an uploaded file.
    pub(crate) fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    /// Returns the parameters of the query, in order.
    pub(crate) fn query(&self) -> &[(String, String)] {
        &self.query
    }

    fn read_json(&mut self, body: &Bytes) -> Result<(), &'static str> {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Err("the body is not a JSON object");
        };
        for (name, value) in members {
            match value {
                Value::Null => {}
                Value::String(text) => drop(self.values.insert(name, text)),
                Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    self.values.insert(name, value.to_string());
                }
            }
        }
        Ok(())
    }

    async fn read_multipart(&mut self, content_type: &str, body: &Bytes) -> Result<(), &'static str> {
        const BROKEN: &str = "the multipart body is broken";
        let request = Request::builder().content_type(content_type).finish();
        let mut body = RequestBody::new(Body::from_bytes(body.clone()));
        let mut multipart = Multipart::from_request(&request, &mut body).await.map_err(|_| BROKEN)?;
        while let Some(field) = multipart.next_field().await.map_err(|_| BROKEN)? {
            let name = field.name().ok_or(BROKEN)?.to_owned();
            let is_file = field.file_name().is_some();
            let bytes = field.bytes().await.map_err(|_| BROKEN)?;
            if is_file {
                self.files.insert(name, bytes.into());
            } else {
                self.values.insert(name, String::from_utf8(bytes).map_err(|_| BROKEN)?);
            }
        }
        Ok(())
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}
