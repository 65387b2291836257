//! Tenants see their own rows and nothing else: by the catalogue, as any login, whatever breaks, and through a pooler.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod catalogue;
mod logins;
mod pooler;
mod rows;
mod soak;
