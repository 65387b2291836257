//! Lists: a limit and an opaque place to go on from.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::ApiError;

/// A list holds this many at most.
pub(crate) const MAX_LIMIT: i64 = 200;

/// And this many unless said otherwise.
pub(crate) const DEFAULT_LIMIT: i64 = 50;

/// A place in a list that is ordered by time and id, newest first.
pub(crate) type Place = (DateTime<Utc>, Uuid);

/// Reads the limit.
pub(crate) fn limit(limit: Option<i64>) -> Result<i64, ApiError> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::unprocessable("bad_limit", format!("limit should be 1 to {MAX_LIMIT}.")))
    }
}

/// Reads a place that an earlier page gave as `next`.
pub(crate) fn after(after: Option<&str>) -> Result<Option<Place>, ApiError> {
    let Some(after) = after else {
        return Ok(None);
    };
    let place = decode(after)
        .ok_or_else(|| ApiError::unprocessable("bad_after", "after should be what a page gave as next, unchanged."))?;
    Ok(Some(place))
}

fn decode(after: &str) -> Option<Place> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(after).ok()?.try_into().ok()?;
    let (time, id) = bytes.split_at(8);
    let time = DateTime::from_timestamp_micros(i64::from_be_bytes(time.try_into().ok()?))?;
    Some((time, Uuid::from_slice(id).ok()?))
}

/// The place behind the last of a page, if the page is full.
pub(crate) fn next(last: Option<Place>, len: usize, limit: i64) -> Option<String> {
    let (time, id) = last?;
    if i64::try_from(len).ok()? < limit {
        return None;
    }
    Some(encode((time, id)))
}

/// A place as clients get it.
pub(crate) fn encode((time, id): Place) -> String {
    let mut bytes = time.timestamp_micros().to_be_bytes().to_vec();
    bytes.extend_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was() {
        let place = (DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(), Uuid::now_v7());
        let next = next(Some(place), 50, 50).unwrap();
        assert_eq!(after(Some(&next)).unwrap(), Some(place));
    }

    #[test]
    fn a_page_that_is_not_full_is_the_last() {
        assert_eq!(next(Some((DateTime::UNIX_EPOCH, Uuid::nil())), 49, 50), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in ["", "x", "!!!!", "AAAA"] {
            assert!(after(Some(nonsense)).is_err(), "{nonsense}");
        }
        assert!(limit(Some(0)).is_err() && limit(Some(201)).is_err() && limit(None).is_ok());
    }
}
