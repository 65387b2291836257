//! The list of all kinds of job: the worker runs them, the API takes and describes them, tests check their names.

use serde_json::Value;

use crate::{
    calendar::{GenerateCalendar, WriteCaption},
    engine::{Kind, REDACTED},
    media::RenderOverlay,
    noop::Noop,
    oauth::{ExchangeOauthCode, RefreshToken},
    operations::ActOnJobs,
    posts::PublishPost,
};

/// Every kind.
pub static KINDS: &[Kind] = &[
    Kind::of::<ExchangeOauthCode>(),
    Kind::of::<RefreshToken>(),
    Kind::of::<GenerateCalendar>(),
    Kind::of::<WriteCaption>(),
    Kind::of::<RenderOverlay>(),
    Kind::of::<PublishPost>(),
    Kind::of::<ActOnJobs>(),
    Kind::of::<Noop>(),
    #[cfg(feature = "testing")]
    Kind::of::<crate::fault_probe::FaultProbe>(),
    #[cfg(feature = "testing")]
    Kind::of::<crate::fault_probe::HastyProbe>(),
];

/// The kind of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A payload as people may see it. What is to be left out of a payload whose kind is not known here cannot be known either.
#[must_use]
pub fn shown(kind: &str, args: Value) -> Value {
    match find(kind) {
        Some(kind) => kind.shown(args),
        None => Value::from(REDACTED),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_words_and_unique() {
        let names: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }

    #[test]
    fn a_kind_is_found_by_its_name() {
        assert_eq!(find("publish_post").map(|kind| kind.queue.name()), Some("posting"));
        assert!(find("nope").is_none());
    }

    #[test]
    fn a_payload_of_another_kind_is_refused() {
        let kind = find("publish_post").unwrap();
        assert!((kind.check)(serde_json::json!({ "calendar_id": "x" })).is_err());
    }
}
