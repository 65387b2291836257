//! The worker's configuration, from the environment.

use std::{collections::BTreeMap, time::Duration};

use jobs::{
    config::{EngineConfig, ServicesConfig},
    queues,
    telemetry::LogConfig,
};

/// The longest grace for running jobs. A stop ends within 25 seconds; the rest is for the steps
/// after the grace.
pub(crate) const LONGEST_DRAIN_SECONDS: u64 = 20;

/// Runs Linecook's jobs. Every setting is an environment variable.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "worker", version)]
pub(crate) struct WorkerConfig {
    #[command(flatten)]
    pub(crate) log: LogConfig,
    #[command(flatten)]
    pub(crate) engine: EngineConfig,
    #[command(flatten)]
    pub(crate) services: ServicesConfig,
    /// The slots by queue: `posting:20,ai:5`. Jobs of other queues are not run.
    #[arg(long, env = "WORKER_QUEUES", value_parser = slots,
        default_value = "posting:20,oauth:10,ai:8,media:2,default:40")]
    pub(crate) worker_queues: Slots,
    /// The number of seconds that running jobs may go on after a signal to stop.
    #[arg(long, env = "WORKER_DRAIN_SECONDS", default_value_t = LONGEST_DRAIN_SECONDS,
        value_parser = clap::value_parser!(u64).range(..=LONGEST_DRAIN_SECONDS))]
    pub(crate) worker_drain_seconds: u64,
    /// The number of seconds after which a process without a renewal is considered dead. A third of
    /// it passes between renewals.
    #[arg(long, env = "WORKER_LEASE_SECONDS", default_value = "15", value_parser = lease)]
    pub(crate) worker_lease_seconds: f64,
    /// Runs the one job that a worker hands over on standard input.
    #[arg(long, hide = true)]
    pub(crate) isolated: bool,
}

/// Slots by queue.
#[derive(Debug, Clone)]
pub(crate) struct Slots(pub(crate) BTreeMap<&'static str, usize>);

impl WorkerConfig {
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs_f64(self.worker_lease_seconds)
    }
}

fn slots(value: &str) -> Result<Slots, String> {
    let hint = "it should look like posting:20,ai:5 with the queues posting, oauth, ai, media and default";
    let mut slots = BTreeMap::new();
    for entry in value.split(',') {
        let (name, count) = entry.trim().split_once(':').ok_or(hint)?;
        let queue = queues::named(name).ok_or(hint)?;
        let count: usize = count.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or(hint)?;
        slots.insert(queue.name(), count);
    }
    Ok(Slots(slots))
}

fn lease(value: &str) -> Result<f64, String> {
    value
        .parse()
        .ok()
        .filter(|seconds| (0.5..=3600.0).contains(seconds))
        .ok_or_else(|| "0.5 to 3600 seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Parser as _, error::ErrorKind};

    use super::*;

    #[test]
    fn slots_are_read_by_queue() {
        assert_eq!(slots("posting:3, ai:1").unwrap().0, BTreeMap::from([("posting", 3), ("ai", 1)]));
    }

    #[test]
    fn a_grace_that_the_platform_would_cut_is_refused() {
        let refused = |seconds| {
            let parsed = WorkerConfig::try_parse_from(["worker", "--worker-drain-seconds", seconds]);
            parsed.is_err_and(|error| error.kind() == ErrorKind::ValueValidation)
        };
        assert!(!refused("20"));
        assert!(refused("21"));
    }

    #[test]
    fn malformed_slots_are_refused() {
        for value in ["", "posting", "posting:0", "posting:x", "nope:3"] {
            assert!(slots(value).is_err(), "{value}");
        }
    }
}
