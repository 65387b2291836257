//! Tests of failing processes and servers, and of their effects on jobs. `docs/RELIABILITY.md` has
//! the measurements.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod clock;
mod clock_steps;
mod exam;
mod failpoints;
mod fairness;
mod keyed_requests;
mod kinds;
mod leader;
mod pauses;
mod poison;
mod postgres;
mod redis;
mod refreshes;
mod rotation;
mod stop;

use std::time::Duration;

/// The time to read back a call's outcome: the timeout of the call, and some more.
const TWO_MINUTES: Duration = Duration::from_mins(2);
