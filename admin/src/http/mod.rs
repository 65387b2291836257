//! What every request passes on its way to an operation, and every answer on its way back; [`crate::app`] puts it in order.

mod body;
mod config;
mod cors;
mod describe;
mod examples;
mod headers;
mod idempotency;
mod limits;
mod openapi_31;
mod operations;
mod parameters;
mod reference;
mod values;

pub use self::config::{HttpConfig, Origins, Rate, RateConfig};
pub(crate) use self::{
    body::read as read_body,
    cors::share,
    describe::describe,
    headers::protect,
    idempotency::once,
    limits::{Limits, limit},
    operations::Operations,
    parameters::check,
    reference::{description, redoc, swagger},
    values::check_json,
};
