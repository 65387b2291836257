//! What dies, stalls or misbehaves, and what becomes of the jobs. `docs/RELIABILITY.md` has what was measured.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod clock;
mod clock_steps;
mod exam;
mod failpoints;
mod fairness;
mod kinds;
mod leader;
mod pauses;
mod poison;
mod postgres;
mod redis;
mod stop;

use std::time::Duration;

/// For whatever has to read back what became of a call: the call's own time limit, and some more.
const TWO_MINUTES: Duration = Duration::from_mins(2);
