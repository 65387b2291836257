//! Linecook's jobs: every kind of job, the domain it works on, and the engine that runs it.
//!
//! Start at [`engine`] for the life of a job, and at [`kinds`] for the list of jobs. Each kind is
//! one file in the folder of its subject, named like the kind.

pub mod assets;
pub mod audit;
pub mod calendar;
pub mod config;
pub mod connections;
pub mod engine;
#[cfg(feature = "testing")]
pub mod fault_probe;
pub mod idempotency;
pub mod ids;
pub mod kinds;
pub mod mail;
pub mod name;
pub mod noop;
pub mod operations;
pub mod people;
pub mod posts;
pub mod providers;
pub mod queues;
pub mod search;
pub mod secrets;
pub mod service_keys;
pub mod services;
pub mod signer;
pub mod telemetry;
pub mod tenants;
#[cfg(feature = "testing")]
pub mod testing;
pub mod upkeep;
pub mod value_parsers;

#[cfg(all(test, not(feature = "testing")))]
compile_error!("tests need the feature testing: run scripts/test -p jobs, or cargo test --features jobs/testing");
