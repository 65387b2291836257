//! Tests that tenants see only their own rows: by the catalogue, with any login, after any failure,
//! and through a pooler.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod catalogue;
mod logins;
mod pooler;
mod rows;
mod soak;
