//! The console in a real browser: each page in both schemes and sizes, by keyboard, and without
//! JavaScript.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod board;
mod browser;
mod budgets;
mod controls;
mod keyboard;
mod million;
mod pages;
mod scripts;
mod stage;
mod stats;
mod types;
mod without_scripts;
