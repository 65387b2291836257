//! The job engine: PostgreSQL is the truth, Redis the disposable fast path.
//!
//! A job's life: [`Tx::enqueue`] inserts it. [`dispatch`] promotes it when it is due and releases
//! its id into the [`Window`]. [`claim()`] starts an attempt, and [`Engine::run`] runs it. The job
//! settles in one transaction with its own writes ([`AttemptTx::complete`]) or in a batch
//! ([`Settler`]).
//!
//! [`rescue()`] retries the attempts of processes that died. [`AttemptContext::once`] makes a call
//! to the outside world at most once. `docs/ARCHITECTURE.md` explains the whole protocol.
//!
//! Functions that return a `Result` fail if the database (or Redis, for a [`Window`]) refuses or
//! cannot be reached. The sections on errors list only those that callers treat differently.
//!
//! Rows of `jobs` change state all the time, so the planner's statistics are often stale.
//! Statements that find jobs by id therefore compare the state by `is not distinct from`, which no
//! partial index matches. With `=`, the planner has been seen to walk all available jobs once for
//! each id.

mod active_attempts;
mod begin;
mod cause;
mod checkpoint;
mod claim;
pub mod clock;
mod context;
mod db;
pub mod dispatch;
mod drain;
mod effects;
mod enqueue;
pub mod events;
pub mod failpoint;
pub mod ids;
mod job;
mod kind;
pub mod lease;
mod parking;
pub mod periodic;
pub mod purge;
mod rebuild;
mod redis;
mod rescue;
pub mod retention;
mod run;
mod settle;
mod staff;
mod states;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use active_attempts::ActiveAttempts;
pub use cause::{Cause, CauseClass, Facts};
pub use claim::{Attempt, Claimed, claim, list_marked};
pub use context::{AttemptContext, AttemptTx, JobContext};
pub use db::{Db, Scope, Tx};
pub use drain::{drain, run_one};
pub use effects::{
    Answer, Candidate, Deadline, Doubt, EffectSpec, Likeness, ProviderClock, Receipt, Remote, SendError, Sent,
    SentWindow,
};
pub use enqueue::{EnqueueError, Enqueued, NewJob};
pub use events::Level;
pub use job::{Done, Job, JobError, NotCompleted, OnFailed, Parked, Priority, Queue, Retry};
pub use kind::{Check, Kind, KindSpec, REDACTED};
pub use periodic::Periodic;
pub use rebuild::{Rebuilt, rebuild};
pub use redis::{Left, Limiter, Quota, RateLimited, SUBSCRIPTION_LIFE, Signal, Taken, Window, listen};
pub use rescue::rescue;
pub use run::{AttemptEnd, Engine, Interrupt};
pub use settle::{Settler, hand_back};
pub use staff::{figures, ledger, parked, queues, stats};
pub use states::{AttemptOutcome, EffectState, JobState};
