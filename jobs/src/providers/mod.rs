//! Thin typed clients of the services outside.

pub mod ai;
pub mod http;
pub mod meta;
mod redact;
