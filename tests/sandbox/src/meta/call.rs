//! One parsed call to Graph.

use bytes::Bytes;
use poem::http::header;

use crate::meta::error::GraphError;
use crate::meta::fields::{Field, parse_fields};
use crate::params::Params;
use crate::picture::Picture;
use crate::provider::Incoming;

/// The supported versions: from the oldest to the newest.
const VERSIONS: std::ops::RangeInclusive<u32> = 19..=26;
const DEFAULT_VERSION: &str = "v25.0";

/// A call to Graph.
pub(crate) struct Call {
    pub(crate) method: String,
    /// The version as in the path, like `v25.0`.
    pub(crate) version: String,
    /// The parts of the path after the version.
    pub(crate) path: Vec<String>,
    pub(crate) params: Params,
    /// The uploaded or fetched picture, or the error about it.
    pub(crate) picture: Option<Result<(Picture, Bytes), GraphError>>,
    /// The start of the addresses in responses.
    pub(crate) base_url: String,
    bearer: Option<String>,
}

impl Call {
    /// Parses a request.
    pub(crate) fn new(incoming: &Incoming, params: Params) -> Self {
        let mut path: Vec<String> = incoming.segments().into_iter().map(str::to_owned).collect();
        let version = if path.first().is_some_and(|first| is_version(first)) {
            path.remove(0)
        } else {
            DEFAULT_VERSION.to_owned()
        };
        let bearer = incoming.headers.get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
            known.then(|| token.trim().to_owned())
        });
        Self {
            method: incoming.method.clone(),
            version,
            path,
            params,
            picture: None,
            base_url: incoming.base_url.clone(),
            bearer,
        }
    }

    /// Checks that the version exists. Graph takes an unknown version for a part of the path.
    pub(crate) fn check_version(&self) -> Result<(), GraphError> {
        let number = self.version.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
        match number.and_then(|number| number.parse().ok()) {
            Some(number) if VERSIONS.contains(&number) => Ok(()),
            _ => Err(GraphError::unknown_path(&self.version)),
        }
    }

    /// Returns the first part of the path: an id, or `me`.
    pub(crate) fn subject(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// Returns the access token, from any place where Graph accepts it.
    pub(crate) fn access_token(&self) -> Option<&str> {
        self.params.get("access_token").or(self.bearer.as_deref())
    }

    /// Returns the parameter `fields`, if it is given.
    pub(crate) fn fields(&self) -> Result<Option<Vec<Field>>, GraphError> {
        self.params.get("fields").map(parse_fields).transpose()
    }

    /// Returns a required parameter.
    pub(crate) fn required(&self, name: &str) -> Result<&str, GraphError> {
        self.params.get(name).ok_or_else(|| GraphError::invalid(&format!("The parameter {name} is required")))
    }

    /// Returns a parameter that is true or false.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, GraphError> {
        match self.params.get(name) {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(GraphError::invalid(&format!("Param {name} must be a boolean"))),
        }
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}
