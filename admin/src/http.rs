//! The layers that every request passes before an operation, and every response after it.
//! [`crate::app`] puts them in order.

mod body;
pub(crate) mod cookies;
mod cors;
mod describe;
mod examples;
mod fingerprint;
pub(crate) mod form;
mod guarded;
mod gzip;
mod headers;
mod idempotency;
mod in_flight;
mod json_body;
mod limits;
mod look;
mod named;
mod openapi_31;
mod operations;
pub(crate) mod paging;
mod parameters;
mod per_provider;
mod reference;
mod schema;
mod values;
mod wording;

pub(crate) use self::{
    body::read as read_body,
    cors::share,
    describe::describe,
    guarded::{Guarded, Inner},
    gzip::{compress_pages, compressed, takes_gzip},
    headers::protect,
    idempotency::{Answer, HeldKey, once},
    in_flight::{InFlight, count},
    json_body::Body,
    limits::{RequestLimiter, limit},
    look::look,
    named::Named,
    operations::Operations,
    parameters::check,
    reference::{Shared, description, redoc, swagger},
};
