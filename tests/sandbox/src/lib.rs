//! The sandbox stands in for Meta, `OpenAI`, Publer, Google and GitHub in tests: real HTTP, the
//! providers' rules and errors, and planned faults.
//!
//! The first segment of a path names a *world*. Each world has its own people, tokens, published
//! posts, clock and planned faults, so that tests run in parallel against one process. A world is
//! created when it is first named.
//!
//! The paths under `/{world}` are `facebook/` (the login dialog), `graph/`, `openai/`, `google/`
//! and `github/` (signing in), `publer/`, `drive/` (a drive that only tests know), and `control/`
//! for the test itself.

mod calls;
mod clock;
mod connection;
mod control;
mod drive;
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
mod publer;
mod server;
mod switches;
mod text;
mod tokens;
mod usage;
mod world;

pub use server::Sandbox;
