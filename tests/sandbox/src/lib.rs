//! Stands in for Meta, `OpenAI`, Google and GitHub in tests: real HTTP, the providers' rules and errors, and faults on demand.
//!
//! The first segment of a path names a *world*: people, tokens, published posts, a clock and planned faults of its own, so that
//! tests run side by side against one process. A world comes into being when it is first named.
//!
//! Under `/{world}`: `facebook/` (the login dialog), `graph/`, `openai/`, `google/` and `github/` (signing in), and `control/` for the test itself.

mod calls;
mod clock;
mod connection;
mod control;
mod faults;
mod identity;
mod ledger;
mod meta;
mod openai;
mod operation;
mod params;
mod people;
mod picture;
mod provider;
mod server;
mod switches;
mod text;
mod tokens;
mod usage;
mod world;

pub use server::Sandbox;
