//! Names in JSON bodies.

use std::borrow::Cow;

use jobs::name::Name;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// The format of names in schemas.
pub(super) const FORMAT: &str = "name";

/// A name of `LEAST` to `MOST` characters.
#[derive(Debug, Clone)]
pub(crate) struct Named<const LEAST: usize, const MOST: usize>(pub(crate) Name);

impl<const LEAST: usize, const MOST: usize> Type for Named<LEAST, MOST> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(LEAST),
            max_length: Some(MOST),
            ..MetaSchema::new_with_format("string", FORMAT)
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<const LEAST: usize, const MOST: usize> ParseFromJSON for Named<LEAST, MOST> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        let text = value.as_str().ok_or_else(|| ParseError::custom("it should be a text"))?;
        Name::parse(text, LEAST..=MOST).map(Self).map_err(ParseError::custom)
    }
}

impl<const LEAST: usize, const MOST: usize> ToJSON for Named<LEAST, MOST> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}
