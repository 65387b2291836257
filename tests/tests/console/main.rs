//! The console in a real browser: each page in both schemes and sizes, by keyboard, and without
//! JavaScript.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod board;
mod brand;
mod browser;
mod budgets;
mod controls;
mod journeys;
mod keyboard;
mod live;
mod million;
mod operators;
mod pages;
mod scripts;
mod search;
mod service_keys;
mod stage;
mod stats;
mod types;
mod visits;
mod without_scripts;
