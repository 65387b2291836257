//! The list of all kinds of job: the worker runs them, the API takes and describes them, tests check their names.

use crate::{
    calendar::{GenerateCalendar, WriteCaption},
    engine::Kind,
    media::RenderOverlay,
    noop::Noop,
    oauth::{ExchangeOauthCode, RefreshToken},
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
    Kind::of::<Noop>(),
];

/// The kind of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
