//! The layers that every request passes before an operation, and every response after it.
//! [`crate::app`] puts them in order.

mod body;
mod cors;
mod describe;
mod examples;
mod headers;
mod idempotency;
mod json_body;
mod limits;
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
    headers::protect,
    idempotency::{Answer, HeldKey, once},
    json_body::Body,
    limits::{RequestLimiter, limit},
    operations::Operations,
    parameters::check,
    reference::{description, redoc, swagger},
};
