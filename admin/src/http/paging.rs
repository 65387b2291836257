//! Pagination: a limit, and an opaque cursor to continue from.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike as _, Utc};
use poem_openapi::{
    param::Query,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{ApiError, error::ErrorCode};

/// The most items in a page.
pub(crate) const MAX_LIMIT: i64 = 200;

/// The number of items in a page by default.
pub(crate) const DEFAULT_LIMIT: i64 = 50;

/// A place in a list that is ordered by time and id, newest first.
pub(crate) type Cursor = (DateTime<Utc>, Uuid);

/// A place in a list, as a cursor has it.
pub(crate) trait Place: Sized {
    fn to_bytes(&self) -> Vec<u8>;

    fn from_bytes(bytes: Vec<u8>) -> Option<Self>;
}

impl Place for Cursor {
    fn to_bytes(&self) -> Vec<u8> {
        let (time, id) = self;
        [time.timestamp_micros().to_be_bytes().as_slice(), id.as_bytes()].concat()
    }

    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let bytes: [u8; 24] = bytes.try_into().ok()?;
        let (time, id) = bytes.split_at(8);
        let time = DateTime::from_timestamp_micros(i64::from_be_bytes(time.try_into().ok()?))?;
        // Nothing that we store is from another year.
        if !(0..=9999).contains(&time.year()) {
            return None;
        }
        Some((time, Uuid::from_slice(id).ok()?))
    }
}

/// A place in a list that is ordered by name.
impl Place for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        Self::from_utf8(bytes).ok().filter(|name| !name.contains('\0'))
    }
}

/// The part of a list that a request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paging<P = Cursor> {
    pub(crate) after: Option<P>,
    pub(crate) limit: i64,
}

impl<P: Place> Paging<P> {
    /// Returns the number of rows to read: one more than a page shows, to know if there is a next
    /// page.
    pub(crate) fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// Reads the parameters of a list: a `next` of an earlier page, and a limit.
    pub(crate) fn read(after: &Query<Option<String>>, limit: &Query<Option<i64>>) -> Result<Self, ApiError> {
        let limit = limit.0.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(ApiError::unprocessable(
                ErrorCode::BadLimit,
                format!("limit: it should be a whole number from 1 to {MAX_LIMIT}."),
            ));
        }
        let after = match after.0.as_deref() {
            Some(after) => Some(decode(after).ok_or_else(|| {
                ApiError::unprocessable(ErrorCode::BadAfter, "after: it should be the next of a page, unchanged.")
            })?),
            None => None,
        };
        Ok(Self { after, limit })
    }

    /// Returns the start of the next page, if there is one, and removes the extra row.
    pub(crate) fn next<T>(&self, rows: &mut Vec<T>, cursor: impl Fn(&T) -> P) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return None;
        }
        rows.truncate(limit);
        rows.last().map(|last| encode(&cursor(last)))
    }
}

/// Returns a cursor as clients get it.
pub(crate) fn encode(place: &impl Place) -> String {
    URL_SAFE_NO_PAD.encode(place.to_bytes())
}

/// Reads a cursor; `None` if it is none of ours.
pub(crate) fn decode<P: Place>(after: &str) -> Option<P> {
    P::from_bytes(URL_SAFE_NO_PAD.decode(after).ok()?)
}

/// An item of a list.
pub(crate) trait Listed: ToJSON {
    /// The name of a page in the API's description.
    const PAGE: &'static str;
    /// The page's words in the description.
    const DESCRIPTION: &'static str;
    /// The items' words in the description, if any.
    const ITEMS: Option<&'static str> = None;
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// The start of the next page; absent on the last page.
    pub(crate) next: Option<String>,
}

impl<T: Listed> Type for Page<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::PAGE.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(T::PAGE.to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(T::PAGE.to_owned(), |registry| {
            Vec::<T>::register(registry);
            let described = |words| MetaSchema { description: words, ..MetaSchema::ANY };
            let next = described(Some("The start of the next page; absent on the last page."));
            MetaSchema {
                title: Some(T::PAGE.to_owned()),
                description: Some(T::DESCRIPTION),
                required: vec!["items"],
                properties: vec![
                    ("items", Vec::<T>::schema_ref().merge(described(T::ITEMS))),
                    ("next", Option::<String>::schema_ref().merge(next)),
                ],
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<T: Listed> ToJSON for Page<T> {
    fn to_json(&self) -> Option<Value> {
        let fields = [("items", self.items.to_json()), ("next", self.next.to_json())];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Some(Value::Object(fields.collect::<Map<_, _>>()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(after: Option<&str>, limit: Option<i64>) -> Result<Paging, ApiError> {
        Paging::read(&Query(after.map(str::to_owned)), &Query(limit))
    }

    #[test]
    fn a_place_comes_back_as_it_was() {
        let place = (DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(), Uuid::now_v7());
        let next = Paging { after: None, limit: 1 }.next(&mut vec![place, place], |place| *place);
        assert_eq!(read(next.as_deref(), None).unwrap().after, Some(place));
    }

    #[test]
    fn a_page_with_nothing_behind_it_is_the_last() {
        let page = |count: usize| {
            let mut rows = vec![(DateTime::UNIX_EPOCH, Uuid::nil()); count];
            let next = Paging { after: None, limit: 50 }.next(&mut rows, |place| *place);
            (rows.len(), next.is_some())
        };
        assert_eq!([page(49), page(50), page(51)], [(49, false), (50, false), (50, true)]);
    }

    proptest! {
        #[test]
        fn any_place_is_read_or_refused(words in "[A-Za-z0-9_=-]{0,40}", bytes in any::<[u8; 24]>(), name in "[^\0]{0,20}") {
            let _ = (decode::<Cursor>(&words), decode::<String>(&words));
            prop_assert_eq!(decode(&encode(&name)), Some(name));
            if let Some(place) = decode::<Cursor>(&URL_SAFE_NO_PAD.encode(bytes)) {
                prop_assert_eq!(decode(&encode(&place)), Some(place));
                prop_assert!((0..=9999).contains(&place.0.year()));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in ["", "x", "!!!!", "AAAA"] {
            assert!(read(Some(nonsense), None).is_err(), "{nonsense}");
        }
        let limit = |limit| read(None, limit).map(|paging| paging.limit);
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err());
        assert_eq!(limit(None).unwrap(), DEFAULT_LIMIT);
    }
}
