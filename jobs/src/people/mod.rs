//! People: who they are and how they sign in. Where they belong is in [`crate::tenants`].

pub mod access_token;
pub mod sessions;
