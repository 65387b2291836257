//! The benchmarks: jobs a second, and the cost of a job in a full ledger.
//!
//! `scripts/bench` starts everything that this needs. Each figure goes to standard output as a line
//! `name value`; progress goes to standard error. After each run the ledger is compared with what
//! was asked for. A job that is missing, or that took more than one attempt, fails the benchmark.

mod enqueue;
mod figures;
mod latency;
mod process;
mod scale;
mod stage;
mod store;
mod wait;
mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use url::Url;

use crate::stage::Servers;

/// Measures the job engine. `scripts/bench` starts the servers and calls it.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Config {
    /// A migrated database without open connections: every run gets a copy. Its login must be
    /// allowed to create databases.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Url,
    /// The address of Redis.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: String,
    /// The worker program; it gets this program's environment.
    #[arg(long)]
    worker: PathBuf,
    /// The folder for the workers' logs.
    #[arg(long)]
    logs: PathBuf,
    /// The number of no-op jobs in a run.
    #[arg(long, global = true, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(200..))]
    jobs: u32,
    /// The number of runs of which the median is taken.
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Measures enqueueing, throughput (with memory) and latency.
    Jobs {
        /// Measures only this part: `enqueue`, `process` or `latency`.
        #[arg(long)]
        only: Option<Part>,
    },
    /// Measures the cost of a job when a million others wait, are scheduled or have ended, and when
    /// thousands of tenants have work.
    Scale {
        /// The number of jobs that stand for a million.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(5_000..))]
        million: u32,
        /// Runs only cases with this in their name, and the base case.
        #[arg(long, default_value = "")]
        only: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Enqueue,
    Process,
    Latency,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let servers = Servers::new(config.database_url, config.redis_url, config.worker, config.logs);
    match config.what {
        What::Jobs { only } => {
            let is_wanted = |part| only.is_none_or(|only| only == part);
            if is_wanted(Part::Enqueue) {
                enqueue::measure(&servers, config.jobs).await?;
            }
            if is_wanted(Part::Process) {
                process::measure(&servers, config.jobs, config.repeat).await?;
            }
            if is_wanted(Part::Latency) {
                latency::measure(&servers, config.jobs).await?;
            }
            Ok(())
        }
        What::Scale { million, only } => {
            let sizes = scale::Sizes { jobs: config.jobs, million, repeat: config.repeat };
            scale::measure(&servers, sizes, &only).await
        }
    }
}
